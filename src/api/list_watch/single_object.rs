//! The list and watch of one object, by its name.

use serde_json::Value;
use tokio::sync::watch;
use tracing::warn;

use super::{WatchSink, WatchSource};

/// The state of the object, as the watch knows it.
#[derive(Clone, Debug, PartialEq)]
pub enum ObservedObject {
    /// The watch has not listed the object yet; the text is the error that prevents the list, if there was one.
    Unknown(Option<String>),
    /// The object does not exist.
    Absent,
    /// The object exists.
    Present(Value),
}

impl ObservedObject {
    /// Returns the object, if it exists.
    pub fn object(&self) -> Option<&Value> {
        match self {
            Self::Present(object) => Some(object),
            Self::Unknown(_) | Self::Absent => None,
        }
    }
}

/// The sink for the watch of one object.
#[derive(Debug)]
pub struct SingleObjectSink {
    name: String,
    listed: ObservedObject,
    seen: watch::Sender<ObservedObject>,
}

/// Creates a sink for the object that the source names, and a receiver of the object's state.
pub fn watch_one(source: &WatchSource) -> (SingleObjectSink, watch::Receiver<ObservedObject>) {
    let (seen, receiver) = watch::channel(ObservedObject::Unknown(None));
    let name = source.name.clone().unwrap_or_default();
    (SingleObjectSink { name, listed: ObservedObject::Absent, seen }, receiver)
}

impl SingleObjectSink {
    /// Parses an object, and returns it if its name is the name that the sink watches.
    fn read(&self, object: &str) -> Option<Value> {
        match serde_json::from_str::<Value>(object) {
            Ok(value) => {
                let name = value.pointer("/metadata/name").and_then(Value::as_str);
                (name == Some(&self.name)).then_some(value)
            }
            Err(error) => {
                warn!(name = self.name, "cannot read {}: {error}", self.name);
                None
            }
        }
    }

    fn show(&self, now: ObservedObject) {
        self.seen.send_if_modified(|seen| {
            let is_new = *seen != now;
            *seen = now;
            is_new
        });
    }
}

impl WatchSink for SingleObjectSink {
    fn begin(&mut self) {
        self.listed = ObservedObject::Absent;
    }

    fn list(&mut self, object: &str) {
        if let Some(object) = self.read(object) {
            self.listed = ObservedObject::Present(object);
        }
    }

    fn end(&mut self) {
        let listed = std::mem::replace(&mut self.listed, ObservedObject::Absent);
        self.show(listed);
    }

    fn apply(&mut self, object: &str) {
        if let Some(object) = self.read(object) {
            self.show(ObservedObject::Present(object));
        }
    }

    fn delete(&mut self, object: &str) {
        if self.read(object).is_some() {
            self.show(ObservedObject::Absent);
        }
    }

    fn fail(&mut self, why: &str) {
        let is_unknown = matches!(*self.seen.borrow(), ObservedObject::Unknown(_));
        if is_unknown {
            self.show(ObservedObject::Unknown(Some(why.to_owned())));
        }
    }
}
