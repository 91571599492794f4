//! Bodies of responses, which hold their share of the server's capacity until they have been written.

use std::{
    convert::Infallible,
    io::IoSlice,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::exchange::Exchange;

/// The body of a response, in one piece.
pub(super) struct AnswerBody(Option<Piece>);

/// Bytes that are being written, with the exchange that ends when they have been.
pub(super) struct Piece {
    bytes: Bytes,
    _exchange: Exchange,
}

impl AnswerBody {
    /// The body of a response that is made at this time.
    pub(super) fn new(bytes: Bytes, mut exchange: Exchange, now: Instant) -> Self {
        exchange.answered(now);
        Self(Some(Piece { bytes, _exchange: exchange }))
    }
}

impl Body for AnswerBody {
    type Data = Piece;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Infallible>>> {
        Poll::Ready(self.0.take().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |piece| piece.bytes.len() as u64))
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}
