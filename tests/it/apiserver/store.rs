//! The objects, their history, and what the test has set.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    apply::{self, Manager},
    faults::Faults,
    object::Object,
    resources::{CUSTOM, Id, TABLE},
    rights::{Asked, Rule},
    status::Failure,
};

/// The namespace and the name.
pub(crate) type Key = (String, String);
pub(crate) type Objects = BTreeMap<Key, Arc<Object>>;

/// A change of an object.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) version: u64,
    pub(crate) previous: Option<Arc<Object>>,
    /// Of a deletion: the last state, at the version of the deletion.
    pub(crate) object: Arc<Object>,
    pub(crate) is_deletion: bool,
}

/// The objects of one kind.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) objects: Objects,
    pub(crate) history: VecDeque<Event>,
    /// The version of the last event that compaction took away.
    pub(crate) lost: u64,
}

/// Who has a token.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) rules: Vec<Rule>,
}

type Edit = dyn Fn(&mut Value) + Send + Sync;

/// Edits objects of a kind right after each write.
#[derive(Clone)]
pub(crate) struct Hook {
    pub(crate) id: Id,
    pub(crate) manager: String,
    pub(crate) edit: Arc<Edit>,
}

/// Everything that a request may read or change.
pub(crate) struct State {
    pub(crate) version: u64,
    pub(crate) compacted: u64,
    pub(crate) tables: Vec<Table>,
    /// The groups that are not served.
    pub(crate) absent: BTreeSet<String>,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) asked: Vec<Asked>,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) faults: Faults,
    /// The resources of the open watches.
    pub(crate) watches: BTreeMap<u64, Id>,
    /// How many requests wait because the server hangs.
    pub(crate) held: usize,
    serial: u64,
}

/// The current time as objects have it.
pub(crate) fn now() -> String {
    format!("{:.0}", Timestamp::now())
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            version: 1,
            compacted: 0,
            tables: TABLE.iter().map(|_| Table::default()).collect(),
            absent: CUSTOM.iter().map(|&group| group.to_owned()).collect(),
            users: BTreeMap::new(),
            asked: Vec::new(),
            hooks: Vec::new(),
            faults: Faults::default(),
            watches: BTreeMap::new(),
            held: 0,
            serial: 0,
        }
    }

    /// A number that is given out once.
    pub(crate) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(crate) fn next_uid(&mut self) -> String {
        format!("00000000-0000-4000-8000-{:012x}", self.next_serial())
    }

    /// The five characters after a generateName.
    pub(crate) fn next_suffix(&mut self) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut rest = usize::try_from(self.next_serial()).unwrap();
        let characters = (0..5).map(|_| {
            let character = char::from(ALPHABET[rest % ALPHABET.len()]);
            rest /= ALPHABET.len();
            character
        });
        characters.collect()
    }

    pub(crate) fn find(&self, id: Id, key: &Key) -> Option<&Arc<Object>> {
        self.tables[id].objects.get(key)
    }

    /// Stores an object at a new version.
    pub(crate) fn commit(
        &mut self,
        id: Id,
        mut value: Value,
        managers: Vec<Manager>,
    ) -> Arc<Object> {
        self.version += 1;
        let resource = &TABLE[id];
        value["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if !managers.is_empty() {
            value["metadata"]["managedFields"] =
                apply::managed_fields(&managers, &resource.api_version(), &now());
        }
        let object = Object::new(resource, value, self.version, managers);
        let table = &mut self.tables[id];
        let previous = table.objects.insert(object.key(), Arc::clone(&object));
        table.history.push_back(Event {
            version: self.version,
            previous,
            object: Arc::clone(&object),
            is_deletion: false,
        });
        object
    }

    /// Removes an object, and what it owns.
    pub(crate) fn erase(&mut self, id: Id, key: &Key, orphan: bool) -> Option<Arc<Object>> {
        let previous = self.tables[id].objects.remove(key)?;
        self.version += 1;
        let object = at_version(&previous, self.version);
        self.tables[id].history.push_back(Event {
            version: self.version,
            previous: Some(Arc::clone(&previous)),
            object,
            is_deletion: true,
        });
        self.collect_garbage(&previous.uid, orphan);
        if TABLE[id].plural == "namespaces" {
            self.empty_namespace(&previous.name);
        }
        Some(previous)
    }

    fn empty_namespace(&mut self, namespace: &str) {
        let inside = |key: &Key| key.0 == namespace;
        for id in 0..self.tables.len() {
            let keys: Vec<Key> =
                self.tables[id].objects.keys().filter(|key| inside(key)).cloned().collect();
            for key in keys {
                self.erase(id, &key, false);
            }
        }
    }

    fn exists(&self, uid: &str) -> bool {
        self.tables.iter().flat_map(|table| table.objects.values()).any(|object| object.uid == uid)
    }

    fn collect_garbage(&mut self, uid: &str, orphan: bool) {
        for id in 0..self.tables.len() {
            let owned = |object: &&Arc<Object>| object.owners.iter().any(|owner| owner == uid);
            let dependents: Vec<Arc<Object>> =
                self.tables[id].objects.values().filter(owned).cloned().collect();
            for object in dependents {
                if orphan || object.owners.iter().any(|owner| self.exists(owner)) {
                    let mut value = object.value();
                    let owners = value["metadata"]["ownerReferences"].as_array_mut().unwrap();
                    owners.retain(|owner| owner["uid"] != uid);
                    self.commit(id, value, object.managers.clone());
                } else {
                    self.erase(id, &object.key(), false);
                }
            }
        }
    }

    /// Forgets the history.
    pub(crate) fn compact(&mut self) {
        self.compacted = self.version;
        for table in &mut self.tables {
            table.lost = table.history.back().map_or(table.lost, |event| event.version);
            table.history.clear();
        }
    }

    /// The objects of a kind as they were at a version.
    pub(crate) fn objects_at(&self, id: Id, version: u64) -> Result<Cow<'_, Objects>, Failure> {
        if version < self.compacted {
            return Err(Failure::expired(format!(
                "The provided continue parameter is too old to display a consistent list result. \
                 You can start a new list without the continue parameter. (version {version}, \
                 compacted at {})",
                self.compacted
            )));
        }
        let mut objects = Cow::Borrowed(&self.tables[id].objects);
        let later = self.tables[id].history.iter().rev();
        for event in later.take_while(|event| event.version > version) {
            let objects = objects.to_mut();
            match &event.previous {
                Some(previous) => objects.insert(event.object.key(), Arc::clone(previous)),
                None => objects.remove(&event.object.key()),
            };
        }
        Ok(objects)
    }
}

/// The same object as a watch shows it that sees it go at a version.
pub(crate) fn at_version(object: &Arc<Object>, version: u64) -> Arc<Object> {
    let mut value = object.value();
    value["metadata"]["resourceVersion"] = json!(version.to_string());
    Object::new(object.resource, value, version, object.managers.clone())
}
