//! A watch: lines about changes, from a version on.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::json;
use tokio::{
    sync::mpsc::UnboundedSender,
    time::{Instant, sleep_until},
};

use super::{
    Shared,
    faults::Cut,
    object::{Object, Shape},
    resources::{Id, TABLE},
    route::Query,
    selector::Selector,
    status::Failure,
    store::{Event, State, at_version},
};

/// A piece of the body of a watch.
#[derive(Debug)]
pub(crate) enum Piece {
    Data(Bytes),
    /// The connection goes away.
    Break,
}

pub(crate) struct Watch {
    id: Id,
    selector: Selector,
    shape: Shape,
    bookmarks: bool,
    until: Instant,
    /// Everything up to this version has been sent.
    position: u64,
    /// Lines that go first.
    first: VecDeque<Piece>,
    /// Whether the first lines are all there is.
    ends: bool,
    cuts_seen: u64,
    bookmarks_seen: u64,
    serial: u64,
}

/// How long a watch lasts that does not say.
const DEFAULT_TIMEOUT: u64 = 1800;

impl Watch {
    pub(crate) fn new(
        state: &mut State,
        id: Id,
        selector: Selector,
        shape: Shape,
        query: &Query,
    ) -> Result<Self, Failure> {
        let from = query.number("resourceVersion")?;
        let seconds = match query.number("timeoutSeconds")? {
            0 => DEFAULT_TIMEOUT,
            seconds => seconds,
        };
        let mut watch = Self {
            id,
            selector,
            shape,
            bookmarks: query.is_set("allowWatchBookmarks"),
            until: Instant::now() + Duration::from_secs(seconds),
            position: from,
            first: VecDeque::new(),
            ends: false,
            cuts_seen: state.faults.cut.0,
            bookmarks_seen: state.faults.bookmarks,
            serial: state.next_serial(),
        };
        let initial = query.is_set("sendInitialEvents");
        if from == 0 || initial {
            watch.position = state.version;
            watch.send_all(state);
            if initial && watch.bookmarks {
                let annotations = json!({ "k8s.io/initial-events-end": "true" });
                watch.first.push_back(watch.bookmark(&annotations));
            }
        } else if from < state.compacted {
            let message = format!("too old resource version: {from} ({})", state.compacted);
            if state.faults.gone_as_http {
                return Err(Failure::expired(message));
            }
            watch.first.push_back(error(&Failure::expired(message)));
            watch.ends = true;
        }
        state.watches.insert(watch.serial, id);
        Ok(watch)
    }

    fn send_all(&mut self, state: &State) {
        for object in state.tables[self.id].objects.values() {
            if self.selector.matches(object) {
                self.first.extend(self.line("ADDED", object));
            }
        }
    }

