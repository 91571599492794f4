//! Requests that change an object: create, update, patch, apply, delete.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    admission,
    apply::{self, Applying, Manager},
    object::Object,
    resources::{Id, Resource, TABLE},
    status::Failure,
    store::{Key, State, now},
};

/// Which part of an object a request may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Where the status is a subresource: all but the status.
    Main,
    Status,
    /// Everything: for the test.
    All,
}

/// A request to change something.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) id: Id,
    pub(crate) namespace: String,
    /// Empty for a create.
    pub(crate) name: String,
    pub(crate) part: Part,
    pub(crate) manager: String,
    pub(crate) force: bool,
    pub(crate) dry_run: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) object: Arc<Object>,
    pub(crate) created: bool,
}

type Outcome = Result<Written, Failure>;

/// A change of metadata or a value that a version does not count.
fn without_bookkeeping(mut value: Value) -> Value {
    if let Some(metadata) = value["metadata"].as_object_mut() {
        for key in ["resourceVersion", "managedFields", "generation"] {
            metadata.remove(key);
        }
    }
    value
}

fn without_metadata_and_status(mut value: Value) -> Value {
    if let Some(map) = value.as_object_mut() {
        map.remove("metadata");
        map.remove("status");
    }
    value
}

impl Write {
    /// Of somebody who may do everything.
    pub(crate) fn by(id: Id, (namespace, name): &Key, manager: &str) -> Self {
        Self {
            id,
            namespace: namespace.clone(),
            name: name.clone(),
            part: Part::All,
            manager: manager.to_owned(),
            force: false,
            dry_run: false,
        }
    }

