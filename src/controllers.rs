//! The controllers of a replica. They keep the guard, the certificates, the registration and the backstop up to date,
//! and scan the cluster, while the replica runs.

pub mod backstop;
pub mod certificates;
pub mod cluster_store;
pub mod config_file;
pub mod found_objects;
pub mod guard;
pub mod registration;
pub mod scan;
