//! Conversion of `admission.k8s.io/v1` reviews into a [`Request`], and of a [`Verdict`] back into a review.
//!
//! This module is the only place that knows the wire format. It is synchronous and does no I/O. A body that it
//! cannot read is an error and never an answer.

mod malformed;
mod manifest;
mod parse;
mod render;

pub use malformed::Malformed;
pub use manifest::{ManifestError, Requester, create_review};
pub use parse::parse;
pub use render::render;

#[cfg(doc)]
use crate::policy::{request::Request, verdict::Verdict};

/// The API version of reviews, in and out.
pub const API_VERSION: &str = "admission.k8s.io/v1";
/// The kind of reviews.
pub const KIND: &str = "AdmissionReview";
