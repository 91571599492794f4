//! Turns one HTTP request into one HTTP response.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, Uri, Version,
    header::{CONNECTION, CONTENT_TYPE, EXPECT},
    request::Parts,
};
use hyper::body::{Body, Incoming};
use tokio::time::Instant;

use super::{
    Service, Shared,
    answer::AnswerBody,
    body::{Due, collect, discard},
    capacity::Peer,
    decision::{Asked, decide},
    exchange::Exchange,
    fault::Fault,
};
use crate::{kubernetes::duration::parse_duration, telemetry::metrics::label::WebhookLabel};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The state that the requests of one connection share.
pub(super) struct Client<S> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) peer: Arc<Peer>,
    /// Whether the client showed a certificate of the client CA.
    pub(super) is_authenticated: bool,
}

/// Answers any request.
pub(super) async fn handle<S: Service>(
    client: Arc<Client<S>>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    let arrived = Instant::now();
    let mut exchange = Exchange::begin(Arc::clone(&client.peer), arrived);
    let shared = &*client.shared;
    let (head, mut body) = request.into_parts();
    let (mut exchange, answered) =
        match receive(shared, &head, &mut body, arrived, &mut exchange).await {
            Ok(asked) => decide(&client, asked, exchange).await,
            Err(fault) => (exchange, Err(fault)),
        };
    let response = match answered {
        Ok(bytes) => {
            let mut response = Response::new(bytes);
            response.headers_mut().insert(CONTENT_TYPE, JSON);
            response
        }
        Err(fault) => refuse(shared, &head, &mut body, arrived, &mut exchange, &fault).await,
    };
    let mut response = response.map(|bytes| AnswerBody::new(bytes, exchange, Instant::now()));
    // HTTP/2 has GOAWAY for this, and hyper sends it.
    if shared.lifecycle.is_closing() && head.version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// Checks a request, and takes in its body.
async fn receive<S>(
    shared: &Shared<S>,
    head: &Parts,
    body: &mut Incoming,
    arrived: Instant,
    exchange: &mut Exchange,
) -> Result<Asked, Fault> {
    let webhook = webhook(&head.uri)?;
    if head.method != Method::POST {
        return Err(Fault::WrongMethod);
    }
    if !is_json(&head.headers) {
        return Err(Fault::NotJson);
    }
    // A time limit too long to be counted is none.
    let deadline = time_limit(&head.uri)?.and_then(|limit| arrived.checked_add(limit));
    exchange.admit().await?;
    let due = Due::new(arrived, &shared.limits, deadline);
    let collected = collect(body, &shared.limits, exchange, &due).await?;
    Ok(Asked { webhook, collected, arrived, deadline })
}

/// The response to a request that cannot be answered. On HTTP/1.1 what is unread of its body is read first,
/// so that the client sees the response and the connection lives on.
async fn refuse<S>(
    shared: &Shared<S>,
    head: &Parts,
    body: &mut Incoming,
    arrived: Instant,
    exchange: &mut Exchange,
    fault: &Fault,
) -> Response<Bytes> {
    exchange.refuse();
    shared.metrics.fault(fault.reason());
    let mut response = fault.response();
    if head.version >= Version::HTTP_2 {
        return response;
    }
    // A client that asks before it sends has sent nothing, and one that is late has had its time.
    let is_late = matches!(fault, Fault::SlowBody | Fault::GaveWay | Fault::DeadlinePassed);
    let whole = if is_late || head.headers.contains_key(EXPECT) {
        body.is_end_stream()
    } else {
        let deadline = time_limit(&head.uri).ok().flatten();
        let deadline = deadline.and_then(|limit| arrived.checked_add(limit));
        let due = Due::new(arrived, &shared.limits, deadline);
        discard(body, &shared.limits, exchange, &due).await
    };
    if !whole {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn webhook(uri: &Uri) -> Result<WebhookLabel, Fault> {
    match uri.path() {
        "/mutate" => Ok(WebhookLabel::Mutate),
        "/validate" => Ok(WebhookLabel::Validate),
        _ => Err(Fault::UnknownPath),
    }
}

/// Whether the content type is `application/json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let essence = value.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default();
        essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
    })
}

/// Returns the time limit that the API server gives in the query.
fn time_limit(uri: &Uri) -> Result<Option<Duration>, Fault> {
    let mut parameters = uri.query().unwrap_or_default().split('&');
    parameters
        .find_map(|parameter| parameter.strip_prefix("timeout="))
        .map(parse_duration)
        .transpose()
        .map_err(|error| Fault::Malformed(format!("its timeout {error}").into()))
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
