//! `metadata`, as far as rules read it.

use std::{
    cell::OnceCell,
    hash::{BuildHasher, RandomState},
};

use hashbrown::{HashTable, hash_table::Entry};

use crate::{
    json::{Cursor, JsonError, Read, read_object, text::Text},
    kubernetes::selector::LabelSet,
};

/// The annotation by which a kubelet marks the API shadow of a static pod.
const MIRROR_ANNOTATION: &str = "kubernetes.io/config.mirror";

/// The annotation in which `kubectl apply` keeps a copy of the object: long, and no rule reads it.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// `metadata`.
#[derive(Clone, Debug, Default)]
pub struct Metadata<'a> {
    /// The name; empty while the API server has yet to make one from `generateName`.
    pub name: Text<'a>,
    /// Prefix of a name to come.
    pub generate_name: Text<'a>,
    /// The identifier that tells the object from another of the same name.
    pub uid: Text<'a>,
    /// The namespace; empty for cluster-scoped objects.
    pub namespace: Text<'a>,
    /// Labels in the order of the object.
    pub labels: Labels<'a>,
    /// The one annotation that a rule reads.
    pub mirror: MirrorAnnotation,
    /// Owners; at most one of them is the controller.
    pub owner_references: Vec<OwnerReference<'a>>,
    /// The deletion timestamp, which is set while the object is being deleted.
    pub deletion_timestamp: Option<Text<'a>>,
}

impl<'a> Metadata<'a> {
    /// The owner that controls this object.
    pub fn controller(&self) -> Option<&OwnerReference<'a>> {
        self.owner_references.iter().find(|owner| owner.controller)
    }

    /// `name`, or `generateName` with a `*` for the part to come; in two parts.
    pub fn name_parts(&self) -> [&str; 2] {
        match (self.name.as_str(), self.generate_name.as_str()) {
            ("", "") => [""; 2],
            ("", prefix) => [prefix, "*"],
            (name, _) => [name, ""],
        }
    }
}

/// An entry of `metadata.ownerReferences`.
#[derive(Clone, Debug, Default)]
pub struct OwnerReference<'a> {
    /// `group/version`, or `v1`.
    pub api_version: Text<'a>,
    /// Kind of the owner.
    pub kind: Text<'a>,
    /// Name of the owner.
    pub name: Text<'a>,
    /// The identifier that tells the owner from another of the same name.
    pub uid: Text<'a>,
    /// Whether this owner is the controller.
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

/// The largest number of labels that are searched one by one, which is faster than hashing.
const FEW: usize = 32;

/// Labels in the order of the object. Of equal keys the last counts, as in Go.
#[derive(Clone, Debug, Default)]
pub struct Labels<'a> {
    /// The labels, without equal keys if there are no more than [`FEW`].
    labels: Vec<(Text<'a>, Text<'a>)>,
    /// The places of the keys, made once a label among more than [`FEW`] has been asked for.
    places: OnceCell<Places>,
}

/// The last place of each key, by the hash of the key.
#[derive(Clone, Debug)]
struct Places {
    hasher: RandomState,
    places: HashTable<usize>,
}

impl Places {
    fn of(labels: &[(Text<'_>, Text<'_>)]) -> Self {
        let hasher = RandomState::new();
        let mut places: HashTable<usize> = HashTable::with_capacity(labels.len());
        let key_at = |place: usize| labels.get(place).map_or("", |(key, _)| key.as_str());
        for (place, (key, _)) in labels.iter().enumerate() {
            let is_same = |known: &usize| key_at(*known) == key.as_str();
            let hash_of = |known: &usize| hasher.hash_one(key_at(*known));
            match places.entry(hasher.hash_one(key.as_str()), is_same, hash_of) {
                Entry::Occupied(mut known) => *known.get_mut() = place,
                Entry::Vacant(free) => {
                    free.insert(place);
                }
            }
        }
        Self { hasher, places }
    }

    fn find(&self, labels: &[(Text<'_>, Text<'_>)], key: &str) -> Option<usize> {
        let is_same = |place: &usize| labels.get(*place).is_some_and(|(known, _)| *known == *key);
        self.places.find(self.hasher.hash_one(key), is_same).copied()
    }
}

impl PartialEq for Labels<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.labels == other.labels
    }
}

impl Eq for Labels<'_> {}

impl<'a> Labels<'a> {
    /// Keys and values, each key once.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.labels.iter().enumerate();
        let is_last = |(place, (key, _)): &(usize, &(Text<'a>, Text<'a>))| {
            self.labels.len() <= FEW || self.place(key) == Some(*place)
        };
        labels.filter(is_last).map(|(_, (key, value))| (key.as_str(), value.as_str()))
    }

    /// Whether there are no labels.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    fn set(&mut self, key: Text<'a>, value: Text<'a>) {
        let known = if self.labels.len() < FEW {
            self.labels.iter_mut().find(|(known, _)| *known == key)
        } else {
            None
        };
        match known {
            Some((_, known)) => *known = value,
            None => self.labels.push((key, value)),
        }
    }

    fn place(&self, key: &str) -> Option<usize> {
        if self.labels.len() <= FEW {
            return self.labels.iter().position(|(known, _)| known.as_str() == key);
        }
        self.places.get_or_init(|| Places::of(&self.labels)).find(&self.labels, key)
    }
}

impl<'a> FromIterator<(Text<'a>, Text<'a>)> for Labels<'a> {
    fn from_iter<I: IntoIterator<Item = (Text<'a>, Text<'a>)>>(labels: I) -> Self {
        let mut set = Self::default();
        for (key, value) in labels {
            set.set(key, value);
        }
        set
    }
}

impl LabelSet for Labels<'_> {
    fn value(&self, key: &str) -> Option<&str> {
        let (_, value) = self.labels.get(self.place(key)?)?;
        Some(value.as_str())
    }
}

impl<'a> Read<'a> for Labels<'a> {
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        cursor.object(|key, cursor| {
            cursor.count_item()?;
            let value = cursor.value()?;
            self.set(key, value);
            Ok(())
        })
    }
}

/// Whether the mirror annotation is there. Alone it proves nothing: anyone can write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MirrorAnnotation(pub bool);

impl<'a> Read<'a> for MirrorAnnotation {
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        cursor.object(|key, cursor| {
            self.0 |= key == MIRROR_ANNOTATION;
            cursor.skip()
        })
    }
}

/// Any object, as far as its metadata.
#[derive(Clone, Debug, Default)]
pub struct PartialObjectMetadata<'a> {
    /// `metadata`.
    pub metadata: Metadata<'a>,
}

read_object!(PartialObjectMetadata { "metadata" => metadata });
read_object!(Metadata {
    "name" => name,
    "generateName" => generate_name,
    "uid" => uid,
    "namespace" => namespace,
    "labels" => labels,
    "annotations" => mirror,
    "ownerReferences" => owner_references,
    "deletionTimestamp" => deletion_timestamp,
});
read_object!(OwnerReference {
    "apiVersion" => api_version,
    "kind" => kind,
    "name" => name,
    "uid" => uid,
    "controller" => controller,
});
