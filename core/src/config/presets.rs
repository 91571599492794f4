//! The built-in presets: what is particular to each provider, as data.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::catalog;
use crate::policy::{
    provider::Provider,
    zone::{ZoneForm, ZoneSpelling},
};

/// All presets.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Presets {
    /// Labels that AutoMQ puts on its objects.
    pub(super) automq_labels: Vec<LabelMarkPreset>,
    /// Labels of node pools on every provider, after those of its own.
    node_pool_labels: Vec<String>,
    /// Agents of software that runs on any provider.
    agents: Vec<Agent>,
    /// Taints that come and go on every provider.
    transient_taints: Vec<String>,
    /// Labels that differ from node to node on every provider.
    individual_labels: Vec<String>,
    /// Labels that name the zone on every provider.
    zone_labels: Vec<String>,
    /// Provisioners that give a new node the labels which a waiting pod asks for.
    pub(super) provisioners: Vec<ProvisionerPreset>,
    /// Objects that PoolGuard protects on every provider.
    pub(super) protected: Vec<ProtectedPreset>,
    /// Taints of nodes that pods of the system run on all the same, as globs over keys.
    system_taints: Vec<String>,
    /// Namespaces in which pods of the system run, as globs.
    pub(super) system_namespaces: Vec<String>,
    /// Custom resources that make nodes of several providers.
    node_pool_objects: Vec<NodePoolObject>,
    /// The presets of the providers, from files of their own.
    #[serde(skip)]
    providers: BTreeMap<Provider, Preset>,
}

/// The preset of one provider: everything that is particular to it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Preset {
    #[serde(default)]
    node_pool_labels: Vec<String>,
    #[serde(default)]
    transient_taints: Vec<String>,
    #[serde(default)]
    individual_labels: Vec<String>,
    #[serde(default)]
    zone_labels: Vec<String>,
    #[serde(default)]
    zones: ZonePreset,
    #[serde(default)]
    pub(super) exempt_namespaces: Vec<String>,
    #[serde(default)]
    agents: Vec<Agent>,
    #[serde(default)]
    pub(super) identity_annotations: Vec<String>,
    #[serde(default)]
    pub(super) trusted: Trusted,
    pub(super) console_identity: String,
    #[serde(default)]
    pub(super) protected: Vec<ProtectedPreset>,
    #[serde(default)]
    system_taints: Vec<String>,
    #[serde(default)]
    node_pool_objects: Vec<NodePoolObject>,
    /// Machine types that pools may have unless the config lists its own.
    #[serde(default)]
    pub(super) machine_types: Vec<catalog::Entry>,
}

/// Agents that a provider runs on every node.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Agent {
    /// The namespaces of the agents, as names or globs.
    pub(super) namespaces: Vec<String>,
    /// The DaemonSets of the agents, as names or globs.
    pub(super) daemon_sets: Vec<String>,
    /// The description of the agents, for people and records.
    pub(super) reason: String,
    /// The source that documents the agents.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers of the file; a test wants it"))]
    pub(super) source: String,
}

/// A custom resource that makes nodes, with pointers to the fields that describe these nodes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NodePoolObject {
    /// The resource, as `plural.group`.
    pub(super) resource: String,
    /// The kind, as the API spells it.
    pub(super) kind: String,
    /// Versions in which the fields are where the pointers say.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers of the file; a test wants it"))]
    pub(super) versions: Vec<String>,
    /// Whether its objects are in a namespace.
    #[serde(default)]
    pub(super) namespaced: bool,
    /// Pointers to the name of the pool. Without them, the name is that of the object if there are `pool_labels`,
    /// or else there is none.
    #[serde(default)]
    pub(super) pool_name: Vec<String>,
    /// Labels that have the name of the pool as their value.
    #[serde(default)]
    pub(super) pool_labels: Vec<String>,
    #[serde(default)]
    pub(super) labels: Vec<String>,
    #[serde(default)]
    pub(super) taints: Vec<String>,
    /// The pointer to the requirements, which have Karpenter's form.
    #[serde(default)]
    pub(super) requirements: Option<String>,
    #[serde(default)]
    pub(super) machine_types: Vec<String>,
    #[serde(default)]
    pub(super) zones: Vec<String>,
    #[serde(default)]
    pub(super) roles: Vec<String>,
    #[serde(default)]
    pub(super) node_class: Option<String>,
    /// The source that documents the fields.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers of the file; a test wants it"))]
    pub(super) source: String,
}

