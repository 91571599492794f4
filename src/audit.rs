//! The audit stream: one line on standard output for every record of a decision.
//!
//! An answer never waits for it: lines go into a bounded buffer that a thread writes out, and what
//! the buffer has no room for is counted. Nothing of a pod's environment or of a secret enters a
//! line: a record names objects and fields.

mod clock;
mod line;
mod queue;

use std::{io, sync::Arc, thread::JoinHandle};

use jiff::Timestamp;
use prometheus::IntCounter;

pub use self::line::Format;
use self::queue::Queue;
use crate::policy::{request::Request, verdict::Verdict};

/// Takes the records of decisions. Clones feed the same stream.
#[derive(Clone, Debug)]
pub struct Audit {
    queue: Arc<Queue>,
    format: Format,
    dropped: IntCounter,
}

/// The thread that writes the stream.
#[derive(Debug)]
pub struct Writer {
    thread: JoinHandle<()>,
    queue: Arc<Queue>,
}

impl Audit {
    /// Starts the thread that writes to `out`. `dropped` counts what there is no room for.
    pub fn start(
        format: Format,
        mut out: impl io::Write + Send + 'static,
        dropped: IntCounter,
    ) -> io::Result<(Self, Writer)> {
        let queue = Arc::new(Queue::default());
        let lines = Arc::clone(&queue);
        let run = move || lines.write_all(&mut out);
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(run)?;
        let writer = Writer { thread, queue: Arc::clone(&queue) };
        Ok((Self { queue, format, dropped }, writer))
    }

    /// Queues the records of a decision. A plain allow has none, and costs nothing here. `is_stale`
    /// tells whether the decision rests on facts that are older than they may be.
    pub fn record(&self, request: &Request<'_>, verdict: &Verdict, is_stale: bool) {
        for record in &verdict.records {
            let write = |lines: &mut Vec<u8>, time: &str| {
                self.format.write(lines, time, request, record, is_stale);
            };
            if !self.queue.push(Timestamp::now(), write) {
                self.dropped.inc();
            }
        }
    }
}

impl Writer {
    /// Writes what is queued, and ends.
    pub fn finish(self) {
        let Self { thread, queue } = self;
        queue.stop();
        // A thread that is gone already leaves nothing to wait for.
        drop(thread.join());
    }
}
