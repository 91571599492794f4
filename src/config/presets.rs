//! The built-in presets: what is particular to each provider, as data.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use crate::policy::provider::Provider;

/// All presets.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Presets {
    /// Labels that AutoMQ puts on its objects.
    pub(super) automq_labels: Vec<LabelMark>,
    /// Taints that come and go on every provider.
    transient_taints: Vec<String>,
    /// Labels that differ from node to node on every provider.
    individual_labels: Vec<String>,
    /// Labels that name the zone on every provider.
    zone_labels: Vec<String>,
    /// Provisioners that give a new node the labels which a waiting pod asks for.
    pub(super) provisioners: Vec<Provisioner>,
    /// Protected on every provider.
    pub(super) protected: Vec<Protected>,
    providers: BTreeMap<String, Preset>,
}

/// What is particular to a provider.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Preset {
    #[serde(default)]
    pub(super) node_pool_labels: Vec<String>,
    #[serde(default)]
    transient_taints: Vec<String>,
    #[serde(default)]
    individual_labels: Vec<String>,
    #[serde(default)]
    zone_labels: Vec<String>,
    #[serde(default)]
    pub(super) exempt_namespaces: Vec<String>,
    #[serde(default)]
    pub(super) identity_annotations: Vec<String>,
    #[serde(default)]
    pub(super) trusted: Trusted,
    pub(super) console_identity: String,
    #[serde(default)]
    pub(super) protected: Vec<Protected>,
}

/// A provisioner that gives a new node the labels which a waiting pod asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Provisioner {
    /// The label of its node pools.
    pub(super) label: String,
    /// Domains whose labels it sets itself, and on no demand.
    pub(super) reserved_domains: Vec<String>,
    /// Labels of these domains whose values it chooses, within what its node pools allow, as globs.
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
pub(super) struct LabelMark {
    pub(super) key: String,
    pub(super) value: Option<String>,
}

/// Objects that hold a pool's role together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Protected {
    pub(super) name: String,
    pub(super) resource: String,
    pub(super) namespaces: Namespaces,
    pub(super) names: Vec<String>,
    pub(super) recognition: Recognition,
    pub(super) guard: Guard,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Namespaces {
    Any,
    Automq,
    Named(String),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Recognition {
    Always,
    HoldsAField,
    AutomqBinding,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Guard {
    /// The annotations of every provider, which stay once they are set.
    IdentityAnnotations,
    /// The values at these pointers.
    Fields(Vec<String>),
    /// In a YAML list held as text, the items that name the role of a pool.
    RoleItems { field: String, by: String },
}

/// The presets, read once.
pub(super) fn presets() -> &'static Presets {
    static PRESETS: LazyLock<Presets> = LazyLock::new(|| {
        serde_saphyr::from_str(include_str!("presets.yaml"))
            .expect("the presets compiled in are read by a test")
    });
    &PRESETS
}

impl Presets {
    /// The preset of a provider.
    pub(super) fn of(&self, provider: Provider) -> Option<&Preset> {
        self.providers.get(provider.as_str())
    }

    /// The presets of every provider, in the order of [`Provider::ALL`].
    pub(super) fn all(&self) -> impl Iterator<Item = &Preset> {
        Provider::ALL.into_iter().filter_map(|provider| self.of(provider))
    }

    /// What is common, and what is this provider's own: of every provider while it is not known, or is
    /// none of them.
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

    /// Keys of taints that come and go, as globs.
    pub(super) fn transient_taints(
        &self,
        provider: Option<Provider>,
    ) -> impl Iterator<Item = &String> {
        self.with_common(&self.transient_taints, provider, |preset| &preset.transient_taints)
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

    /// What AutoMQ's console looks like to the API server.
    pub(super) fn console_identity(&self, provider: Option<Provider>) -> &str {
        self.of(provider.unwrap_or(Provider::Other)).map_or("", |preset| &preset.console_identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::name::{Glob, any_matches, check_label_key, check_label_value};

    #[test]
    fn every_provider_has_a_preset_and_every_preset_a_provider() {
        assert_eq!(presets().all().count(), Provider::ALL.len());
        assert_eq!(presets().providers.len(), Provider::ALL.len());
    }

    #[test]
    fn keys_of_taints_and_labels_are_globs() {
        for provider in Provider::ALL.map(Some).into_iter().chain([None]) {
            let presets = presets();
            let keys = presets.transient_taints(provider);
            let keys = keys.chain(presets.individual_labels(provider));
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
    fn labels_annotations_and_namespaces_are_well_formed() {
        for preset in presets().all() {
            for key in preset.node_pool_labels.iter().chain(&preset.identity_annotations) {
                assert_eq!(check_label_key(key), Ok(()), "{key}");
            }
            for namespace in &preset.exempt_namespaces {
                assert_eq!(check_label_value(namespace), Ok(()), "{namespace}");
            }
            assert!(!preset.console_identity.is_empty());
        }
        for mark in &presets().automq_labels {
            assert_eq!(check_label_key(&mark.key), Ok(()), "{}", mark.key);
        }
    }

    #[test]
    fn trusted_principals_are_exact_names_that_nobody_can_be_given() {
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
