//! The state of a connection, from which time limits are read without a timer for each request.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// The phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionPhase {
    /// The time between requests: there is no request, and no byte of the next one.
    Idle,
    /// Part of a request's header has arrived.
    Header,
    /// At least one request is being read or answered.
    Answering,
}

/// The counters and times of a connection. The connection's reader and its requests write them; its
/// watchdog and the search for room read them.
///
/// The atomics are relaxed. On HTTP/1.1 the reader, the requests and the watchdog are one task. On HTTP/2 a
/// watchdog that sees a request a moment late only looks again later.
#[derive(Debug)]
pub(super) struct ConnectionActivity {
    opened: Instant,
    /// The time at which the last request's header was complete, in microseconds since the connection was
    /// opened.
    last_arrival: AtomicU64,
    active: AtomicU32,
    /// A counter that changes with the start and the end of every request.
    turns: AtomicU32,
    partial: AtomicBool,
    /// Requests that wait for their body.
    waiting: AtomicU32,
    unwritten_count: AtomicU32,
    unwritten: Mutex<Unwritten>,
}

/// The answers that have been made and not been written out, the oldest first.
#[derive(Debug, Default)]
struct Unwritten {
    answers: VecDeque<(u32, Instant)>,
    next: u32,
}

impl ConnectionActivity {
    pub(super) fn new(opened: Instant) -> Self {
        Self {
            opened,
            last_arrival: AtomicU64::default(),
            active: AtomicU32::default(),
            turns: AtomicU32::default(),
            partial: AtomicBool::default(),
            waiting: AtomicU32::default(),
            unwritten_count: AtomicU32::default(),
            unwritten: Mutex::default(),
        }
    }

    pub(super) fn phase(&self) -> ConnectionPhase {
        if self.is_active() {
            ConnectionPhase::Answering
        } else if self.partial.load(Ordering::Relaxed) {
            ConnectionPhase::Header
        } else {
            ConnectionPhase::Idle
        }
    }

    pub(super) fn turns(&self) -> u32 {
        self.turns.load(Ordering::Relaxed)
    }

    /// Whether a request is being read or answered.
    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed) > 0
    }

    /// Whether all requests of the connection wait for the client, to send a body or to read an answer.
    pub(super) fn waits_for_client(&self) -> bool {
        let unwritten = self.unwritten_count.load(Ordering::Relaxed);
        let waiting = self.waiting.load(Ordering::Relaxed);
        waiting.saturating_add(unwritten) >= self.active.load(Ordering::Relaxed)
    }

    /// Returns the time at which the last request came, or at which the connection was opened if there was
    /// none.
    pub(super) fn last_arrival(&self) -> Instant {
        self.opened + Duration::from_micros(self.last_arrival.load(Ordering::Relaxed))
    }

    /// Notes that bytes have arrived. They belong to a header, unless a request is being read.
    pub(super) fn byte_arrived(&self) {
        self.partial.store(true, Ordering::Relaxed);
    }

    /// Notes that a request's header is complete.
    pub(super) fn begin(&self, arrived: Instant) {
        let since = arrived.saturating_duration_since(self.opened).as_micros();
        self.last_arrival.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a request has been answered or given up.
    pub(super) fn end(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Relaxed);
        // The bytes were this request's body. A client that pipelines part of a header behind it has
        // the idle limit for the rest.
        self.partial.store(false, Ordering::Relaxed);
    }

    /// Notes that a request begins to wait for its body.
    pub(super) fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a request does not wait any more.
    pub(super) fn stop_waiting(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes that an answer has been made. Returns the number that identifies the answer until it has been
    /// written.
    pub(super) fn answered(&self, now: Instant) -> u32 {
        let mut unwritten = self.unwritten();
        let number = unwritten.next;
        unwritten.next = number.wrapping_add(1);
        unwritten.answers.push_back((number, now));
        self.unwritten_count.fetch_add(1, Ordering::Relaxed);
        number
    }

    /// Notes that an answer has been written or given up.
    pub(super) fn written(&self, number: u32) {
        let answers = &mut self.unwritten().answers;
        if let Some(index) = answers.iter().position(|(other, _)| *other == number) {
            answers.remove(index);
            self.unwritten_count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Returns the time at which the oldest unwritten answer was made.
    pub(super) fn oldest_unwritten(&self) -> Option<Instant> {
        // Nearly always there is none, and no need for the lock.
        if self.unwritten_count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.unwritten().answers.front().map(|(_, since)| *since)
    }

    fn unwritten(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that notes in the activity of its connection when bytes arrive. It is for HTTP/1.1, where the bytes belong
/// to a request.
pub(super) struct Monitored<'a, T> {
    stream: T,
    activity: &'a ConnectionActivity,
}

impl<'a, T> Monitored<'a, T> {
    pub(super) fn new(stream: T, activity: &'a ConnectionActivity) -> Self {
        Self { stream, activity }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Monitored<'_, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.byte_arrived();
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Monitored<'_, T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
