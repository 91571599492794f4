//! PoolGuard's view of the API server: what PoolGuard reads and writes there, and the permissions for that.

pub mod backoff;
pub mod client;
pub mod discovery;
pub mod events;
pub mod installation;
pub mod lease;
pub mod list_watch;
pub mod object_ref;
pub mod owner;
pub mod rbac;
pub mod reports;
