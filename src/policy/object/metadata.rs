//! `metadata`, as far as rules read it.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use crate::policy::{
    selector::LabelSet,
    text::{Text, null_as_default},
};

/// The annotation by which a kubelet marks the API shadow of a static pod.
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// `metadata`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), rename_all = "camelCase", default)]
pub struct Metadata<'a> {
    /// Empty while the server has yet to make one from `generateName`.
    pub name: Text<'a>,
    /// Prefix of a name to come.
    pub generate_name: Text<'a>,
    /// Empty for cluster-scoped objects.
    pub namespace: Text<'a>,
    /// Labels in the order of the object.
    pub labels: Labels<'a>,
    /// The one annotation that a rule reads.
    #[serde(rename = "annotations")]
    pub mirror: MirrorAnnotation,
    /// Owners; at most one of them is the controller.
    #[serde(deserialize_with = "null_as_default")]
    pub owner_references: Vec<OwnerReference<'a>>,
    /// Set while the object is being deleted.
    pub deletion_timestamp: Option<Text<'a>>,
}

impl<'a> Metadata<'a> {
    /// The owner that controls this object.
    pub fn controller(&self) -> Option<&OwnerReference<'a>> {
        self.owner_references.iter().find(|owner| owner.controller)
    }

    /// `name`, or `generateName` with a `*` for the part to come.
    pub fn display_name(&self) -> String {
        if self.name.is_empty() {
            format!("{}*", self.generate_name)
        } else {
            self.name.to_string()
        }
    }
}

/// An entry of `metadata.ownerReferences`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), rename_all = "camelCase", default)]
pub struct OwnerReference<'a> {
    /// `group/version`, or `v1`.
    pub api_version: Text<'a>,
    /// Kind of the owner.
    pub kind: Text<'a>,
    /// Name of the owner.
    pub name: Text<'a>,
    /// Whether this owner is the controller.
    #[serde(deserialize_with = "null_as_default")]
    pub controller: bool,
}

impl OwnerReference<'_> {
    /// The API group of the owner; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.as_str().split_once('/').map_or("", |(group, _)| group)
    }

    /// Whether the owner is an `apps` DaemonSet.
    pub fn is_daemon_set(&self) -> bool {
        self.kind == "DaemonSet" && self.group() == "apps"
    }
}

/// Labels in the order of the object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels<'a>(Vec<(Text<'a>, Text<'a>)>);

impl Labels<'_> {
    /// Keys and values, in the order of the object.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl<'a> FromIterator<(Text<'a>, Text<'a>)> for Labels<'a> {
    fn from_iter<I: IntoIterator<Item = (Text<'a>, Text<'a>)>>(labels: I) -> Self {
        Self(labels.into_iter().collect())
    }
}

impl LabelSet for Labels<'_> {
    fn value(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name.as_str() == key).map(|(_, value)| value.as_str())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Labels<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Labels<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Labels<'de>, A::Error> {
                let mut labels = Vec::new();
                while let Some((key, value)) = map.next_entry::<Text<'de>, Text<'de>>()? {
                    // The last of equal keys counts, as in Go.
                    match labels.iter_mut().find(|(known, _)| *known == key) {
                        Some((_, known)) => *known = value,
                        None => labels.push((key, value)),
                    }
                }
                Ok(Labels(labels))
            }

            fn visit_unit<E>(self) -> Result<Labels<'de>, E> {
                Ok(Labels::default())
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// Whether the mirror annotation is there. Alone it proves nothing: anyone can write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MirrorAnnotation(pub bool);

impl<'de> Deserialize<'de> for MirrorAnnotation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = MirrorAnnotation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }

            fn visit_map<A: de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<MirrorAnnotation, A::Error> {
                let mut found = false;
                while let Some((key, de::IgnoredAny)) = map.next_entry::<Text<'_>, _>()? {
                    found |= key == MIRROR_ANNOTATION;
                }
                Ok(MirrorAnnotation(found))
            }

            fn visit_unit<E>(self) -> Result<MirrorAnnotation, E> {
                Ok(MirrorAnnotation(false))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}
