//! `admissionregistration.k8s.io` and `admission.k8s.io`: the webhooks that a config asks for, and the reviews
//! that they get.

pub mod review;
pub mod webhooks;
