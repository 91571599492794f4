//! Has the service decide a request on a thread where it delays no other request.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::{Instant, timeout_at},
};
use tracing::error;

use super::{
    Received, Service, body::Collected, capacity::SMALL, exchange::Exchange, fault::Fault,
    handler::Client,
};
use crate::telemetry::metrics::label::WebhookLabel;

/// The largest number of large requests that are decided at a time.
pub(super) const LARGE_AT_A_TIME: usize = 2;

/// A request that has been read.
pub(super) struct Asked {
    pub(super) webhook: WebhookLabel,
    pub(super) collected: Collected,
    pub(super) arrived: Instant,
    /// The time at which the client gives up, if the client gave a time limit.
    pub(super) deadline: Option<Instant>,
}

/// Decides a request, unless its time has passed already.
///
/// One with a small body is decided at once, in microseconds. One with a large body may take milliseconds:
/// it waits for a thread that does no I/O, of which there are few.
pub(super) async fn decide<S: Service>(
    client: &Arc<Client<S>>,
    asked: Asked,
    mut exchange: Exchange,
) -> (Exchange, Result<Bytes, Fault>) {
    let Asked { collected: Collected { has_waited, ref bytes }, deadline, .. } = asked;
    if bytes.len() > SMALL {
        return decide_large(client, asked, exchange).await;
    }
    if has_waited && has_passed(deadline) {
        return (exchange, Err(Fault::DeadlinePassed));
    }
    let mut answered = ask(client, &asked);
    drop(asked);
    if let Ok(answer) = &answered
        && let Err(fault) = exchange.exchange_bytes(answer.len()).await
    {
        answered = Err(fault);
    }
    (exchange, answered)
}

async fn decide_large<S: Service>(
    client: &Arc<Client<S>>,
    asked: Asked,
    mut exchange: Exchange,
) -> (Exchange, Result<Bytes, Fault>) {
    let Some(place) = large_place(&client.shared.large, asked.deadline).await else {
        return (exchange, Err(Fault::DeadlinePassed));
    };
    let (asking, arrived) = (Arc::clone(client), asked.arrived);
    // The exchange goes along: what it holds is in use until the end, also where the client has left.
    let deciding = spawn_blocking(move || {
        let answered = if has_passed(asked.deadline) {
            Err(Fault::DeadlinePassed)
        } else {
            ask(&asking, &asked)
        };
        drop((asked, place));
        (exchange, answered)
    });
    let Ok((decided, mut answered)) = deciding.await else {
        // Only a runtime that is going down loses it.
        exchange = Exchange::begin(Arc::clone(&client.peer), arrived);
        return (exchange, Err(Fault::Overloaded));
    };
    exchange = decided;
    if let Ok(answer) = &answered
        && let Err(fault) = exchange.exchange_bytes(answer.len()).await
    {
        answered = Err(fault);
    }
    (exchange, answered)
}

/// A place among the large requests, in the order in which they came; `None` when the time has passed.
async fn large_place(
    places: &Arc<Semaphore>,
    deadline: Option<Instant>,
) -> Option<OwnedSemaphorePermit> {
    let acquiring = Arc::clone(places).acquire_owned();
    match deadline {
        Some(deadline) => timeout_at(deadline, acquiring).await.ok()?.ok(),
        None => acquiring.await.ok(),
    }
}

/// The answer of the service. A panic costs this one request.
fn ask<S: Service>(client: &Client<S>, asked: &Asked) -> Result<Bytes, Fault> {
    let Asked { webhook, collected, arrived, deadline } = asked;
    let received = Received {
        webhook: *webhook,
        body: &collected.bytes,
        arrived: arrived.into_std(),
        is_authenticated: client.is_authenticated,
        deadline: deadline.map(Instant::into_std),
    };
    let shared = &client.shared;
    let answered = catch_unwind(AssertUnwindSafe(|| shared.service.answer(received)));
    let bytes = answered.unwrap_or_else(|payload| {
        shared.metrics.panicked();
        error!(webhook = webhook.as_str(), panic = panic_text(&*payload), "a decision panicked");
        Err(Fault::Panicked)
    })?;
    if has_passed(*deadline) { Err(Fault::DeadlinePassed) } else { Ok(bytes) }
}

fn has_passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| Instant::now() >= deadline)
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
