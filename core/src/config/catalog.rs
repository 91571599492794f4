//! The built-in catalog of machine types, which the presets of the providers have with its sources.

use serde::Deserialize;

use super::presets::presets;
use crate::policy::provider::{EntryAuthority, MachineType, Provider};

/// A machine type of the catalog, with the source that documents it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    name: String,
    size: Size,
    strength: EntryStrength,
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers of the file; a test wants it"))]
    source: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Size {
    Small,
    Medium,
    Large,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum EntryStrength {
    AllowList,
    VendorDefault,
    Example,
}

/// The built-in list of a provider; empty where nothing is published.
pub(super) fn machine_types(provider: Provider) -> Vec<MachineType> {
    let entries = presets().of(provider).map(|preset| preset.machine_types.as_slice());
    entries.unwrap_or_default().iter().map(Entry::machine_type).collect()
}

impl Entry {
    fn machine_type(&self) -> MachineType {
        let size = match self.size {
            Size::Small => "small",
            Size::Medium => "medium",
            Size::Large => "large",
        };
        let strength = match self.strength {
            EntryStrength::AllowList => EntryAuthority::AllowList,
            EntryStrength::VendorDefault => EntryAuthority::VendorDefault,
            EntryStrength::Example => EntryAuthority::Example,
        };
        MachineType { name: self.name.clone(), size: size.to_owned(), strength }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_entry_has_a_source_and_stands_once() {
        for preset in presets().all() {
            let mut seen = BTreeSet::new();
            for Entry { name, source, .. } in &preset.machine_types {
                assert!(!source.is_empty(), "{name} has no source");
                assert!(seen.insert(name), "{name} is there twice");
            }
        }
    }

    #[test]
    fn only_the_list_for_gcp_is_an_allow_list() {
        for provider in Provider::ALL {
            let types = machine_types(provider);
            let all_listed = types.iter().all(|it| it.strength == EntryAuthority::AllowList);
            assert_eq!(all_listed && !types.is_empty(), provider == Provider::Gcp, "{provider}");
        }
    }
}