    fn resource(&self) -> &'static Resource {
        &TABLE[self.id]
    }

    fn key(&self) -> Key {
        (self.namespace.clone(), self.name.clone())
    }

    fn live(&self, state: &State) -> Result<Arc<Object>, Failure> {
        let live = state.find(self.id, &self.key());
        live.cloned().ok_or_else(|| Failure::not_found(self.resource(), &self.name))
    }

    pub(crate) fn create(mut self, state: &mut State, mut value: Value) -> Outcome {
        self.check_identity(&value)?;
        let metadata = &value["metadata"];
        if metadata["resourceVersion"].as_str().is_some_and(|version| !version.is_empty()) {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(Failure::bad_request(message));
        }
        let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
        let (name, prefix) = (text("name"), text("generateName"));
        self.name = match (name.is_empty(), prefix.is_empty()) {
            (false, _) => name,
            (true, false) => format!("{prefix}{}", state.next_suffix()),
            (true, true) => {
                let message = "Required value: name or generateName is required".to_owned();
                let cause = ("FieldValueRequired", "metadata.name".to_owned(), message);
                return Err(Failure::invalid(self.resource(), "", &[cause]));
            }
        };
        if state.find(self.id, &self.key()).is_some() {
            return Err(Failure::already_exists(self.resource(), &self.name));
        }
        value["metadata"]["name"] = json!(self.name);
        let managers = apply::after_update(None, &value, &[], &self.manager);
        self.insert(state, value, managers)
    }

    /// Stores what is new.
    fn insert(&self, state: &mut State, mut value: Value, managers: Vec<Manager>) -> Outcome {
        let resource = self.resource();
        if resource.namespaced {
            let namespaces = super::resources::named("namespaces");
            if state.find(namespaces, &(String::new(), self.namespace.clone())).is_none() {
                return Err(Failure::not_found(&TABLE[namespaces], &self.namespace));
            }
            value["metadata"]["namespace"] = json!(self.namespace);
        }
        admission::fill(resource, &mut value);
        admission::check(resource, &self.name, &value)?;
        value["metadata"]["uid"] = json!(state.next_uid());
        value["metadata"]["creationTimestamp"] = json!(now());
        if resource.has_generation() {
            value["metadata"]["generation"] = json!(1);
        }
        Ok(Written { object: self.store(state, value, managers), created: true })
    }

    fn store(&self, state: &mut State, value: Value, managers: Vec<Manager>) -> Arc<Object> {
        if self.dry_run {
            return Object::new(self.resource(), value, state.version, managers);
        }
        let object = state.commit(self.id, value, managers);
        state.run_hooks(self.id, &object);
        object
    }

    pub(crate) fn update(mut self, state: &mut State, value: Value) -> Outcome {
        self.check_identity(&value)?;
        let name = value["metadata"]["name"].as_str().unwrap_or_default();
        if name != self.name {
            return Err(Failure::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                self.name
            )));
        }
        let version = value["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        if state.find(self.id, &self.key()).is_none()
            && self.resource().creates_on_update()
            && version.is_empty()
        {
            self.name.clear();
            return self.create(state, value);
        }
        let live = self.live(state)?;
        if version.is_empty() && self.resource().needs_version() {
            let message = "Invalid value: 0: must be specified for an update".to_owned();
            let cause = ("FieldValueInvalid", "metadata.resourceVersion".to_owned(), message);
            return Err(Failure::invalid(self.resource(), &self.name, &[cause]));
        }
        self.replace(state, &live, value)
    }

    /// Makes an object what a patch makes of it.
    pub(crate) fn patch(
        self,
        state: &mut State,
        patch: impl FnOnce(&mut Value) -> Result<(), Failure>,
    ) -> Outcome {
        let live = self.live(state)?;
        let mut value = live.value();
        patch(&mut value)?;
        self.check_identity(&value)?;
        if value["metadata"]["name"] != live.name {
            let message = "Invalid value: field is immutable".to_owned();
            let cause = ("FieldValueInvalid", "metadata.name".to_owned(), message);
            return Err(Failure::invalid(self.resource(), &self.name, &[cause]));
        }
        self.replace(state, &live, value)
    }

    pub(crate) fn replace(self, state: &mut State, live: &Arc<Object>, value: Value) -> Outcome {
        self.check_version(live, &value)?;
        let before = live.value();
        let mut value = self.confined(&before, value);
        admission::fill(self.resource(), &mut value);
        let managers = apply::after_update(Some(&before), &value, &live.managers, &self.manager);
        self.settle(state, live, before, value, managers)
    }

    /// Stores an object as it is, with what every object has.
    pub(crate) fn put(state: &mut State, id: Id, mut value: Value) -> Arc<Object> {
        let resource = &TABLE[id];
        let metadata = &mut value["metadata"];
        if resource.namespaced && metadata["namespace"].is_null() {
            metadata["namespace"] = json!("default");
        }
        let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
        let key = (text("namespace"), text("name"));
        assert!(!key.1.is_empty(), "an object has a name");
        let before = state.find(id, &key).map_or(Value::Null, |live| live.value());
        let mut or = |name: &str, default: &mut dyn FnMut() -> Value| {
            if metadata[name].is_null() {
                let kept = before["metadata"][name].clone();
                metadata[name] = if kept.is_null() { default() } else { kept };
            }
        };
        or("uid", &mut || json!(state.next_uid()));
        or("creationTimestamp", &mut || json!(now()));
        if resource.has_generation() {
            or("generation", &mut || json!(1));
        }
        admission::fill(resource, &mut value);
        admission::check(resource, &key.1, &value).unwrap();
        Self::by(id, &key, "test").store(state, value, Vec::new())
    }

    /// Server-side apply.
    pub(crate) fn apply(
        self,
        state: &mut State,
        mut applied: Value,
        may_create: impl FnOnce(&mut State) -> Result<(), Failure>,
    ) -> Outcome {
        if self.manager.is_empty() {
            let message = "Required value: is required for apply patch".to_owned();
            let cause = ("FieldValueRequired", "fieldManager".to_owned(), message);
            return Err(Failure::invalid(self.resource(), &self.name, &[cause]));
        }
        if !applied["metadata"]["managedFields"].is_null() {
            return Err(Failure::bad_request("metadata.managedFields must be nil"));
        }
        applied["metadata"]["name"] = json!(self.name);
        if applied["kind"].is_null() || applied["apiVersion"].is_null() {
            let message = "apiVersion and kind must be set in an applied configuration";
            return Err(Failure::bad_request(message));
        }
        self.check_identity(&applied)?;
        let api_version = self.resource().api_version();
        let applying = Applying {
            manager: &self.manager,
            force: self.force,
            api_version: &api_version,
            applied: &applied,
        };
        let Some(live) = state.find(self.id, &self.key()).cloned() else {
            if !applied["metadata"]["uid"].is_null() {
                return Err(Failure::conflict(self.resource(), &self.name, "uid mismatch"));
            }
            may_create(state)?;
            let (_, mut managers) = applying.onto(&applied, &[])?;
            managers.retain(|it| it.operation == apply::Operation::Apply);
            return self.insert(state, applied, managers);
        };
        self.check_version(&live, &applied)?;
        let before = live.value();
        let (value, managers) = applying.onto(&before, &live.managers)?;
        let mut value = self.confined(&before, value);
        admission::fill(self.resource(), &mut value);
        self.settle(state, &live, before, value, managers)
    }

    /// Checks the result and stores it, if it is different.
    fn settle(
        &self,
        state: &mut State,
        live: &Arc<Object>,
        before: Value,
        mut value: Value,
        managers: Vec<Manager>,
    ) -> Outcome {
        let resource = self.resource();
        admission::check(resource, &self.name, &value)?;
        let [before, after] = [before, value.clone()].map(without_bookkeeping);
        if before == after && managers == live.managers {
            return Ok(Written { object: Arc::clone(live), created: false });
        }
        let changed =
            without_metadata_and_status(before) != without_metadata_and_status(after.clone());
        if changed && resource.has_generation() {
            let generation = value["metadata"]["generation"].as_i64().unwrap_or(0);
            value["metadata"]["generation"] = json!(generation + 1);
        }
        let finalizers = &after["metadata"]["finalizers"];
        let is_kept = finalizers.as_array().is_some_and(|them| !them.is_empty());
        let is_deleted = !after["metadata"]["deletionTimestamp"].is_null();
        if is_deleted && !is_kept && !self.dry_run && self.part != Part::All {
            state.erase(self.id, &self.key(), false);
            return Ok(Written { object: Arc::clone(live), created: false });
        }
        Ok(Written { object: self.store(state, value, managers), created: false })
    }

    /// What a request may not change stays: identity, and the status or all but the status.
    fn confined(&self, before: &Value, mut value: Value) -> Value {
        const KEPT: [&str; 5] =
            ["namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp"];
        if self.part == Part::All {
            return value;
        }
        if self.part == Part::Status {
            let (status, metadata) = (value["status"].take(), value["metadata"].take());
            value = before.clone();
            value["status"] = status;
            for key in ["labels", "annotations"] {
                if !metadata[key].is_null() {
                    value["metadata"][key] = metadata[key].clone();
                }
            }
        } else if self.resource().status {
            value["status"] = before["status"].clone();
        }
        if value["status"].is_null()
            && let Some(map) = value.as_object_mut()
        {
            map.remove("status");
        }
        if let Some(metadata) = value["metadata"].as_object_mut() {
            metadata.remove("managedFields");
            for key in KEPT {
                let kept = &before["metadata"][key];
                if kept.is_null() {
                    metadata.remove(key);
                } else {
                    metadata.insert(key.to_owned(), kept.clone());
                }
            }
        }
        value["apiVersion"] = before["apiVersion"].clone();
        value["kind"] = before["kind"].clone();
        value
    }

    /// An object must be of the kind and in the namespace of the path.
    fn check_identity(&self, value: &Value) -> Result<(), Failure> {
        let resource = self.resource();
        if !value.is_object() || !(value["metadata"].is_object() || value["metadata"].is_null()) {
            return Err(Failure::bad_request("the body of the request is not an object"));
        }
        for (key, expected) in
            [("apiVersion", resource.api_version()), ("kind", resource.kind.to_owned())]
        {
            if value[key].as_str().is_some_and(|is| is != expected) {
                return Err(Failure::bad_request(format!(
                    "the {key} in the data ({}) does not match the expected {key} ({expected})",
                    value[key]
                )));
            }
        }
        let namespace = value["metadata"]["namespace"].as_str().unwrap_or_default();
        if !namespace.is_empty() && namespace != self.namespace {
            return Err(Failure::bad_request(
                "the namespace of the provided object does not match the namespace sent on the \
                 request",
            ));
        }
        Ok(())
    }

    /// The version and the uid that a body has are conditions.
    fn check_version(&self, live: &Object, value: &Value) -> Result<(), Failure> {
        let text = |key: &str| value["metadata"][key].as_str().unwrap_or_default();
        let version = text("resourceVersion");
        if !version.is_empty() && version != live.version.to_string() {
            return Err(Failure::modified(self.resource(), &self.name));
        }
        self.check_uid(live, text("uid"))
    }

    fn check_uid(&self, live: &Object, uid: &str) -> Result<(), Failure> {
        if uid.is_empty() || uid == live.uid {
            return Ok(());
        }
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            live.uid
        );
        Err(Failure::conflict(self.resource(), &self.name, &why))
    }

    /// Deletes, or marks as deleted what has a finalizer.
    pub(crate) fn delete(self, state: &mut State, options: &Value) -> Result<Value, Failure> {
        let live = self.live(state)?;
        let conditions = &options["preconditions"];
        self.check_uid(&live, conditions["uid"].as_str().unwrap_or_default())?;
        let version = conditions["resourceVersion"].as_str().unwrap_or_default();
        if !version.is_empty() && version != live.version.to_string() {
            let why = format!(
                "Precondition failed: ResourceVersion in precondition: {version}, \
                 ResourceVersion in object meta: {}",
                live.version
            );
            return Err(Failure::conflict(self.resource(), &self.name, &why));
        }
        let mut value = live.value();
        let finalizers = value["metadata"]["finalizers"].as_array();
        let is_kept = finalizers.is_some_and(|them| !them.is_empty());
        let is_dry = self.dry_run || options["dryRun"][0] == "All";
        if is_kept {
            if !is_dry && value["metadata"]["deletionTimestamp"].is_null() {
                value["metadata"]["deletionTimestamp"] = json!(now());
                return Ok(state.commit(self.id, value, live.managers.clone()).value());
            }
            return Ok(value);
        }
        if !is_dry {
            state.erase(self.id, &self.key(), options["propagationPolicy"] == "Orphan");
        }
        let resource = self.resource();
        Ok(json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {
                "name": live.name,
                "group": resource.group,
                "kind": resource.plural,
                "uid": live.uid,
            },
        }))
    }
}

impl State {
    /// Lets whoever edits after each write do so. What they write calls nobody again.
    fn run_hooks(&mut self, id: Id, object: &Object) {
        let hooks = std::mem::take(&mut self.hooks);
        for hook in hooks.iter().filter(|hook| hook.id == id) {
            let Some(live) = self.find(id, &object.key()).cloned() else { break };
            let mut value = live.value();
            (hook.edit)(&mut value);
            let write = Write::by(id, &object.key(), &hook.manager);
            write.replace(self, &live, value).unwrap();
        }
        self.hooks = hooks;
    }
}
