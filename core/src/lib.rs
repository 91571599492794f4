//! The decision core of PoolGuard: values in, values out.
//!
//! ```text
//! bytes ──review::parse──▶ Request ─┐
//! config ──load──▶ Policy ──────────┼─▶ policy::decide ─▶ Verdict ──review::render──▶ bytes
//! watch events ──apply──▶ Snapshot ─┘      pure, total: no clock, no await, no I/O
//! ```
//!
//! The manifest has no runtime and no client of Kubernetes, and this crate's lints allow no clock, environment, file
//! or task, and no panic.
#![deny(
    clippy::disallowed_methods,
    reason = "no clock, environment, file or task: pass the values in"
)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod json;
pub mod kubernetes;
pub mod policy;

pub mod admission;
pub mod check;
pub mod cluster;
pub mod config;
pub mod terraform;
