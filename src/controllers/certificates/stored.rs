//! The Secret of the authority, and the `caBundle` that follows from it.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

use super::{
    authority::{Authority, AuthorityError},
    bundle::{certificates, pem},
};

/// The state that the Secret holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The authority that signs.
    pub current: Authority,
    /// The authority that is to follow.
    pub next: Option<Next>,
    /// The former authorities, which sign no more.
    pub previous: Option<Previous>,
    /// Whether an administrator asks for a rotation.
    pub is_rotation_asked_for: bool,
}

/// An authority that API servers have yet to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// The authority.
    pub authority: Authority,
    /// The time since which the registered bundles have held the authority.
    pub published: Option<Timestamp>,
}

/// Authorities whose leaves may still be alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// The certificates of these authorities.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The time at which the last of their leaves has expired.
    pub until: Timestamp,
}

/// Annotation by which people ask for a rotation: `kubectl annotate secret poolguard-ca
/// poolguard.io/rotate=now`.
pub const ROTATE: &str = "poolguard.io/rotate";
const PUBLISHED: &str = "poolguard.io/next-published-at";
const UNTIL: &str = "poolguard.io/previous-trusted-until";

const CURRENT_CERTIFICATE: &str = "current.crt";
const CURRENT_KEY: &str = "current.key";
const NEXT_CERTIFICATE: &str = "next.crt";
const NEXT_KEY: &str = "next.key";
const PREVIOUS_CERTIFICATES: &str = "previous.crt";

/// The reason why a Secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// A key of `data` is missing, or its value is not valid base64.
    #[error("it has no readable {0}")]
    Missing(&'static str),
    /// The certificate and the key of an authority cannot be read.
    #[error("{0}: {1}")]
    Authority(&'static str, AuthorityError),
}

impl Stored {
    /// Creates the state with this authority alone, without a next or a previous one.
    pub fn new(current: Authority) -> Self {
        Self { current, next: None, previous: None, is_rotation_asked_for: false }
    }

    /// Reads a Secret. A damaged `next` or `previous` is left out, since it can be made again; a
    /// damaged `current` is an error.
    pub fn read(secret: &Value) -> Result<Self, StoredError> {
        let data = |key: &'static str| {
            let text = secret.get("data").and_then(|data| data.get(key)).and_then(Value::as_str);
            text.and_then(|text| STANDARD.decode(text).ok()).ok_or(StoredError::Missing(key))
        };
        let authority = |certificate: &'static str, key: &'static str| {
            Authority::read(&data(certificate)?, &data(key)?)
                .map_err(|error| StoredError::Authority(certificate, error))
        };
        let annotation = |key: &str| {
            let annotations = secret.pointer("/metadata/annotations");
            annotations.and_then(|it| it.get(key)).and_then(Value::as_str)
        };
        let time = |key: &str| annotation(key).and_then(|text| text.parse().ok());
        let current = authority(CURRENT_CERTIFICATE, CURRENT_KEY)?;
        let next = authority(NEXT_CERTIFICATE, NEXT_KEY).ok();
        let next = next.map(|authority| Next { authority, published: time(PUBLISHED) });
        let previous =
            data(PREVIOUS_CERTIFICATES).map(|pem| certificates(&pem)).unwrap_or_default();
        let previous = match time(UNTIL) {
            Some(until) if !previous.is_empty() => Some(Previous { certificates: previous, until }),
            Some(_) | None => None,
        };
        let is_rotation_asked_for = annotation(ROTATE).is_some();
        Ok(Self { current, next, previous, is_rotation_asked_for })
    }

    /// `data` and the annotations of a Secret, for a body that writes them all.
    pub fn write(&self) -> (Value, Value) {
        let Self { current, next, previous, is_rotation_asked_for } = self;
        let mut data = BTreeMap::new();
        let mut annotations = BTreeMap::new();
        data.insert(CURRENT_CERTIFICATE, pem([current.certificate()]));
        data.insert(CURRENT_KEY, current.key_pem().to_owned());
        if let Some(Next { authority, published }) = next {
            data.insert(NEXT_CERTIFICATE, pem([authority.certificate()]));
            data.insert(NEXT_KEY, authority.key_pem().to_owned());
            if let Some(published) = published {
                annotations.insert(PUBLISHED, published.to_string());
            }
        }
        if let Some(Previous { certificates, until }) = previous {
            data.insert(PREVIOUS_CERTIFICATES, pem(certificates));
            annotations.insert(UNTIL, until.to_string());
        }
        if *is_rotation_asked_for {
            annotations.insert(ROTATE, "now".to_owned());
        }
        let data: BTreeMap<_, _> =
            data.into_iter().map(|(key, text)| (key, STANDARD.encode(text))).collect();
        (json!(data), json!(annotations))
    }

    /// Every authority that API servers have to trust: the one that signs first.
    pub fn bundle(&self) -> Vec<CertificateDer<'static>> {
        let next = self.next.iter().map(|next| next.authority.certificate());
        let previous = self.previous.iter().flat_map(|previous| &previous.certificates);
        std::iter::once(self.current.certificate()).chain(next).chain(previous).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> Authority {
        Authority::generate(Timestamp::UNIX_EPOCH).expect("generates")
    }

    fn secret(stored: &Stored) -> Value {
        let (data, annotations) = stored.write();
        json!({"metadata": {"annotations": annotations}, "data": data})
    }

    #[test]
    fn what_is_written_is_read() {
        let plain = Stored::new(authority());
        assert_eq!(Stored::read(&secret(&plain)).expect("reads"), plain);
        let full = Stored {
            next: Some(Next { authority: authority(), published: Some(Timestamp::UNIX_EPOCH) }),
            previous: Some(Previous {
                certificates: vec![authority().certificate().clone()],
                until: Timestamp::MAX,
            }),
            is_rotation_asked_for: true,
            ..plain
        };
        assert_eq!(Stored::read(&secret(&full)).expect("reads"), full);
        assert_eq!(full.bundle().len(), 3);
    }

    #[test]
    fn a_damaged_current_authority_is_an_error_and_a_damaged_next_is_none() {
        let stored = Stored {
            next: Some(Next { authority: authority(), published: None }),
            ..Stored::new(authority())
        };
        let mut damaged = secret(&stored);
        damaged["data"]["next.key"] = "AAAA".into();
        assert_eq!(Stored::read(&damaged).expect("reads").next, None);
        damaged["data"]["current.crt"] = "%%%".into();
        let error = Stored::read(&damaged).expect_err("is damaged").to_string();
        assert_eq!(error, "it has no readable current.crt");
        assert!(Stored::read(&json!({})).is_err());
    }
}
