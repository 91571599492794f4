//! PoolGuard keeps AutoMQ's dedicated Kubernetes node pools dedicated.
//!
//! [`poolguard_core`] decides. This crate is the shell around it, as thin as possible: it reads what a decision
//! needs, answers the API server, and has the commands.

// The rooms of the core, under the names that they have there.
pub use poolguard_core::{admission, check, cluster, config, json, kubernetes, policy, terraform};

pub mod api;
pub mod cli;
pub mod controllers;
pub mod runtime;
pub mod server;
pub mod service;
pub mod telemetry;
