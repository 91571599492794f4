//! The audit stream: one line on standard output for every record of a decision.
//!
//! An answer never waits for it: lines go through a bounded queue to a thread that writes them, and
//! what the queue has no room for is counted. Nothing of a pod's environment or of a secret enters a
//! line: a record names objects and fields.

mod line;
mod writer;

use std::{
    io,
    sync::mpsc::{SyncSender, TrySendError, sync_channel},
};

use prometheus::IntCounter;

pub use self::{line::Format, writer::Writer};
use crate::policy::{request::Request, verdict::Verdict};

/// A few seconds of nothing but denials; at most some 4 MiB.
const QUEUE_LINES_MAX: usize = 4096;

/// Takes the records of decisions. Clones feed the same stream.
#[derive(Clone, Debug)]
pub struct Audit {
    queue: SyncSender<Message>,
    format: Format,
    dropped: IntCounter,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    Stop,
}

impl Audit {
    /// Starts the thread that writes to `out`. `dropped` counts what the queue has no room for.
    pub fn start(
        format: Format,
        out: impl io::Write + Send + 'static,
        dropped: IntCounter,
    ) -> io::Result<(Self, Writer)> {
        let (queue, lines) = sync_channel(QUEUE_LINES_MAX);
        let writer = Writer::start(lines, queue.clone(), out)?;
        Ok((Self { queue, format, dropped }, writer))
    }

    /// Queues the records of a decision. A plain allow has none, and costs nothing here.
    pub fn record(&self, request: &Request<'_>, verdict: &Verdict) {
        for record in &verdict.records {
            let line = self.format.line(request, record);
            match self.queue.try_send(Message::Line(line)) {
                Ok(()) => {}
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.dropped.inc(),
            }
        }
    }
}
