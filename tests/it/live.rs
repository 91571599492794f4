//! The binary in a cluster: an API server in memory, a Service, and as many replicas as a test wants.

#![expect(clippy::float_cmp, reason = "a metric that counts is exact")]

mod backstop;
mod certificates;
mod check;
mod cluster;
mod dump;
mod events;
mod init;
mod lease;
mod memory;
mod node_pools;
mod readiness;
mod registration;
mod reload;
mod replica;
mod reports;
mod review;
mod rights;
mod scan;
mod service;
mod status;
mod watches;

use self::replica::eventually;
