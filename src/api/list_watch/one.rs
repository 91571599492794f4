//! One object, by its name.

use serde_json::Value;
use tokio::sync::watch;
use tracing::warn;

use super::{WatchSink, WatchSource};

/// What is known of the object.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// Nothing yet, and what is in the way.
    Unknown(Option<String>),
    /// It is not there.
    Absent,
    /// It is there.
    Present(Value),
}

impl Seen {
    /// The object, if it is there.
    pub fn object(&self) -> Option<&Value> {
        match self {
            Self::Present(object) => Some(object),
            Self::Unknown(_) | Self::Absent => None,
        }
    }
}

/// Where the watch of one object goes.
#[derive(Debug)]
pub struct OneSink {
    name: String,
    listed: Seen,
    seen: watch::Sender<Seen>,
}

/// A sink for the object that the source names, and what is known of it.
pub fn one(source: &WatchSource) -> (OneSink, watch::Receiver<Seen>) {
    let (seen, receiver) = watch::channel(Seen::Unknown(None));
    let name = source.name.clone().unwrap_or_default();
    (OneSink { name, listed: Seen::Absent, seen }, receiver)
}

impl OneSink {
    /// The object, if the text is the one that is meant.
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
