//! PoolGuard keeps AutoMQ's dedicated Kubernetes node pools dedicated.
//!
//! ```text
//! bytes ──review::parse──▶ Request ─┐
//! config ──load──▶ Policy ──────────┼─▶ policy::decide ─▶ Verdict ──review::render──▶ bytes
//! watch events ──apply──▶ Snapshot ─┘      pure, total: no clock, no await, no I/O
//! ```

// The core: values in, values out.
pub mod json;
pub mod kubernetes;
pub mod policy;

// The edges of the core: synchronous, without I/O.
pub mod admission;
pub mod check;
pub mod cluster;
pub mod config;
pub mod terraform;

// The shell: as thin as possible.
pub mod api;
pub mod cli;
pub mod controllers;
pub mod runtime;
pub mod server;
pub mod service;
pub mod telemetry;
