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
pub mod cluster;
pub mod config;
pub mod documents;
pub mod entries;
pub mod fitness;
pub mod regarding;
pub mod report;
pub mod review;
pub mod rights;
pub mod terraform;

// The shell: as thin as possible.
pub mod audit;
pub mod backoff;
pub mod certs;
pub mod cli;
pub mod client;
pub mod config_file;
pub mod events;
pub mod guarding;
pub mod lease;
pub mod metrics;
pub mod observation;
pub mod owner;
pub mod registration;
pub mod reporting;
pub mod runtime;
pub mod scan;
pub mod server;
pub mod shutdown;
pub mod telemetry;
pub mod trouble;
pub mod watch;
pub mod webhook;