/// The spelling of a provider's zones.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ZonePreset {
    #[serde(default)]
    form: ZoneFormPreset,
    #[serde(default)]
    none: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ZoneFormPreset {
    #[default]
    Name,
    RegionalNumber,
    Prefixed,
    Numbered(BTreeMap<String, u32>),
}

/// A provisioner that gives a new node the labels which a waiting pod asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ProvisionerPreset {
    /// The label of its node pools.
    pub(super) label: String,
    /// Domains whose labels the provisioner sets itself, and never because a pod asks for them.
    pub(super) reserved_domains: Vec<String>,
    /// Labels of these domains whose values the provisioner chooses, within what its node pools allow, as globs.
    pub(super) individual_labels: Vec<String>,
}

/// The cloud's own controllers, by exact name.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Trusted {
    #[serde(default)]
    pub(super) users: Vec<String>,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    #[serde(default)]
    pub(super) service_accounts: Vec<String>,
}

/// A label, with any value if none is given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LabelMarkPreset {
    pub(super) key: String,
    pub(super) value: Option<String>,
}

/// Objects that hold a pool's role together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProtectedPreset {
    pub(super) name: String,
    pub(super) resource: String,
    pub(super) namespaces: NamespacesPreset,
    pub(super) names: Vec<String>,
    pub(super) recognition: RecognitionPreset,
    pub(super) guard: GuardPreset,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum NamespacesPreset {
    Any,
    Automq,
    Named(String),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum RecognitionPreset {
    Always,
    HoldsAField,
    AutomqBinding,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum GuardPreset {
    /// The annotations of every provider, which stay once they are set.
    IdentityAnnotations,
    /// The values at these pointers.
    Fields(Vec<String>),
    /// The items that name the role of a pool, in a YAML list that is held as text.
    RoleItems { field: String, by: String },
}

/// The presets, read once.
pub(super) fn presets() -> &'static Presets {
    static PRESETS: LazyLock<Presets> = LazyLock::new(|| {
        let mut presets: Presets = read(COMMON);
        for provider in Provider::ALL {
            presets.providers.insert(provider, read(preset_file(provider)));
        }
        presets
    });
    &PRESETS
}

/// Reads a file that is compiled in. The way over a [`Value`] keeps the binary small: a reader of YAML for each
/// type of a preset would be large.
#[expect(clippy::expect_used, reason = "they are compiled in, and a test reads them")]
fn read<T: DeserializeOwned>(file: &str) -> T {
    const GOOD: &str = "a preset that is compiled in is valid";
    let value: Value = serde_saphyr::from_str(file).expect(GOOD);
    serde_json::from_value(value).expect(GOOD)
}

/// The preset file with everything that holds for every provider.
pub const COMMON: &str = include_str!("presets/common.yaml");

/// The file of a provider's preset.
pub fn preset_file(provider: Provider) -> &'static str {
    match provider {
        Provider::Aws => include_str!("presets/aws.yaml"),
        Provider::Gcp => include_str!("presets/gcp.yaml"),
        Provider::Azure => include_str!("presets/azure.yaml"),
        Provider::Alibaba => include_str!("presets/alibaba.yaml"),
        Provider::Huawei => include_str!("presets/huawei.yaml"),
        Provider::Tencent => include_str!("presets/tencent.yaml"),
        Provider::Oracle => include_str!("presets/oracle.yaml"),
        Provider::Other => include_str!("presets/other.yaml"),
    }
}

impl Presets {
    /// The preset of a provider.
    pub(super) fn of(&self, provider: Provider) -> Option<&Preset> {
        self.providers.get(&provider)
    }

    /// The presets of every provider, in the order of [`Provider::ALL`].
    pub(super) fn all(&self) -> impl Iterator<Item = &Preset> {
        Provider::ALL.into_iter().filter_map(|provider| self.of(provider))
    }

