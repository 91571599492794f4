//! The built-in catalog of machine types: data, with its sources.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use crate::policy::provider::{MachineType, Provider, Strength};

/// A machine type with where it comes from.
#[derive(Debug)]
pub struct CatalogEntry {
    /// The type.
    pub machine_type: MachineType,
    /// Repository and file that name it.
    pub source: String,
}

/// The built-in list of a provider; empty where nothing is published.
pub fn entries(provider: Provider) -> &'static [CatalogEntry] {
    static CATALOG: LazyLock<BTreeMap<String, Vec<CatalogEntry>>> = LazyLock::new(|| {
        let file: File = serde_saphyr::from_str(include_str!("catalog.yaml"))
            .expect("the catalog compiled in is read by a test");
        file.into_entries()
    });
    CATALOG.get(provider.as_str()).map_or(&[], Vec::as_slice)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sources: BTreeMap<String, String>,
    types: BTreeMap<String, Vec<Line>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    size: Size,
    strength: LineStrength,
    source: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Size {
    Small,
    Medium,
    Large,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LineStrength {
    AllowList,
    VendorDefault,
    Example,
}

impl File {
    fn into_entries(self) -> BTreeMap<String, Vec<CatalogEntry>> {
        let Self { sources, types } = self;
        let read = |line: Line| CatalogEntry {
            machine_type: MachineType {
                name: line.name,
                size: line.size.as_str().to_owned(),
                strength: line.strength.into(),
            },
            source: sources.get(&line.source).cloned().unwrap_or_default(),
        };
        types
            .into_iter()
            .map(|(provider, lines)| (provider, lines.into_iter().map(read).collect()))
            .collect()
    }
}

impl Size {
    fn as_str(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }
}

impl From<LineStrength> for Strength {
    fn from(strength: LineStrength) -> Self {
        match strength {
            LineStrength::AllowList => Self::AllowList,
            LineStrength::VendorDefault => Self::VendorDefault,
            LineStrength::Example => Self::Example,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_entry_has_a_source_and_stands_once() {
        for provider in Provider::ALL {
            let mut seen = BTreeSet::new();
            for entry in entries(provider) {
                let name = &entry.machine_type.name;
                assert!(!entry.source.is_empty(), "{provider} {name} has no source");
                assert!(seen.insert(name), "{provider} {name} is there twice");
            }
        }
    }

    #[test]
    fn every_source_is_used_and_every_provider_is_known() {
        let file: File = serde_saphyr::from_str(include_str!("catalog.yaml")).unwrap();
        let known: Vec<_> = Provider::ALL.map(Provider::as_str).to_vec();
        assert!(file.types.keys().all(|provider| known.contains(&provider.as_str())));
        let used: BTreeSet<_> = file.types.values().flatten().map(|line| &line.source).collect();
        assert_eq!(used, file.sources.keys().collect());
    }

    #[test]
    fn only_the_list_for_gcp_is_an_allow_list() {
        for provider in Provider::ALL {
            let all_listed = entries(provider)
                .iter()
                .all(|entry| entry.machine_type.strength == Strength::AllowList);
            let is_empty = entries(provider).is_empty();
            assert_eq!(all_listed && !is_empty, provider == Provider::Gcp, "{provider}");
        }
    }
}
