//! The errors of a body that is not a review that PoolGuard can decide.

use super::{API_VERSION, KIND};
use crate::json::JsonError;

/// The reason why a body is not a review that PoolGuard can decide.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// The body is not UTF-8 text.
    #[error("it is not UTF-8 text: {0}")]
    Utf8(std::str::Utf8Error),
    /// The body is not a JSON object, for example YAML.
    #[error("the body is not an {KIND} in JSON: {0}")]
    NoObject(JsonError),
    /// The body is not JSON, or does not have the shape that the API defines.
    #[error("{0}")]
    Json(JsonError),
    /// A review that is made here cannot be written.
    #[error("{0}")]
    Object(serde_json::Error),
    /// The body has another kind or version than a review.
    #[error("expected {KIND} of {API_VERSION}, found {kind:?} of {api_version:?}")]
    Version {
        /// `kind`
        kind: String,
        /// `apiVersion`
        api_version: String,
    },
    /// A resource that the rules read, in a version that they do not read.
    #[error(
        "PoolGuard cannot judge {resource} of {}: it reads only {resource} of {}",
        api_version(group, found),
        api_version(group, expected)
    )]
    ResourceVersion {
        /// API group; empty for the core group.
        group: String,
        /// The version of the request.
        found: String,
        /// Plural name.
        resource: String,
        /// The version that the rules read.
        expected: &'static str,
    },
    /// An operation that Kubernetes does not have.
    #[error("PoolGuard does not know the operation {0:?}")]
    Operation(String),
    /// A part that every review has is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A part is longer than any that an API server sends.
    #[error("{part} has {bytes} bytes; an API server sends at most {most}")]
    TooLong {
        /// The name of the part, such as `request.uid`.
        part: &'static str,
        /// The length of the part in bytes.
        bytes: usize,
        /// The largest length in bytes that an API server sends.
        most: usize,
    },
}

impl From<JsonError> for Malformed {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        Self::Object(error)
    }
}

/// `apiVersion` as an object writes it, in one line.
fn api_version(group: &str, version: &str) -> String {
    let version = version.escape_debug();
    if group.is_empty() { version.to_string() } else { format!("{group}/{version}") }
}
