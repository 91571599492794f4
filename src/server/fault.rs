//! The reasons why a request gets an HTTP error instead of an answer.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, RETRY_AFTER},
};

use crate::telemetry::metrics::label::FaultReason;

/// The reason why a request fails. The API server treats every fault as a failed call, so that the
/// registered failure policy decides; a denial is not a fault but an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A request that PoolGuard cannot read; the text says why.
    Malformed(Cow<'static, str>),
    /// A path that no webhook has.
    UnknownPath,
    /// A method other than POST. The API server sends reviews with POST.
    WrongMethod,
    /// The body did not arrive in time.
    SlowBody,
    /// The body is over this many bytes.
    BodyTooLarge(usize),
    /// The body is not declared to be JSON.
    NotJson,
    /// An overload: as many requests or bytes are in flight as the limits allow.
    Overloaded,
    /// An overload in which the body of this request was slow, so that the request gave way to another one.
    GaveWay,
    /// The decision panicked.
    Panicked,
    /// Data that a decision needs and that PoolGuard has not loaded yet; the text says what is missing.
    NotLoaded(Cow<'static, str>),
    /// The time that the client gave has passed.
    DeadlinePassed,
}

impl Fault {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Overloaded | Self::GaveWay => StatusCode::TOO_MANY_REQUESTS,
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotLoaded(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::DeadlinePassed => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The label in the metrics.
    pub fn reason(&self) -> FaultReason {
        match self {
            Self::Malformed(_) => FaultReason::Malformed,
            Self::UnknownPath => FaultReason::UnknownPath,
            Self::WrongMethod => FaultReason::WrongMethod,
            Self::SlowBody => FaultReason::SlowBody,
            Self::BodyTooLarge(_) => FaultReason::BodyTooLarge,
            Self::NotJson => FaultReason::NotJson,
            Self::Overloaded | Self::GaveWay => FaultReason::Overloaded,
            Self::Panicked => FaultReason::Panicked,
            Self::NotLoaded(_) => FaultReason::NotLoaded,
            Self::DeadlinePassed => FaultReason::DeadlinePassed,
        }
    }

    pub(super) fn response(&self) -> Response<Bytes> {
        let mut text = self.to_string().replace(['\r', '\n'], " ");
        text.push('\n');
        let mut response = Response::new(Bytes::from(text));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if matches!(self, Self::Overloaded | Self::GaveWay) {
            // The API server tries again after this long, inside the time limit of its call.
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if *self == Self::WrongMethod {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "PoolGuard cannot read the request: {what}"),
            Self::UnknownPath => f.write_str("unknown path: use /mutate or /validate"),
            Self::WrongMethod => f.write_str("send an AdmissionReview with POST"),
            Self::SlowBody => f.write_str("the request's body did not arrive in time"),
            Self::BodyTooLarge(limit) => {
                write!(f, "the request's body is larger than {limit} bytes")
            }
            Self::NotJson => f.write_str("the content type must be application/json"),
            Self::Overloaded => f.write_str("too many requests are in flight: try again"),
            Self::GaveWay => f.write_str(
                "too many requests are in flight, and the body of this request arrived slowly: \
                 try again",
            ),
            Self::Panicked => f.write_str(
                "the decision failed because of a bug in PoolGuard: see \
             its log",
            ),
            Self::NotLoaded(what) => write!(f, "PoolGuard is not ready to decide: {what}"),
            Self::DeadlinePassed => f.write_str("the time limit of the request has passed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line() {
        let fault = Fault::Malformed("first\nsecond".into());
        let body = fault.response().into_body();
        let text = format!("{body:?}");
        assert!(text.contains("first second"), "{text}");
    }
}