    fn line(&self, kind: &str, object: &Object) -> Vec<Piece> {
        let head = Bytes::from(format!(r#"{{"type":"{kind}","object":"#));
        let pieces = std::iter::once(head)
            .chain(object.pieces(self.shape))
            .chain(std::iter::once(Bytes::from_static(b"}\n")));
        pieces.map(Piece::Data).collect()
    }

    fn bookmark(&self, annotations: &serde_json::Value) -> Piece {
        let (kind, api_version) = match self.shape {
            Shape::Whole => (TABLE[self.id].kind, TABLE[self.id].api_version()),
            Shape::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
        };
        let mut metadata = json!({
            "resourceVersion": self.position.to_string(),
            "creationTimestamp": null,
        });
        if !annotations.is_null() {
            metadata["annotations"] = annotations.clone();
        }
        let object = json!({ "kind": kind, "apiVersion": api_version, "metadata": metadata });
        let line = json!({ "type": "BOOKMARK", "object": object });
        Piece::Data(format!("{line}\n").into())
    }

    /// What an event is to this watch: an object that stops matching is gone.
    fn see(&self, event: &Event) -> Vec<Piece> {
        let matches = |object: &Arc<Object>| self.selector.matches(object);
        let before = event.previous.as_ref().filter(|object| matches(object));
        let is_now = !event.is_deletion && matches(&event.object);
        match (before, is_now) {
            (None, false) => Vec::new(),
            (None, true) => self.line("ADDED", &event.object),
            (Some(_), true) => self.line("MODIFIED", &event.object),
            (Some(_), false) if event.is_deletion => self.line("DELETED", &event.object),
            (Some(before), false) => self.line("DELETED", &at_version(before, event.version)),
        }
    }

    /// What there is to send now, and whether that is the end.
    fn take(&mut self, state: &mut State, is_bookmark_due: bool) -> (Vec<Piece>, bool) {
        if state.faults.hangs {
            return (Vec::new(), false);
        }
        let mut pieces: Vec<Piece> = self.first.drain(..).collect();
        if self.ends {
            return (pieces, true);
        }
        let State { tables, faults, version, .. } = state;
        let table = &tables[self.id];
        if self.position < table.lost {
            let message = format!("too old resource version: {} ({})", self.position, table.lost);
            pieces.push(error(&Failure::expired(message)));
            return (pieces, true);
        }
        let start = table.history.partition_point(|event| event.version <= self.position);
        for event in table.history.range(start..) {
            let line = self.see(event);
            if !line.is_empty()
                && let Some(garbage) = faults.garbage.pop_front()
            {
                pieces.push(Piece::Data(format!("{garbage}\n").into()));
            } else {
                pieces.extend(line);
            }
        }
        self.position = self.position.max(*version);
        let is_asked =
            std::mem::replace(&mut self.bookmarks_seen, faults.bookmarks) != faults.bookmarks;
        if self.bookmarks && (is_bookmark_due || is_asked) {
            pieces.push(self.bookmark(&serde_json::Value::Null));
        }
        let (cuts, how) = faults.cut;
        let is_cut = cuts != self.cuts_seen;
        if is_cut {
            pieces.extend(last_words(how));
        }
        (pieces, is_cut)
    }

    /// Sends until somebody ends it.
    pub(crate) async fn run(mut self, shared: Arc<Shared>, sender: UnboundedSender<Piece>) {
        let _open = Open { shared: Arc::clone(&shared), serial: self.serial };
        let mut wake = shared.wake.subscribe();
        let mut next_bookmark = Instant::now() + shared.state().faults.bookmark_interval;
        loop {
            wake.borrow_and_update();
            let is_due = Instant::now() >= next_bookmark;
            let (pieces, is_end) = self.take(&mut shared.state(), is_due);
            if is_due {
                next_bookmark = Instant::now() + shared.state().faults.bookmark_interval;
            }
            for piece in pieces {
                if sender.send(piece).is_err() {
                    return;
                }
            }
            if is_end {
                return;
            }
            let is_hanging = shared.state().faults.hangs;
            tokio::select! {
                () = sender.closed() => return,
                Ok(()) = wake.changed() => {}
                () = sleep_until(next_bookmark), if self.bookmarks && !is_hanging => {}
                () = sleep_until(self.until), if !is_hanging => return,
            }
        }
    }
}

fn error(failure: &Failure) -> Piece {
    let line = json!({ "type": "ERROR", "object": failure.to_value() });
    Piece::Data(format!("{line}\n").into())
}

fn last_words(how: Cut) -> Vec<Piece> {
    match how {
        Cut::Cleanly => Vec::new(),
        Cut::Abruptly => vec![Piece::Break],
        Cut::MidLine => {
            let half =
                Bytes::from_static(br#"{"type":"MODIFIED","object":{"metadata":{"name":"ha"#);
            vec![Piece::Data(half), Piece::Break]
        }
        Cut::Expired => vec![error(&Failure::expired("The resourceVersion is too old."))],
    }
}

/// A watch that is counted as open.
struct Open {
    shared: Arc<Shared>,
    serial: u64,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.change(|state| state.watches.remove(&self.serial));
    }
}
