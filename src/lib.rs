//! PoolGuard keeps AutoMQ's dedicated Kubernetes node pools dedicated.
//!
//! ```text
//! bytes ──review::parse──▶ Request ─┐
//! config ──load──▶ Policy ──────────┼─▶ policy::decide ─▶ Verdict ──review::render──▶ bytes
//! watch events ──apply──▶ Snapshot ─┘      pure, total: no clock, no await, no I/O
//! ```

// The core: values in, values out.
pub mod policy;

// The edges of the core: synchronous, without I/O.
pub mod config;
pub mod review;

// The shell: as thin as possible.
pub mod cli;
pub mod metrics;
pub mod server;
pub mod shutdown;
pub mod telemetry;
