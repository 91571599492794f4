//! Kubernetes' own words: views of objects, resources, taints, selectors, names, and documents that hold objects.
#![deny(
    clippy::disallowed_methods,
    reason = "reading objects has no clock, environment, file or task"
)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod documents;
pub mod duration;
pub mod name;
pub mod object;
pub mod resource;
pub mod selector;
pub mod taint;
