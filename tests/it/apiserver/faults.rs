//! What goes wrong because a test wants it to.

use std::{collections::VecDeque, time::Duration};

/// How watches end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// As after timeoutSeconds.
    Cleanly,
    /// The connection goes away.
    Abruptly,
    /// The connection goes away in the middle of a line.
    MidLine,
    /// With an ERROR event whose status is a 410.
    Expired,
}

/// Refuses the next requests of a verb and a resource; `*` is any.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) verb: String,
    pub(crate) resource: String,
    pub(crate) code: u16,
    pub(crate) left: usize,
}

#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) latency: Duration,
    pub(crate) refusals: Vec<Refusal>,
    /// Nothing is answered, and watches send nothing.
    pub(crate) hangs: bool,
    /// New connections are closed at once.
    pub(crate) drops_connections: bool,
    /// What the next lines of watches are replaced by.
    pub(crate) garbage: VecDeque<String>,
    /// How often watches were cut, and how the last time.
    pub(crate) cut: (u64, Cut),
    /// How often bookmarks were asked for.
    pub(crate) bookmarks: u64,
    pub(crate) bookmark_interval: Duration,
    /// Whether a watch of a version that is gone is a 410 instead of an ERROR event.
    pub(crate) gone_as_http: bool,
    /// The warning with which every object is created.
    pub(crate) warning: Option<String>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            refusals: Vec::new(),
            hangs: false,
            drops_connections: false,
            garbage: VecDeque::new(),
            cut: (0, Cut::Cleanly),
            bookmarks: 0,
            bookmark_interval: Duration::from_millis(100),
            gone_as_http: false,
            warning: None,
        }
    }
}

impl Faults {
    /// The status code that a request is refused with.
    pub(crate) fn refuse(&mut self, verb: &str, resource: &str) -> Option<u16> {
        let is = |pattern: &str, text: &str| pattern == "*" || pattern == text;
        let refusal = self
            .refusals
            .iter_mut()
            .find(|it| it.left > 0 && is(&it.verb, verb) && is(&it.resource, resource))?;
        refusal.left -= 1;
        Some(refusal.code)
    }
}
