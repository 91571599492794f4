//! Kubernetes' own words: views of objects, resources, taints, selectors, names, and documents that hold objects.

pub mod documents;
pub mod duration;
pub mod labels;
pub mod name;
pub mod object;
pub mod resource;
pub mod selector;
pub mod taint;
