//! Reads a request's body within the limits, or throws it away.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Instant};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming};
use tokio::time::{Sleep, sleep_until};

use super::{fault::Fault, limits::Limits};
use crate::metrics::level::{Held, Level};

/// How much of a refused body is read, in bodies of the largest size, so that its sender, which may
/// read nothing before it has written everything, sees the answer.
const DISCARDED_BODIES: usize = 4;

/// When a body must be there, and what it is called when it is not.
pub(super) struct Due {
    at: Instant,
    missed: Fault,
}

impl Due {
    /// The earlier of the server's limit and the client's.
    pub(super) fn new(arrived: Instant, limits: &Limits, deadline: Option<Instant>) -> Self {
        let at = arrived + limits.body_timeout;
        match deadline {
            Some(deadline) if deadline < at => Self { at: deadline, missed: Fault::DeadlinePassed },
            Some(_) | None => Self { at, missed: Fault::SlowBody },
        }
    }
}

/// A body and its share of the bytes in flight, for as long as the body lives.
pub(super) struct Collected<'a> {
    pub(super) bytes: Bytes,
    _share: Held<'a>,
}

/// The whole body. A body that has arrived already in one piece is neither copied nor timed.
pub(super) async fn collect<'a>(
    body: &mut Incoming,
    limits: &Limits,
    in_flight: &'a Level,
    due: &Due,
) -> Result<Collected<'a>, Fault> {
    let too_large = || Fault::BodyTooLarge(limits.max_body);
    let declared = body.size_hint().exact().and_then(|size| usize::try_from(size).ok());
    // What is declared is reserved at once: bodies that cannot all fit are refused before reading.
    if body.size_hint().lower() > limits.max_body as u64 {
        return Err(too_large());
    }
    let mut share = in_flight
        .hold(declared.unwrap_or(0), limits.max_body_bytes_in_flight)
        .ok_or(Fault::Overloaded)?;
    let mut timer = None;
    let mut whole: Option<BytesMut> = None;
    while let Some(data) = next_data(body, &mut timer, due).await? {
        if declared.is_none() && !share.grow(data.len()) {
            return Err(Fault::Overloaded);
        }
        if whole.is_none() && body.is_end_stream() && data.len() <= limits.max_body {
            return Ok(Collected { bytes: data, _share: share });
        }
        let whole = whole.get_or_insert_with(|| BytesMut::with_capacity(declared.unwrap_or(0)));
        if whole.len() + data.len() > limits.max_body {
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
    let bytes = whole.map(BytesMut::freeze).unwrap_or_default();
    Ok(Collected { bytes, _share: share })
}

/// Reads what is left of a refused body, within bounds; `true` when nothing is left.
pub(super) async fn discard(body: &mut Incoming, limits: &Limits, due: &Due) -> bool {
    let mut timer = None;
    let mut left = limits.max_body.saturating_mul(DISCARDED_BODIES);
    while !body.is_end_stream() {
        match next_data(body, &mut timer, due).await {
            Ok(Some(data)) if data.len() <= left => left -= data.len(),
            Ok(None) => return true,
            Ok(Some(_)) | Err(_) => return false,
        }
    }
    true
}

/// The next piece of the body. The timer is made when there is something to wait for.
async fn next_data(
    body: &mut Incoming,
    timer: &mut Option<Pin<Box<Sleep>>>,
    due: &Due,
) -> Result<Option<Bytes>, Fault> {
    loop {
        let frame = poll_fn(|cx| {
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                return Poll::Ready(Ok(frame));
            }
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(due.at.into())));
            timer.as_mut().poll(cx).map(|()| Err(due.missed.clone()))
        })
        .await?;
        match frame.map(|frame| frame.map(Frame::into_data)) {
            None => return Ok(None),
            Some(Ok(Ok(data))) => return Ok(Some(data)),
            // Trailers mean nothing here.
            Some(Ok(Err(_))) => {}
            Some(Err(_)) => return Err(Fault::Malformed("the body broke off".into())),
        }
    }
}
