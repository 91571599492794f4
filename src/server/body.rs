//! Reads a request's body within the limits, or throws it away.

use std::{future::poll_fn, pin::Pin, task::Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{exchange::Exchange, fault::Fault, limits::Limits};

/// The largest part of a refused body that the server reads, in bodies of the largest size. It reads this
/// much because a sender may read nothing before it has written everything, and would otherwise not see the
/// answer.
const DISCARDED_BODIES: usize = 2;

/// The smallest step, in bytes, by which the memory of a body grows. A step is as large as what has
/// arrived, but at least `STEP_LEAST` and at most `STEP_MOST`.
const STEP_LEAST: usize = 4 << 10;
const STEP_MOST: usize = 256 << 10;

/// The time by which a body must have arrived, and the fault of a request whose body has not.
pub(super) struct Due {
    at: Instant,
    missed: Fault,
}

impl Due {
    /// Returns the earlier of the server's time limit and the client's.
    pub(super) fn new(arrived: Instant, limits: &Limits, deadline: Option<Instant>) -> Self {
        let at = arrived + limits.body_timeout;
        match deadline {
            Some(deadline) if deadline < at => Self { at: deadline, missed: Fault::DeadlinePassed },
            Some(_) | None => Self { at, missed: Fault::SlowBody },
        }
    }
}

/// A whole body.
pub(super) struct Collected {
    pub(super) bytes: Bytes,
    /// Whether the request had to wait for the client to send the body.
    pub(super) has_waited: bool,
}

/// Reads the whole body. A body that has arrived already in one piece is neither copied nor timed.
///
/// The exchange holds the bytes that have arrived and a step more. It holds nothing for a length that is
/// only declared, because declaring a length costs a client nothing.
pub(super) async fn collect(
    body: &mut Incoming,
    limits: &Limits,
    exchange: &mut Exchange,
    due: &Due,
) -> Result<Collected, Fault> {
    let too_large = || Fault::BodyTooLarge(limits.max_body);
    let declared = body.size_hint().exact().and_then(|size| usize::try_from(size).ok());
    if body.size_hint().lower() > limits.max_body as u64 {
        return Err(too_large());
    }
    let largest = declared.unwrap_or(limits.max_body);
    let mut timer = None;
    let mut whole = Vec::new();
    while let Some(data) = next_data(body, exchange, &mut timer, due).await? {
        let length = whole.len() + data.len();
        if length > limits.max_body {
            return Err(too_large());
        }
        if whole.is_empty() && body.is_end_stream() {
            exchange.hold(length).await?;
            return Ok(Collected { bytes: data, has_waited: exchange.arrived()? });
        }
        if length > whole.capacity() {
            let step = length.clamp(STEP_LEAST, STEP_MOST);
            let capacity = length.max((length + step).min(largest));
            exchange.hold(capacity).await?;
            whole.reserve_exact(capacity - whole.len());
        }
        whole.extend_from_slice(&data);
    }
    Ok(Collected { bytes: whole.into(), has_waited: exchange.arrived()? })
}

/// Reads what is left of a refused body, within bounds; `true` when nothing is left.
pub(super) async fn discard(
    body: &mut Incoming,
    limits: &Limits,
    exchange: &mut Exchange,
    due: &Due,
) -> bool {
    let mut timer = None;
    let mut left = limits.max_body.saturating_mul(DISCARDED_BODIES);
    while !body.is_end_stream() {
        match next_data(body, exchange, &mut timer, due).await {
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
    exchange: &mut Exchange,
    timer: &mut Option<Pin<Box<Sleep>>>,
    due: &Due,
) -> Result<Option<Bytes>, Fault> {
    loop {
        let frame = poll_fn(|cx| {
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                return Poll::Ready(Ok(frame));
            }
            if exchange.poll_given_way(cx).is_ready() {
                return Poll::Ready(Err(Fault::GaveWay));
            }
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(due.at)));
            timer.as_mut().poll(cx).map(|()| Err(due.missed.clone()))
        })
        .await?;
        match frame.map(|frame| frame.map(Frame::into_data)) {
            None => return Ok(None),
            Some(Ok(Ok(data))) => return Ok(Some(data)),
            // Trailers mean nothing here.
            Some(Ok(Err(_))) => {}
            Some(Err(_)) => return Err(Fault::Malformed("the body ended early".into())),
        }
    }
}
