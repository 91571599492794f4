//! The binary in a cluster: an API server in memory, a Service, and as many replicas as a test wants.

mod cluster;
mod registration;
mod replica;
mod scan;
mod service;
