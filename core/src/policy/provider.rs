//! Clouds that AutoMQ's clusters run on, and what is particular to each.

use std::fmt;

/// A cloud with its managed Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Provider {
    /// EKS
    Aws,
    /// GKE
    Gcp,
    /// AKS
    Azure,
    /// ACK
    Alibaba,
    /// CCE
    Huawei,
    /// TKE
    Tencent,
    /// OKE
    Oracle,
    /// Any other provider.
    Other,
}

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 8] = [
        Self::Aws,
        Self::Gcp,
        Self::Azure,
        Self::Alibaba,
        Self::Huawei,
        Self::Tencent,
        Self::Oracle,
        Self::Other,
    ];

    /// The name of the provider as the config spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
            Self::Alibaba => "alibaba",
            Self::Huawei => "huawei",
            Self::Tencent => "tencent",
            Self::Oracle => "oracle",
            Self::Other => "other",
        }
    }

    /// The managed Kubernetes, as its vendor calls it.
    pub fn service(self) -> &'static str {
        match self {
            Self::Aws => "Amazon EKS",
            Self::Gcp => "Google Kubernetes Engine (GKE)",
            Self::Azure => "Azure Kubernetes Service (AKS)",
            Self::Alibaba => "Alibaba Cloud ACK",
            Self::Huawei => "Huawei Cloud CCE",
            Self::Tencent => "Tencent Cloud TKE",
            Self::Oracle => "Oracle Cloud OKE",
            Self::Other => "any other provider",
        }
    }
}

impl Provider {
    /// The provider that a node's `spec.providerID` tells, or its label keys where a provider writes
    /// an identifier that names no provider.
    pub fn of_node<'k>(
        provider_id: &str,
        mut label_keys: impl Iterator<Item = &'k str>,
    ) -> Option<Self> {
        let by_scheme = match provider_id.split_once("://").map(|(scheme, _)| scheme) {
            Some("aws") => Some(Self::Aws),
            Some("gce") => Some(Self::Gcp),
            Some("azure") => Some(Self::Azure),
            Some("alicloud") => Some(Self::Alibaba),
            Some("huaweicloud") => Some(Self::Huawei),
            Some("qcloud") => Some(Self::Tencent),
            Some("oci") => Some(Self::Oracle),
            _ if provider_id.starts_with("ocid1.instance.") => Some(Self::Oracle),
            _ => None,
        };
        let of_key = |key: &str| {
            let (prefix, _) = key.split_once('/')?;
            let is_of = |domain: &str| {
                prefix
                    .strip_suffix(domain)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            };
            BY_LABEL.into_iter().find(|(domain, _)| is_of(domain)).map(|(_, provider)| provider)
        };
        by_scheme.or_else(|| label_keys.find_map(of_key))
    }
}

/// The labels by which nodes name their pool, as far as code needs them: Terraform plans say their values, and fix
/// commands use some of them. The presets have these labels and those of further tools, such as eksctl.
pub mod node_pool_label {
    /// The name of a managed node group of EKS.
    pub const EKS_NODE_GROUP: &str = "eks.amazonaws.com/nodegroup";
    /// The name of a node pool of GKE.
    pub const GKE_NODE_POOL: &str = "cloud.google.com/gke-nodepool";
    /// The name of an agent pool of AKS: the label of today, and the older one.
    pub const AKS_AGENT_POOL: [&str; 2] = ["kubernetes.azure.com/agentpool", "agentpool"];
    /// The identifier of a node pool of ACK.
    pub const ACK_NODE_POOL_ID: &str = "alibabacloud.com/nodepool-id";
    /// The name of a node pool of CCE.
    pub const CCE_NODE_POOL: &str = "cce.cloud.com/cce-nodepool";
    /// The identifier of a node pool of TKE.
    pub const TKE_NODE_POOL_ID: &str = "tke.cloud.tencent.com/nodepool-id";
    /// The identifier of a pool of native nodes of TKE.
    pub const TKE_MACHINE_SET: &str = "node.tke.cloud.tencent.com/machineset";
    /// The name of a node pool of OKE, if Oracle's Terraform module has made it.
    pub const OKE_POOL_NAME: &str = "oke.oraclecloud.com/pool.name";
}

/// Domains of label keys that only one provider's nodes carry.
const BY_LABEL: [(&str, Provider); 7] = [
    ("eks.amazonaws.com", Provider::Aws),
    ("cloud.google.com", Provider::Gcp),
    ("kubernetes.azure.com", Provider::Azure),
    ("alibabacloud.com", Provider::Alibaba),
    ("cce.cloud.com", Provider::Huawei),
    ("cloud.tencent.com", Provider::Tencent),
    ("oci.oraclecloud.com", Provider::Oracle),
];

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Machine types that a pool may have unless it lists its own.
#[derive(Clone, Debug, Default)]
pub struct MachineTypes {
    /// The approved machine types. If there are none, machine types are not judged.
    pub names: Vec<MachineType>,
}

/// An approved machine type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineType {
    /// The value of `node.kubernetes.io/instance-type`.
    pub name: String,
    /// `small`, `medium` or `large`.
    pub size: String,
    /// The source of the entry.
    pub strength: EntryAuthority,
}

/// The source of an entry of the list of machine types. It decides whether types outside the list may be
/// denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryAuthority {
    /// A list that AutoMQ published: these types and no others.
    AllowList,
    /// The default of AutoMQ's own examples.
    VendorDefault,
    /// A type that appears in an example or a test.
    Example,
    /// A type that the operator's own config names.
    Config,
}

impl MachineTypes {
    /// Whether a type outside the list may be denied, not only warned about: every entry is
    /// published by AutoMQ or named by the operator.
    pub fn is_authoritative(&self) -> bool {
        self.names.iter().all(|entry| {
            matches!(entry.strength, EntryAuthority::AllowList | EntryAuthority::Config)
        })
    }

    /// Whether the list has this type.
    pub fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|entry| entry.name == name)
    }
}
