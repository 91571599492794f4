//! What a connection is doing, so that time limits need no timer per request.

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

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionPhase {
    /// Nothing: no request, and no byte of the next one.
    Idle,
    /// Part of a request's header has arrived.
    Header,
    /// At least one request is being read or answered.
    Answering,
}

/// Written by the connection's reader and by its requests, read by its watchdog and by whoever looks for
/// room. Relaxed atomics: on HTTP/1.1 all of them but the last are one task, and on HTTP/2 a watchdog that
/// sees a request a moment late only looks again later.
#[derive(Debug)]
pub(super) struct Pulse {
    opened: Instant,
    /// When the last request's header was complete, in microseconds since the connection was opened.
    last_arrival: AtomicU64,
    active: AtomicU32,
    /// Changes with the start and the end of every request.
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

impl Pulse {
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

    /// Whether all its requests wait for the client, to send a body or to read an answer.
    pub(super) fn waits_for_client(&self) -> bool {
        let unwritten = self.unwritten_count.load(Ordering::Relaxed);
        let waiting = self.waiting.load(Ordering::Relaxed);
        waiting.saturating_add(unwritten) >= self.active.load(Ordering::Relaxed)
    }

    /// When the last request came, or the connection itself if there was none.
    pub(super) fn last_arrival(&self) -> Instant {
        self.opened + Duration::from_micros(self.last_arrival.load(Ordering::Relaxed))
    }

    /// Something arrived that is a header's, unless a request is being read.
    pub(super) fn byte_arrived(&self) {
        self.partial.store(true, Ordering::Relaxed);
    }

    /// A request's header is complete.
    pub(super) fn begin(&self, arrived: Instant) {
        let since = arrived.saturating_duration_since(self.opened).as_micros();
        self.last_arrival.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// A request has been answered, or given up.
    pub(super) fn end(&self) {
        self.active.fetch_sub(1, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Relaxed);
        // The bytes were this request's body. A client that pipelines part of a header behind it has
        // the idle limit for the rest.
        self.partial.store(false, Ordering::Relaxed);
    }

    /// A request begins to wait for its body.
    pub(super) fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// A request does not wait any more.
    pub(super) fn stop_waiting(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// An answer has been made; the number by which it is known until it has been written.
    pub(super) fn answered(&self, now: Instant) -> u32 {
        let mut unwritten = self.unwritten();
        let number = unwritten.next;
        unwritten.next = number.wrapping_add(1);
        unwritten.answers.push_back((number, now));
        self.unwritten_count.fetch_add(1, Ordering::Relaxed);
        number
    }

    /// An answer has been written, or given up.
    pub(super) fn written(&self, number: u32) {
        let answers = &mut self.unwritten().answers;
        if let Some(index) = answers.iter().position(|(other, _)| *other == number) {
            answers.remove(index);
            self.unwritten_count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// When the oldest answer was made that has not been written.
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

/// Tells the pulse of bytes that arrive, on HTTP/1.1, where they belong to a request.
pub(super) struct Monitored<'a, T> {
    stream: T,
    pulse: &'a Pulse,
}

impl<'a, T> Monitored<'a, T> {
    pub(super) fn new(stream: T, pulse: &'a Pulse) -> Self {
        Self { stream, pulse }
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
            self.pulse.byte_arrived();
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
