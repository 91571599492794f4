//! The leaf of a replica, and the choice of the time and the authority to sign a new one.

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use super::{
    authority::{Authority, Validity},
    stored::Stored,
};

/// The leaf that a replica serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The authority that signed it.
    pub signer: CertificateDer<'static>,
    /// The period in which the leaf is valid.
    pub validity: Validity,
}

impl Leaf {
    /// The authority to sign a new leaf with; `None` while this one is good.
    ///
    /// An authority that the registered entries do not trust yet waits as long as the old leaf lasts:
    /// that happens when somebody deletes the Secret, and never in a rotation.
    pub fn successor<'s>(
        leaf: Option<&Self>,
        stored: &'s Stored,
        registered: Option<&[CertificateDer<'static>]>,
        now: Timestamp,
    ) -> Option<&'s Authority> {
        let current = &stored.current;
        let is_trusted = |authority: &CertificateDer<'static>| {
            registered.is_none_or(|bundle| bundle.contains(authority))
        };
        let is_good = leaf.is_some_and(|leaf| {
            let is_alive = leaf.validity.contains(now);
            if leaf.signer == *current.certificate() {
                is_alive && !leaf.validity.is_due(now)
            } else {
                is_alive && is_trusted(&leaf.signer) && !is_trusted(current.certificate())
            }
        });
        (!is_good && current.validity().contains(now)).then_some(current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::certificates::authority::LEAF_LIFETIME;

    fn start() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().expect("is a time")
    }

    fn authority() -> Authority {
        Authority::generate(start()).expect("generates")
    }

    fn leaf_of(authority: &Authority) -> Leaf {
        let signed = authority.sign(&["localhost".to_owned()], start()).expect("signs");
        Leaf { signer: authority.certificate().clone(), validity: signed.validity }
    }

    #[test]
    fn a_leaf_is_renewed_when_it_is_due_by_the_wall_clock() {
        let stored = Stored::new(authority());
        let leaf = leaf_of(&stored.current);
        let at = |now| Leaf::successor(Some(&leaf), &stored, None, now).is_some();
        assert!(!at(start()));
        assert!(at(start() + LEAF_LIFETIME / 3 * 2));
        assert!(at(start() + LEAF_LIFETIME * 2), "it slept through all of it");
        assert!(Leaf::successor(None, &stored, None, start()).is_some());
    }

    #[test]
    fn a_leaf_from_the_future_is_replaced() {
        let stored = Stored::new(authority());
        let leaf = leaf_of(&stored.current);
        let leaf =
            Leaf { validity: Validity { start: start() + LEAF_LIFETIME, ..leaf.validity }, ..leaf };
        assert!(Leaf::successor(Some(&leaf), &stored, None, start()).is_some());
    }

    #[test]
    fn a_new_authority_signs_as_soon_as_it_is_trusted() {
        let (old, new) = (authority(), authority());
        let leaf = leaf_of(&old);
        let stored = Stored::new(new.clone());
        let is_replaced = |registered: &[CertificateDer<'static>]| {
            Leaf::successor(Some(&leaf), &stored, Some(registered), start()).is_some()
        };
        assert!(!is_replaced(&[old.certificate().clone()]));
        assert!(is_replaced(&[old.certificate().clone(), new.certificate().clone()]));
        assert!(is_replaced(&[]), "the old one is trusted no more than the new one");
    }
}
