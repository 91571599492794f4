//! What PoolGuard says of itself: metrics, the audit stream, the log.

pub mod audit;
pub mod log;
pub mod log_once;
pub mod metrics;
