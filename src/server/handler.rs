//! From one HTTP request to one HTTP response.

use std::{
    any::Any,
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, Uri, Version,
    header::{CONNECTION, CONTENT_TYPE, EXPECT},
    request::Parts,
};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use tracing::error;

use super::{
    Received, Service, Shared,
    body::{Due, collect, discard},
    fault::Fault,
    pulse::Pulse,
    quantity::parse_duration,
};
use crate::metrics::label::Webhook;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What the requests of one connection share.
pub(super) struct Client<S> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) pulse: Pulse,
}

/// Answers a request, whatever it is.
pub(super) async fn handle<S: Service>(
    client: Arc<Client<S>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let arrived = Instant::now();
    let _busy = client.pulse.begin();
    let shared = &*client.shared;
    let (head, mut body) = request.into_parts();
    let mut response = match answer(shared, &head, &mut body, arrived).await {
        Ok(bytes) => {
            let mut response = Response::new(Full::new(bytes));
            response.headers_mut().insert(CONTENT_TYPE, JSON);
            response
        }
        Err(fault) => refuse(shared, &head, &mut body, arrived, &fault).await,
    };
    // HTTP/2 has GOAWAY for this, and hyper sends it.
    if shared.lifecycle.is_closing() && head.version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

async fn answer<S: Service>(
    shared: &Shared<S>,
    head: &Parts,
    body: &mut Incoming,
    arrived: Instant,
) -> Result<Bytes, Fault> {
    let webhook = webhook(&head.uri)?;
    if head.method != Method::POST {
        return Err(Fault::WrongMethod);
    }
    if !is_json(&head.headers) {
        return Err(Fault::NotJson);
    }
    // A time limit too long to be counted is none.
    let deadline = time_limit(&head.uri)?.and_then(|limit| arrived.checked_add(limit));
    let limits = &shared.limits;
    let metrics = &shared.metrics;
    let _request = metrics
        .requests_in_flight
        .hold(1, limits.max_requests_in_flight)
        .ok_or(Fault::Overloaded)?;
    let due = Due::new(arrived, limits, deadline);
    let collected = collect(body, limits, &metrics.body_bytes_in_flight, &due).await?;
    let received = Received { webhook, body: &collected.bytes, arrived, deadline };
    let answered = catch_unwind(AssertUnwindSafe(|| shared.service.answer(received)));
    let bytes = answered.unwrap_or_else(|payload| {
        metrics.panicked();
        error!(webhook = webhook.as_str(), panic = panic_text(&*payload), "a decision panicked");
        Err(Fault::Panicked)
    })?;
    if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
        return Err(Fault::DeadlinePassed);
    }
    Ok(bytes)
}

/// The response to a request that cannot be answered. What is unread of its body is read first, so
/// that the client sees the response and the connection lives on.
async fn refuse<S>(
    shared: &Shared<S>,
    head: &Parts,
    body: &mut Incoming,
    arrived: Instant,
    fault: &Fault,
) -> Response<Full<Bytes>> {
    shared.metrics.fault(fault.reason());
    let mut response = fault.response();
    // A client that asks before it sends has sent nothing, and one that is late has had its time.
    let is_late = matches!(fault, Fault::SlowBody | Fault::DeadlinePassed);
    let whole = if is_late || head.headers.contains_key(EXPECT) {
        body.is_end_stream()
    } else {
        let deadline = time_limit(&head.uri).ok().flatten();
        let deadline = deadline.and_then(|limit| arrived.checked_add(limit));
        discard(body, &shared.limits, &Due::new(arrived, &shared.limits, deadline)).await
    };
    if !whole && head.version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn webhook(uri: &Uri) -> Result<Webhook, Fault> {
    match uri.path() {
        "/mutate" => Ok(Webhook::Mutate),
        "/validate" => Ok(Webhook::Validate),
        _ => Err(Fault::UnknownPath),
    }
}

/// `application/json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let essence = value.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default();
        essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
    })
}

/// The time that the API server gives, in the query.
fn time_limit(uri: &Uri) -> Result<Option<Duration>, Fault> {
    let mut parameters = uri.query().unwrap_or_default().split('&');
    parameters
        .find_map(|parameter| parameter.strip_prefix("timeout="))
        .map(parse_duration)
        .transpose()
        .map_err(|error| Fault::Malformed(format!("its timeout {error}").into()))
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(uri: &'static str) -> Result<Option<Duration>, Fault> {
        time_limit(&Uri::from_static(uri))
    }

    #[test]
    fn the_time_limit_is_in_the_query() {
        assert_eq!(limit("/mutate"), Ok(None));
        assert_eq!(limit("/mutate?timeout=10s"), Ok(Some(Duration::from_secs(10))));
        assert_eq!(limit("/mutate?a=b&timeout=500ms"), Ok(Some(Duration::from_millis(500))));
    }

    #[test]
    fn a_time_limit_that_is_none_is_an_error() {
        let fault = limit("/mutate?timeout=soon").expect_err("is no duration");
        assert!(fault.to_string().contains("timeout is not a duration"), "{fault}");
    }

    #[test]
    fn the_content_type_may_have_parameters() {
        for (value, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/jsonp", false),
            ("text/plain", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(is_json(&headers), expected, "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
