//! Views of Kubernetes objects: the fields that a rule reads, borrowed from the request's bytes.
//!
//! Everything else is skipped, never dropped: a patch is made of operations on the raw object.
//! `null` reads as absent everywhere, as Go's decoder has it.

mod binding;
mod custom_workload;
mod metadata;
mod node;
mod node_pool;
mod pod;
mod raw;
mod workload;

pub use binding::{Binding, BindingTarget};
pub use custom_workload::{CustomTemplate, custom_templates, makes_pods};
pub use metadata::{
    LAST_APPLIED, Labels, Metadata, MirrorAnnotation, OwnerReference, PartialObjectMetadata,
};
pub use node::{Node, NodeSpec};
pub use node_pool::{Choices, NodePool, NodePoolField, NodePoolKind, Part};
pub use pod::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec,
    TopologySpreadConstraint,
};
pub use raw::{RawObject, RawValue, is_same};
pub use workload::{PodTemplate, Workload, WorkloadKind};
