//! The API server as its client sees it: what PoolGuard reads, writes, and may.

pub mod backoff;
pub mod client;
pub mod discovery;
pub mod events;
pub mod lease;
pub mod list_watch;
pub mod object_ref;
pub mod owner;
pub mod rbac;
pub mod reports;
