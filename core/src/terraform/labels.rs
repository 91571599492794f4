//! Labels of nodes to come, as far as a plan has them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    resource::Resource,
    values::{Values, has_unknown, scalar},
};
use crate::{kubernetes::selector::LabelSet, policy::pool::MACHINE_TYPE_LABEL};

/// Labels of the nodes of a pool. As a [`LabelSet`] they are those that are known; a requirement on
/// another one is to be put to [`Self::is_unknown`] first.
#[derive(Clone, Debug, Default)]
pub struct PlannedLabels {
    pub(super) known: BTreeMap<String, String>,
    /// Keys of labels whose values will come later, or may.
    unknown: BTreeSet<String>,
    /// Whether any other label may come, too.
    has_more: bool,
}

impl LabelSet for PlannedLabels {
    fn value(&self, key: &str) -> Option<&str> {
        self.known.get(key).map(String::as_str)
    }
}

impl PlannedLabels {
    /// Returns the labels of the configuration, the label with the provider's own name for the pool, and the
    /// machine type if there is one only.
    pub(super) fn of(
        resource: &Resource,
        values: Values<'_>,
        name: Option<&str>,
        machine_types: Option<&[String]>,
    ) -> Self {
        let mut labels = Self::default();
        let (known, unknown) = values.parts(resource.labels);
        match known {
            Some(Value::Object(map)) => {
                map.iter().for_each(|(key, value)| labels.add(key, scalar(value)));
            }
            Some(Value::Array(list)) => {
                for entry in list {
                    let part = |key: &str| entry.get(key).and_then(scalar);
                    match part("key").or_else(|| part("name")) {
                        Some(key) => labels.add(&key, part("value")),
                        None => labels.has_more = true,
                    }
                }
            }
            _ => {}
        }
        match unknown {
            Some(Value::Bool(true)) => labels.has_more = true,
            Some(Value::Object(map)) => {
                let unknown = map.iter().filter(|(_, is)| has_unknown(is));
                unknown.for_each(|(key, _)| labels.add(key, None));
            }
            _ => {}
        }
        resource.name_labels.iter().for_each(|key| labels.add(key, name.map(str::to_owned)));
        resource.id_labels.iter().for_each(|key| labels.add(key, None));
        if let Some([only]) = machine_types {
            labels.add(MACHINE_TYPE_LABEL, Some(only.clone()));
        }
        labels
    }

    /// Returns these labels, which may not be all: the plan does not show the others.
    pub(super) fn of_pairs(pairs: Vec<(String, String)>, machine_types: Option<&[String]>) -> Self {
        let mut labels = Self { has_more: true, ..Self::default() };
        for (key, value) in pairs {
            labels.add(&key, Some(value));
        }
        if let Some([only]) = machine_types {
            labels.add(MACHINE_TYPE_LABEL, Some(only.clone()));
        }
        labels
    }

    fn add(&mut self, key: &str, value: Option<String>) {
        self.known.remove(key);
        match value {
            Some(value) => drop(self.known.insert(key.to_owned(), value)),
            None => drop(self.unknown.insert(key.to_owned())),
        }
    }

    /// Whether the label may be there with a value that is not known. Those of Kubernetes' own come with
    /// the node.
    pub fn is_unknown(&self, key: &str) -> bool {
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        let comes_with_node = domain.ends_with("kubernetes.io") || domain.ends_with("k8s.io");
        !self.known.contains_key(key)
            && (self.has_more || comes_with_node || self.unknown.contains(key))
    }
}
