//! The rules, one request after the other.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod bounds;
mod inspect;
mod node_pools;
mod nodes;
mod pod_intrusion;
mod pod_placement;
mod role_binding;
mod versions;
mod who_asks;
mod workloads;
