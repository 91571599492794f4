//! `admission.k8s.io/v1` to [`Request`] and [`Verdict`] to `admission.k8s.io/v1`.
//!
//! The only place that knows the wire format. Synchronous, without I/O; what it cannot read is an
//! error and never an answer.

mod malformed;
mod manifest;
mod parse;
mod render;

pub use malformed::Malformed;
pub use manifest::{Asker, ManifestError, create_review};
pub use parse::parse;
pub use render::render;

#[cfg(doc)]
use crate::policy::{request::Request, verdict::Verdict};

/// The API version of reviews, in and out.
pub const API_VERSION: &str = "admission.k8s.io/v1";
/// The kind of reviews.
pub const KIND: &str = "AdmissionReview";
