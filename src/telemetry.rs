//! The telemetry of PoolGuard: metrics, the audit stream, the log.

pub mod audit;
pub mod log;
pub mod log_once;
pub mod metrics;
