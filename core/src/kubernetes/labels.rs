//! The labels of nodes that Kubernetes defines.

/// The label that names a node's zone.
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";
/// The older spelling of [`ZONE_LABEL`].
pub const BETA_ZONE_LABEL: &str = "failure-domain.beta.kubernetes.io/zone";
/// The label that names a node's machine type.
pub const MACHINE_TYPE_LABEL: &str = "node.kubernetes.io/instance-type";
/// The older spelling of [`MACHINE_TYPE_LABEL`].
pub const BETA_MACHINE_TYPE_LABEL: &str = "beta.kubernetes.io/instance-type";
/// The label that names a node's host, which need not be the name of the node.
pub const HOST_NAME_LABEL: &str = "kubernetes.io/hostname";
