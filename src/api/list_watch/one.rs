//! The list and watch of one object, by its name.

use serde_json::Value;
use tokio::sync::watch;
use tracing::warn;

use super::{WatchSink, WatchSource};

/// The state of the object, as the watch knows it.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// The watch has not listed the object yet; the text is the error that prevents the list, if there was one.
    Unknown(Option<String>),
    /// The object does not exist.
    Absent,
    /// The object exists.
    Present(Value),
}

impl Seen {
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
pub struct OneSink {
    name: String,
    listed: Seen,
    seen: watch::Sender<Seen>,
}

/// Creates a sink for the object that the source names, and a receiver of the object's state.
pub fn one(source: &WatchSource) -> (OneSink, watch::Receiver<Seen>) {
    let (seen, receiver) = watch::channel(Seen::Unknown(None));
    let name = source.name.clone().unwrap_or_default();
    (OneSink { name, listed: Seen::Absent, seen }, receiver)
}

impl OneSink {
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

    fn show(&self, now: Seen) {
        self.seen.send_if_modified(|seen| {
            let is_new = *seen != now;
            *seen = now;
            is_new
        });
    }
}

impl WatchSink for OneSink {
    fn begin(&mut self) {
        self.listed = Seen::Absent;
    }

    fn list(&mut self, object: &str) {
        if let Some(object) = self.read(object) {
            self.listed = Seen::Present(object);
        }
    }

    fn end(&mut self) {
        let listed = std::mem::replace(&mut self.listed, Seen::Absent);
        self.show(listed);
    }

    fn apply(&mut self, object: &str) {
        if let Some(object) = self.read(object) {
            self.show(Seen::Present(object));
        }
    }

    fn delete(&mut self, object: &str) {
        if self.read(object).is_some() {
            self.show(Seen::Absent);
        }
    }

    fn fail(&mut self, why: &str) {
        let is_unknown = matches!(*self.seen.borrow(), Seen::Unknown(_));
        if is_unknown {
            self.show(Seen::Unknown(Some(why.to_owned())));
        }
    }
}