    /// Returns the common entries, and this provider's own. If the provider is not known, or is
    /// [`Provider::Other`], the entries of every provider follow the common ones.
    fn with_common<'p>(
        &'p self,
        common: &'p [String],
        provider: Option<Provider>,
        own: impl Fn(&'p Preset) -> &'p [String],
    ) -> impl Iterator<Item = &'p String> {
        let is_meant = move |it: &Provider| match provider {
            None | Some(Provider::Other) => true,
            Some(provider) => *it == provider,
        };
        let presets = Provider::ALL.into_iter().filter(is_meant).filter_map(|it| self.of(it));
        common.iter().chain(presets.flat_map(own))
    }

    /// The labels by which nodes name their pool, the usual one first; as long as the provider is unknown, those
    /// of all.
    pub(super) fn node_pool_labels(
        &self,
        provider: Option<Provider>,
    ) -> impl Iterator<Item = &String> {
        let own = self.with_common(&[], provider, |preset| &preset.node_pool_labels);
        own.chain(&self.node_pool_labels)
    }

    /// Agents that run on every node, of a provider that is known.
    pub(super) fn agents(&self, provider: Option<Provider>) -> impl Iterator<Item = &Agent> {
        let preset = provider.and_then(|provider| self.of(provider));
        preset.into_iter().flat_map(|preset| &preset.agents).chain(&self.agents)
    }

    /// Custom resources that make nodes. Their groups say whose they are, wherever the cluster runs.
    pub(super) fn node_pool_objects(&self) -> impl Iterator<Item = &NodePoolObject> {
        self.node_pool_objects.iter().chain(self.all().flat_map(|preset| &preset.node_pool_objects))
    }

    /// Keys of taints that come and go, as globs.
    pub(super) fn transient_taints(
        &self,
        provider: Option<Provider>,
    ) -> impl Iterator<Item = &String> {
        self.with_common(&self.transient_taints, provider, |preset| &preset.transient_taints)
    }

    /// Keys of taints of nodes that pods of the system run on all the same, as globs.
    pub(super) fn system_taints(
        &self,
        provider: Option<Provider>,
    ) -> impl Iterator<Item = &String> {
        self.with_common(&self.system_taints, provider, |preset| &preset.system_taints)
    }

    /// Keys of labels that differ from node to node, as globs; those of the zone among them.
    pub(super) fn individual_labels(
        &self,
        provider: Option<Provider>,
    ) -> impl Iterator<Item = &String> {
        self.with_common(&self.individual_labels, provider, |preset| &preset.individual_labels)
            .chain(self.zone_labels(provider))
    }

    /// Keys of labels that name a node's zone, as globs.
    pub(super) fn zone_labels(&self, provider: Option<Provider>) -> impl Iterator<Item = &String> {
        self.with_common(&self.zone_labels, provider, |preset| &preset.zone_labels)
    }

    /// Returns the spelling of a provider's zones. If the provider is not known, zones stay as they are written.
    pub(super) fn zone_spelling(&self, provider: Option<Provider>) -> ZoneSpelling {
        let Some(preset) = provider.and_then(|provider| self.of(provider)) else {
            return ZoneSpelling::default();
        };
        let form = match &preset.zones.form {
            ZoneFormPreset::Name => ZoneForm::Name,
            ZoneFormPreset::RegionalNumber => ZoneForm::RegionalNumber,
            ZoneFormPreset::Prefixed => ZoneForm::Prefixed,
            ZoneFormPreset::Numbered(regions) => ZoneForm::Numbered(regions.clone()),
        };
        ZoneSpelling { form, none: preset.zones.none.clone() }
    }

    /// Returns a description of the user that AutoMQ's console is to the API server.
    pub(super) fn console_identity(&self, provider: Option<Provider>) -> &str {
        self.of(provider.unwrap_or(Provider::Other)).map_or("", |preset| &preset.console_identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::name::{Glob, any_matches, check_label_key, check_label_value};

    #[test]
    fn every_provider_has_a_preset() {
        assert_eq!(presets().all().count(), Provider::ALL.len());
    }

    #[test]
    fn keys_of_taints_and_labels_are_globs() {
        for provider in Provider::ALL.map(Some).into_iter().chain([None]) {
            let presets = presets();
            let keys = presets.transient_taints(provider);
            let keys = keys.chain(presets.individual_labels(provider));
            let keys = keys.chain(presets.system_taints(provider));
            let keys = keys.chain(&presets.system_namespaces);
            for key in keys.chain(presets.zone_labels(provider)) {
                assert!(Glob::parse(key).is_ok(), "{key}");
            }
        }
    }

    /// Taints that people put on nodes for good. Of `node.kubernetes.io` and `karpenter.sh`, which are
    /// ignored as a whole, one each is left out here: `os` and `legacy`.
    #[test]
    fn no_taint_that_stays_is_taken_for_one_that_passes() {
        let globs: Vec<Glob> =
            presets().transient_taints(None).map(|key| Glob::parse(key).unwrap()).collect();
        for key in [
            "dedicated",
            "kubernetes.io/arch",
            "nvidia.com/gpu",
            "CriticalAddonsOnly",
            "virtual-kubelet.io/provider",
            "eks.amazonaws.com/compute-type",
            "cloud.google.com/gke-spot",
            "cloud.google.com/compute-class",
            "kubernetes.azure.com/scalesetpriority",
            "node.cce.io/NodePodKey",
            "oci.oraclecloud.com/oke-is-preemptible",
            "node-role.kubernetes.io/control-plane",
            "feature.node.kubernetes.io/anything",
        ] {
            assert!(!any_matches(&globs, key), "{key}");
        }
    }

    #[test]
    fn labels_that_the_code_names_are_labels_of_the_preset() {
        use crate::policy::provider::node_pool_label::*;

        let [agent_pool, older] = AKS_AGENT_POOL;
        for (provider, label) in [
            (Provider::Aws, EKS_NODE_GROUP),
            (Provider::Gcp, GKE_NODE_POOL),
            (Provider::Azure, agent_pool),
            (Provider::Azure, older),
            (Provider::Alibaba, ACK_NODE_POOL_ID),
            (Provider::Huawei, CCE_NODE_POOL),
            (Provider::Tencent, TKE_NODE_POOL_ID),
            (Provider::Tencent, TKE_MACHINE_SET),
            (Provider::Oracle, OKE_POOL_NAME),
        ] {
            let labels = &presets().of(provider).unwrap().node_pool_labels;
            assert!(
                labels.iter().any(|it| it == label),
                "{provider}: {label} is not in {labels:?}"
            );
        }
    }

    #[test]
    fn labels_annotations_and_namespaces_are_well_formed() {
        for preset in presets().all() {
            let labels = presets().node_pool_labels.iter().chain(&preset.node_pool_labels);
            for key in labels.chain(&preset.identity_annotations) {
                assert_eq!(check_label_key(key), Ok(()), "{key}");
            }
            for namespace in &preset.exempt_namespaces {
                assert_eq!(check_label_value(namespace), Ok(()), "{namespace}");
            }
            for Agent { namespaces, daemon_sets, reason, source } in
                preset.agents.iter().chain(&presets().agents)
            {
                assert!(!namespaces.is_empty() && !daemon_sets.is_empty(), "{reason}");
                assert!(!reason.is_empty() && !source.is_empty(), "{namespaces:?}");
                let globs: Vec<Glob> = namespaces
                    .iter()
                    .chain(daemon_sets)
                    .map(|it| Glob::parse(it).unwrap())
                    .collect();
                assert_eq!(globs.len(), namespaces.len() + daemon_sets.len());
                // Everybody can make a DaemonSet of any name in a namespace of theirs.
                assert!(namespaces.iter().all(|it| !it.starts_with('*')), "{namespaces:?}");
            }
            assert!(!preset.console_identity.is_empty());
        }
        for mark in &presets().automq_labels {
            assert_eq!(check_label_key(&mark.key), Ok(()), "{}", mark.key);
        }
    }

    #[test]
    fn node_pool_objects_are_well_formed() {
        let mut resources = std::collections::BTreeSet::new();
        for object in presets().node_pool_objects() {
            let NodePoolObject { resource, kind, versions, source, pool_labels, .. } = object;
            assert!(resources.insert(resource), "{resource} stands twice");
            assert!(!kind.is_empty() && !versions.is_empty() && !source.is_empty(), "{resource}");
            assert!(pool_labels.iter().all(|key| check_label_key(key).is_ok()), "{resource}");
            let says_something = !object.taints.is_empty() || !object.roles.is_empty();
            assert!(says_something, "{resource} has neither taints nor a role");
        }
    }

    #[test]
    fn trusted_principals_are_exact_names_that_no_user_can_be_given() {
        for preset in presets().all() {
            let Trusted { users, groups, service_accounts } = &preset.trusted;
            assert!(groups.is_empty() && service_accounts.is_empty());
            for user in users {
                assert!(user.starts_with("eks:") || user.starts_with("system:"), "{user}");
                assert!(!user.contains(['*', '?']), "{user}");
            }
        }
    }
}
