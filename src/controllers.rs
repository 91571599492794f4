//! The controllers of a replica: they keep the guard in force, the certificates, the registration and the scan
//! up to date while the replica runs.

pub mod backstop;
pub mod certificates;
pub mod cluster_store;
pub mod config_file;
pub mod found_objects;
pub mod guard;
pub mod registration;
pub mod scan;
