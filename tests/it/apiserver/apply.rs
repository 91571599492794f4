//! Server-side apply: who set which field, and what an applied configuration changes.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::status::Failure;

/// A step from a value to one inside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Field(String),
    /// An item of a list that merges by a key: the key and its value.
    Item(&'static str, String),
}

/// A field, from the object down.
pub(crate) type Path = Vec<Step>;

/// How a manager came by its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Apply,
    Update,
}

/// What a manager set, in `metadata.managedFields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manager {
    pub(crate) name: String,
    pub(crate) operation: Operation,
    pub(crate) fields: BTreeSet<Path>,
}

/// The lists whose items are told apart by a key. All others are atomic.
const LISTS_BY_KEY: [(&str, &str); 5] = [
    ("webhooks", "name"),
    ("matchConditions", "name"),
    ("containers", "name"),
    ("conditions", "type"),
    ("ownerReferences", "uid"),
];

/// The maps that are owned as a whole: selectors and references.
const ATOMIC_MAPS: [&str; 9] = [
    "namespaceSelector",
    "objectSelector",
    "podSelector",
    "labelSelector",
    "nodeSelector",
    "selector",
    "roleRef",
    "involvedObject",
    "regarding",
];

/// What nobody owns.
const IDENTITY: [&str; 7] = [
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
];

/// The key of a list's items, and the items, if they are told apart.
fn keyed_items<'a>(list: &str, value: &'a Value) -> Option<(&'static str, &'a Vec<Value>)> {
    let (_, key) = LISTS_BY_KEY.iter().find(|(name, _)| *name == list)?;
    let items = value.as_array()?;
    items.iter().all(|item| item[key].is_string()).then_some((*key, items))
}

fn is_atomic(path: &[Step]) -> bool {
    matches!(path.last(), Some(Step::Field(key)) if ATOMIC_MAPS.contains(&key.as_str()))
}

/// The fields that a configuration sets.
pub(crate) fn fields_of(value: &Value) -> BTreeSet<Path> {
    let mut fields = BTreeSet::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        if key == "apiVersion" || key == "kind" {
            continue;
        }
        let path = vec![Step::Field(key.clone())];
        if key == "metadata" {
            let metadata = value.as_object().into_iter().flatten();
            for (key, value) in metadata.filter(|(key, _)| !IDENTITY.contains(&key.as_str())) {
                collect(key, value, &join(&path, Step::Field(key.clone())), &mut fields);
            }
        } else {
            collect(key, value, &path, &mut fields);
        }
    }
    fields
}

fn join(path: &Path, step: Step) -> Path {
    let mut path = path.clone();
    path.push(step);
    path
}

fn collect(key: &str, value: &Value, path: &Path, fields: &mut BTreeSet<Path>) {
    let is_leaf = |map: &Map<String, Value>| map.is_empty() || is_atomic(path);
    if let Some(map) = value.as_object().filter(|map| !is_leaf(map)) {
        for (key, value) in map {
            collect(key, value, &join(path, Step::Field(key.clone())), fields);
        }
    } else if let Some((key, items)) = keyed_items(key, value) {
        for item in items {
            let path = join(path, Step::Item(key, item[key].as_str().unwrap().to_owned()));
            collect("", item, &path, fields);
            fields.insert(path);
        }
    } else {
        fields.insert(path.clone());
    }
}

fn get<'a>(value: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Field(key) => value.get(key),
        Step::Item(key, is) => value.as_array()?.iter().find(|item| item[key] == **is),
    })
}

fn get_mut<'a>(value: &'a mut Value, path: &[Step]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, step| match step {
        Step::Field(key) => value.get_mut(key),
        Step::Item(key, is) => value.as_array_mut()?.iter_mut().find(|item| item[key] == **is),
    })
}

/// Whether two values of a field are the same to its owner: below an item, or a map, others may own.
fn agrees(path: &Path, one: Option<&Value>, other: Option<&Value>) -> bool {
    let both = |test: fn(&Value) -> bool| one.is_some_and(test) && other.is_some_and(test);
    let is_item = matches!(path.last(), Some(Step::Item(..)));
    one == other
        || (!is_atomic(path) && both(Value::is_object))
        || (is_item && one.is_some() == other.is_some())
}

fn merge(key: &str, live: &mut Value, applied: &Value) {
    let is_atomic = ATOMIC_MAPS.contains(&key);
    if let (false, Some(live), Some(applied)) =
        (is_atomic, live.as_object_mut(), applied.as_object())
    {
        for (key, value) in applied {
            merge(key, live.entry(key).or_insert(Value::Null), value);
        }
    } else if let Some((key, items)) = keyed_items(key, applied)
        && let Some(live) = live.as_array_mut()
    {
        for item in items {
            if let Some(at) = live.iter().position(|it| it[key] == item[key]) {
                merge("", &mut live[at], item);
            } else {
                live.push(item.clone());
            }
        }
    } else {
        *live = applied.clone();
    }
}

/// Takes a field away, and the maps and lists that are empty without it.
fn take_away(value: &mut Value, path: &[Step], keep: &BTreeSet<Path>) {
    let Some((last, parents)) = path.split_last() else { return };
    let Some(parent) = get_mut(value, parents) else { return };
    match last {
        Step::Field(key) => {
            if let Some(map) = parent.as_object_mut() {
                map.remove(key);
            }
        }
        Step::Item(key, is) => {
            if let Some(items) = parent.as_array_mut() {
                items.retain(|item| item[key] != **is);
            }
        }
    }
    let is_empty = parent.as_object().is_some_and(Map::is_empty)
        || parent.as_array().is_some_and(Vec::is_empty);
    let in_item = matches!(parents.last(), Some(Step::Item(..)));
    if is_empty && !in_item && parents.len() > 1 && !keep.contains(parents) {
        take_away(value, parents, keep);
    }
}

