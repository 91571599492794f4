//! What a replica keeps true while it runs: the guard in force, certificates, the registration, the scan.

pub mod backstop;
pub mod certificates;
pub mod cluster_store;
pub mod config_file;
pub mod found_objects;
pub mod guard;
pub mod registration;
pub mod scan;
