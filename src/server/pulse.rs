//! What a connection is doing, so that time limits need no timer per request.

use std::{
    io,
    pin::Pin,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing: no request, and no byte of the next one.
    Idle,
    /// Part of a request's header has arrived.
    Header,
    /// At least one request is being read or answered.
    Answering,
}

/// Written by the connection's reader and by its requests, read by its watchdog. Relaxed atomics:
/// on HTTP/1.1 all of them are one task, and on HTTP/2 a watchdog that sees a request a moment late
/// only looks again later.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    active: AtomicU32,
    /// Changes with the start and the end of every request.
    turns: AtomicU32,
    partial: AtomicBool,
}

impl Pulse {
    pub(super) fn phase(&self) -> Phase {
        if self.active.load(Ordering::Relaxed) > 0 {
            Phase::Answering
        } else if self.partial.load(Ordering::Relaxed) {
            Phase::Header
        } else {
            Phase::Idle
        }
    }

    pub(super) fn turns(&self) -> u32 {
        self.turns.load(Ordering::Relaxed)
    }

    /// Something arrived that is a header's, unless a request is being read.
    pub(super) fn byte_arrived(&self) {
        self.partial.store(true, Ordering::Relaxed);
    }

    /// A request's header is complete; it is answered when the guard is dropped.
    pub(super) fn begin(&self) -> Busy<'_> {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Relaxed);
        Busy(self)
    }
}

/// A request that is being read or answered.
#[must_use = "dropping it ends the request"]
pub(super) struct Busy<'a>(&'a Pulse);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
        self.0.turns.fetch_add(1, Ordering::Relaxed);
        // The bytes were this request's body. A client that pipelines part of a header behind it has
        // the idle limit for the rest.
        self.0.partial.store(false, Ordering::Relaxed);
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
