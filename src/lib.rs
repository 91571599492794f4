//! PoolGuard keeps AutoMQ's dedicated Kubernetes node pools dedicated.
//!
//! ```text
//! bytes ──review::parse──▶ Request ─┐
//! config ──load──▶ Policy ──────────┼─▶ policy::decide ─▶ Verdict ──review::render──▶ bytes
//! watch events ──apply──▶ Snapshot ─┘      pure, total: no clock, no await, no I/O
//! ```

pub mod cli;
pub mod config;
pub mod policy;