/// An applied configuration, and who applies it.
pub(crate) struct Applying<'a> {
    pub(crate) manager: &'a str,
    pub(crate) force: bool,
    pub(crate) api_version: &'a str,
    pub(crate) applied: &'a Value,
}

impl Applying<'_> {
    /// What the object becomes, and who owns what then.
    pub(crate) fn onto(
        &self,
        live: &Value,
        managers: &[Manager],
    ) -> Result<(Value, Vec<Manager>), Failure> {
        let fields = fields_of(self.applied);
        let is_me = |it: &Manager| it.name == self.manager && it.operation == Operation::Apply;
        let mut others: Vec<Manager> = managers.iter().filter(|it| !is_me(it)).cloned().collect();
        if managers.is_empty() {
            others.push(Manager {
                name: "before-first-apply".to_owned(),
                operation: Operation::Update,
                fields: fields_of(live),
            });
        }
        self.settle_conflicts(live, &fields, &mut others)?;
        let mut result = live.clone();
        merge("", &mut result, self.applied);
        let before = managers.iter().find(|it| is_me(it)).into_iter().flat_map(|it| &it.fields);
        // The deepest first: an item goes after its fields.
        for path in before.collect::<Vec<_>>().into_iter().rev() {
            let is_owned = |owned: &Path| owned.starts_with(path);
            let mut all = others.iter().flat_map(|it| &it.fields).chain(&fields);
            let is_key =
                matches!(&path[..], [.., Step::Item(key, _), Step::Field(name)] if key == name);
            if !is_key && !all.any(is_owned) {
                take_away(&mut result, path, &fields);
            }
        }
        others.retain(|it| !it.fields.is_empty());
        others.push(Manager { name: self.manager.to_owned(), operation: Operation::Apply, fields });
        others.sort_by(|one, other| one.name.cmp(&other.name));
        Ok((result, others))
    }

    /// Fields of others with another value: refused, or with force, taken from them.
    fn settle_conflicts(
        &self,
        live: &Value,
        fields: &BTreeSet<Path>,
        others: &mut [Manager],
    ) -> Result<(), Failure> {
        let differs = |path: &&Path| !agrees(path, get(live, path), get(self.applied, path));
        let differing: Vec<&Path> = fields.iter().filter(differs).collect();
        let mut conflicts = Vec::new();
        for manager in others {
            for &path in &differing {
                if !manager.fields.contains(path) {
                    continue;
                }
                if self.force {
                    manager.fields.remove(path);
                } else {
                    conflicts.push((manager.name.clone(), dotted(path)));
                }
            }
        }
        if conflicts.is_empty() {
            Ok(())
        } else {
            Err(Failure::owned_by_others(self.api_version, &conflicts))
        }
    }
}

/// Who owns what after an update: what it changed is the updater's.
pub(crate) fn after_update(
    before: Option<&Value>,
    after: &Value,
    managers: &[Manager],
    manager: &str,
) -> Vec<Manager> {
    let present = fields_of(after);
    let changed: BTreeSet<Path> = present
        .iter()
        .filter(|path| {
            let before = before.and_then(|before| get(before, path));
            before.is_none() || !agrees(path, before, get(after, path))
        })
        .cloned()
        .collect();
    let mut managers = managers.to_vec();
    for manager in &mut managers {
        manager.fields.retain(|path| get(after, path).is_some() && !changed.contains(path));
    }
    let is_me = |it: &&mut Manager| it.name == manager && it.operation == Operation::Update;
    if let Some(me) = managers.iter_mut().find(is_me) {
        me.fields.extend(changed);
    } else if !changed.is_empty() {
        let name = manager.to_owned();
        managers.push(Manager { name, operation: Operation::Update, fields: changed });
    }
    managers.retain(|it| !it.fields.is_empty());
    managers.sort_by(|one, other| one.name.cmp(&other.name));
    managers
}

/// `.webhooks[name="a"].failurePolicy`
fn dotted(path: &Path) -> String {
    let steps = path.iter().map(|step| match step {
        Step::Field(key) => format!(".{key}"),
        Step::Item(key, value) => format!("[{key}=\"{value}\"]"),
    });
    steps.collect()
}

/// The entries of `metadata.managedFields`.
pub(crate) fn managed_fields(managers: &[Manager], api_version: &str, time: &str) -> Value {
    let entry = |manager: &Manager| {
        json!({
            "manager": manager.name,
            "operation": match manager.operation {
                Operation::Apply => "Apply",
                Operation::Update => "Update",
            },
            "apiVersion": api_version,
            "time": time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields_v1(&manager.fields),
        })
    };
    managers.iter().map(entry).collect()
}

fn fields_v1(fields: &BTreeSet<Path>) -> Value {
    let mut root = Map::new();
    for path in fields {
        let mut map = &mut root;
        for step in path {
            let key = match step {
                Step::Field(key) => format!("f:{key}"),
                Step::Item(key, value) => format!("k:{}", json!({ *key: value })),
            };
            let next = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
            map = next.as_object_mut().unwrap();
        }
        if matches!(path.last(), Some(Step::Item(..))) {
            map.insert(".".to_owned(), json!({}));
        }
    }
    Value::Object(root)
}
