//! The audit stream: a line for every record of a decision, on standard output and in a file.
//!
//! An answer never waits for it: every sink has a bounded buffer of lines that a thread of its own writes
//! out, and one that fails does not stop the other. What a buffer has no room for is counted, and the
//! stream says so once it works again. Nothing of a pod's environment or of a secret enters a line: a
//! record names objects and fields.

mod clock;
mod file;
mod line;
mod queue;

use std::{
    cell::RefCell,
    io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use prometheus::IntCounter;
use tokio::sync::mpsc;
use tracing::warn;

use self::{clock::TimestampText, line::RecordInContext, queue::Queue};
pub use self::{
    file::RotatingFile,
    line::{Format, VERSION},
};
use crate::policy::{request::Request, verdict::Verdict};

/// The entrance to the audit stream, which takes the records of decisions. Clones feed the same stream.
#[derive(Clone, Debug)]
pub struct Audit {
    streams: Arc<[Stream]>,
    replica: Option<Arc<str>>,
}

/// The circumstances of a decision: its duration, its client, and the age of its facts.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// The time from the request's arrival to the decision.
    pub duration: Duration,
    /// Whether the client that asked showed a certificate of the client CA. One that did not may be anything
    /// that reaches the port, and what it asked may be made up.
    pub is_authenticated: bool,
    /// Whether the decision rests on facts that are older than they may be.
    pub is_stale: bool,
}

/// An output of the audit stream.
pub struct AuditOutput {
    /// The name of the output in the log.
    pub name: &'static str,
    /// The format of the lines.
    pub format: Format,
    /// The writer that takes the lines.
    pub out: Box<dyn io::Write + Send>,
    /// The counter of records that there is no room for.
    pub dropped: IntCounter,
}

/// A sink as requests see it.
#[derive(Debug)]
struct Stream {
    queue: Arc<Queue>,
    format: Format,
    dropped: IntCounter,
}

/// The threads that write the stream.
#[derive(Debug)]
pub struct AuditWriter {
    threads: Vec<(JoinHandle<()>, Arc<Queue>)>,
    ended: mpsc::UnboundedReceiver<&'static str>,
}

/// A guard that reports the end of its thread, also by a panic, when it is dropped.
struct Ended {
    name: &'static str,
    sender: mpsc::UnboundedSender<&'static str>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        // Nobody listens any more while the process ends.
        let _ = self.sender.send(self.name);
    }
}

/// The buffers with which a thread writes lines, kept from one line to the next.
#[derive(Debug, Default)]
struct Scratch {
    clock: TimestampText,
    line: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The time that the process waits at its end for a sink that hangs, such as a pipe without a reader.
const FINISH_WITHIN: Duration = Duration::from_secs(3);

impl Audit {
    /// Starts a thread for each sink. `replica` is the name of this process, if it has one.
    pub fn start(
        sinks: impl IntoIterator<Item = AuditOutput>,
        replica: Option<String>,
    ) -> io::Result<(Self, AuditWriter)> {
        let replica: Option<Arc<str>> = replica.map(Into::into);
        let (mut streams, mut threads) = (Vec::new(), Vec::new());
        let (sender, ended) = mpsc::unbounded_channel();
        for AuditOutput { name, format, mut out, dropped } in sinks {
            let queue = Arc::new(Queue::default());
            let (lines, lost, replica) = (Arc::clone(&queue), dropped.clone(), replica.clone());
            let alive = Ended { name, sender: sender.clone() };
            let run = move || {
                let _alive = alive;
                let left = lines.write_all(name, &mut out, |batch, now, drops| {
                    format.write_drops(batch, now, drops, replica.as_deref());
                });
                lost.inc_by(left);
            };
            let thread = thread::Builder::new().name("audit".to_owned()).spawn(run)?;
            threads.push((thread, Arc::clone(&queue)));
            streams.push(Stream { queue, format, dropped });
        }
        Ok((Self { streams: streams.into(), replica }, AuditWriter { threads, ended }))
    }

    /// Queues the records of a decision. A plain allow has none, and costs nothing here.
    pub fn record(&self, request: &Request<'_>, verdict: &Verdict, circumstances: Circumstances) {
        if verdict.records.is_empty() {
            return;
        }
        let now = Timestamp::now();
        let replica = self.replica.as_deref();
        SCRATCH.with_borrow_mut(|Scratch { clock, line }| {
            let time = clock.text(now);
            for record in &verdict.records {
                let entry = RecordInContext { request, record, circumstances, replica };
                let mut written = None;
                for Stream { queue, format, dropped } in &*self.streams {
                    // Sinks of one format share the line.
                    if written != Some(*format) {
                        line.clear();
                        format.write(line, time, &entry);
                        written = Some(*format);
                    }
                    if !queue.push(now, line) {
                        dropped.inc();
                    }
                }
            }
        });
    }
}

impl AuditWriter {
    /// Waits until a thread ends that was not told to, and returns the name of its sink.
    pub async fn ended(&mut self) -> &'static str {
        match self.ended.recv().await {
            Some(name) => name,
            // Without a sink there is no thread that could end.
            None => std::future::pending().await,
        }
    }

    /// Writes the queued lines and ends the threads.
    pub fn finish(self) {
        for (_, queue) in &self.threads {
            queue.stop();
        }
        let due = Instant::now() + FINISH_WITHIN;
        for (thread, _) in self.threads {
            while !thread.is_finished() && Instant::now() < due {
                thread::sleep(Duration::from_millis(1));
            }
            if thread.is_finished() {
                // A thread that panicked has said so in the log.
                drop(thread.join());
            } else {
                warn!("the audit stream does not accept lines: the last lines are lost");
            }
        }
    }
}
