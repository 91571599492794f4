//! The plan for the authority: the next step of the Lease holder, and the time for which a former authority stays.
//! It plans one step at a time, by wall clock.
//!
//! ```text
//! current ──due──▶ current + next ──published, and a wait──▶ next is current, the old one previous
//!                                                            ──its leaves have expired──▶ current
//! ```
//!
//! Each step is stored before the next one is planned. A replica that takes over the Lease therefore goes on with the
//! step that is due. The `caBundle` is always [`Stored::bundle`]; a step that needs a registered `caBundle` asks which
//! one is registered.

use std::time::Duration;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use super::{
    authority::{Authority, AuthorityError, LEAF_LIFETIME, Validity},
    stored::{Next, Previous, Stored, StoredError},
};

/// The default time that an authority waits after its publication before it signs: every API server must have
/// seen it.
pub const DEFAULT_WAIT: Duration = Duration::from_mins(2);

/// The number of retired authorities that stay trusted. Each rotation moves [`Previous::until`], so rotations
/// that follow each other faster than leaves expire would let the `caBundle` of every entry grow without end.
/// A replica signs a new leaf as soon as it reads the Secret, so only one that has missed this many rotations
/// still presents an older authority's leaf.
const PREVIOUS_MAX: usize = 4;

/// The facts from which the next step is planned.
#[derive(Debug)]
pub struct PlanInput<'s> {
    /// The Secret as it is: absent, damaged or readable.
    pub secret: Option<Result<Stored, StoredError>>,
    /// The state that this replica read or wrote last.
    pub remembered: Option<&'s Stored>,
    /// The authorities that every registered entry trusts; `None` if nothing is registered.
    pub registered: Option<&'s [CertificateDer<'static>]>,
    /// Wall clock.
    pub now: Timestamp,
    /// The time that an authority waits before it signs: see [`DEFAULT_WAIT`].
    pub wait: Duration,
}

/// The next step of the Lease holder.
#[derive(Debug, PartialEq, Eq)]
pub enum RotationStep {
    /// The Lease holder has nothing to do for now.
    Rest,
    /// The Lease holder stores this state in the Secret, for this reason.
    Store(Box<Stored>, Reason),
}

/// The reason why the Lease holder stores a new state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The first authority was created, because there was none yet.
    Created,
    /// The Secret was gone or damaged, and this replica remembered it.
    Restored,
    /// The authority could not be used any more: it has expired, or a clock was wrong.
    Replaced,
    /// The next authority has been made.
    Announced,
    /// The next authority is registered.
    Published,
    /// The next authority signs.
    Promoted,
    /// The leaves of an old authority have expired.
    Retired,
}

impl Reason {
    /// Returns the description of the step for the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created a certificate authority",
            Self::Restored => {
                "restored the Secret of the certificate authority, which was missing or damaged"
            }
            Self::Replaced => "replaced the certificate authority, which was no longer valid",
            Self::Announced => "rotation: created the next certificate authority",
            Self::Published => {
                "rotation: every registered webhook trusts the next certificate authority"
            }
            Self::Promoted => "rotation: the next certificate authority signs from now on",
            Self::Retired => "rotation: removed the old certificate authority from the webhooks",
        }
    }
}

/// Plans the next step.
pub fn plan(input: PlanInput<'_>) -> Result<RotationStep, AuthorityError> {
    let PlanInput { secret, remembered, registered, now, wait } = input;
    let is_usable = |stored: &&Stored| stored.current.validity().contains(now);
    let stored = match secret {
        Some(Ok(stored)) => stored,
        lost @ (Some(Err(_)) | None) => {
            if let Some(known) = remembered.filter(is_usable) {
                return Ok(store(known.clone(), Reason::Restored));
            }
            let previous = previous(None, registered.unwrap_or_default(), now);
            let stored = Stored { previous, ..Stored::new(Authority::generate(now)?) };
            let reason = if lost.is_some() { Reason::Replaced } else { Reason::Created };
            return Ok(store(stored, reason));
        }
    };
    if !is_usable(&&stored) {
        return replace(stored, now);
    }
    if let Some(next) = &stored.next {
        return Ok(rotate(&stored, next, registered, now, wait));
    }
    if stored.is_rotation_asked_for || stored.current.validity().is_due(now) {
        let next = Next { authority: Authority::generate(now)?, published: None };
        return Ok(store(Stored { next: Some(next), ..stored }, Reason::Announced));
    }
    if stored.previous.as_ref().is_some_and(|previous| previous.until <= now) {
        return Ok(store(Stored { previous: None, ..stored }, Reason::Retired));
    }
    Ok(RotationStep::Rest)
}

/// Plans one step of a rotation that has begun.
fn rotate(
    stored: &Stored,
    next: &Next,
    registered: Option<&[CertificateDer<'static>]>,
    now: Timestamp,
    wait: Duration,
) -> RotationStep {
    let certificate = next.authority.certificate();
    // Where nothing is registered, nobody asks.
    let is_trusted = registered.is_none_or(|bundle| bundle.contains(certificate));
    // A clock that was set back must not lengthen the wait by that much.
    let published = next.published.filter(|published| *published <= now);
    match published {
        _ if !is_trusted && published.is_some() => {
            let next = Some(Next { published: None, ..next.clone() });
            store(Stored { next, ..stored.clone() }, Reason::Announced)
        }
        _ if !is_trusted => RotationStep::Rest,
        None => {
            let next = Some(Next { published: Some(now), ..next.clone() });
            store(Stored { next, ..stored.clone() }, Reason::Published)
        }
        Some(published) if published.duration_until(now).unsigned_abs() >= wait => {
            let mut promoted = Stored::new(next.authority.clone());
            let retired = [stored.current.certificate().clone()];
            promoted.previous = previous(stored.previous.clone(), &retired, now);
            store(promoted, Reason::Promoted)
        }
        Some(_) => RotationStep::Rest,
    }
}

/// The step that replaces an authority which is not valid now. A gradual rotation is not possible, because no client
/// trusts its leaves.
fn replace(stored: Stored, now: Timestamp) -> Result<RotationStep, AuthorityError> {
    let old = stored.current.certificate().clone();
    let next = stored.next.map(|next| next.authority);
    let current = match next.filter(|next| next.validity().contains(now)) {
        Some(next) => next,
        None => Authority::generate(now)?,
    };
    let previous = previous(stored.previous, &[old], now);
    Ok(store(Stored { previous, ..Stored::new(current) }, Reason::Replaced))
}

/// Authorities that are to be trusted until their last leaf has expired. Those that have expired
/// themselves are left out.
fn previous(
    before: Option<Previous>,
    retired: &[CertificateDer<'static>],
    now: Timestamp,
) -> Option<Previous> {
    let before = before.filter(|previous| previous.until > now);
    let mut certificates = before.map(|previous| previous.certificates).unwrap_or_default();
    for certificate in retired {
        let is_valid = Validity::of(certificate).is_ok_and(|validity| validity.contains(now));
        if is_valid && !certificates.contains(certificate) {
            certificates.push(certificate.clone());
        }
    }
    certificates.drain(..certificates.len().saturating_sub(PREVIOUS_MAX));
    let until = now.saturating_add(LEAF_LIFETIME).unwrap_or(Timestamp::MAX);
    (!certificates.is_empty()).then_some(Previous { certificates, until })
}

fn store(stored: Stored, reason: Reason) -> RotationStep {
    RotationStep::Store(Box::new(stored), reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::certificates::authority::AUTHORITY_LIFETIME;

    const WAIT: Duration = DEFAULT_WAIT;
    const DAY: Duration = Duration::from_hours(24);

    fn start() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().expect("is a time")
    }

    fn made(now: Timestamp) -> Stored {
        Stored::new(Authority::generate(now).expect("generates"))
    }

    /// The cluster as the holder sees it: the Secret, and a bundle that follows it when it may.
    struct Cluster {
        secret: Option<Stored>,
        remembered: Option<Stored>,
        registered: Vec<CertificateDer<'static>>,
        is_registration_stuck: bool,
        now: Timestamp,
    }

    impl Cluster {
        fn with(stored: Stored, now: Timestamp) -> Self {
            let registered = stored.bundle();
            let secret = Some(stored);
            Self { secret, remembered: None, registered, is_registration_stuck: false, now }
        }

        /// Steps until there is nothing to do, each by a holder that knows what is stored only.
        fn settle(&mut self) -> Vec<Reason> {
            let mut reasons = Vec::new();
            loop {
                let step = plan(PlanInput {
                    secret: self.secret.clone().map(Ok),
                    remembered: self.remembered.as_ref(),
                    registered: Some(&self.registered),
                    now: self.now,
                    wait: WAIT,
                });
                let RotationStep::Store(stored, reason) = step.expect("plans") else {
                    return reasons;
                };
                assert!(reasons.len() < 10, "{reasons:?}");
                reasons.push(reason);
                if !self.is_registration_stuck {
                    self.registered = stored.bundle();
                }
                self.secret = Some(*stored);
            }
        }

        fn secret(&self) -> &Stored {
            self.secret.as_ref().expect("is there")
        }
    }

    #[test]
    fn the_first_replica_makes_an_authority_and_then_rests() {
        let mut cluster = Cluster::with(made(start()), start());
        cluster.secret = None;
        cluster.registered.clear();
        assert_eq!(cluster.settle(), [Reason::Created]);
        assert_eq!(cluster.settle(), []);
    }

    #[test]
    fn a_rotation_publishes_waits_promotes_and_retires() {
        let mut cluster = Cluster::with(made(start()), start());
        let old = cluster.secret().current.clone();
        cluster.now = start() + AUTHORITY_LIFETIME / 3 * 2;
        assert_eq!(cluster.settle(), [Reason::Announced, Reason::Published]);
        assert_eq!(cluster.secret().current, old, "nobody may sign with the next one yet");
        assert_eq!(cluster.registered.len(), 2);
        cluster.now += WAIT;
        assert_eq!(cluster.settle(), [Reason::Promoted]);
        assert_ne!(cluster.secret().current, old);
        assert!(cluster.registered.contains(old.certificate()), "its leaves are still alive");
        cluster.now += LEAF_LIFETIME;
        assert_eq!(cluster.settle(), [Reason::Retired]);
        assert_eq!(cluster.registered, [cluster.secret().current.certificate().clone()]);
    }

    #[test]
    fn a_rotation_waits_for_the_registered_bundle() {
        let mut cluster = Cluster::with(made(start()), start() + AUTHORITY_LIFETIME / 3 * 2);
        cluster.is_registration_stuck = true;
        assert_eq!(cluster.settle(), [Reason::Announced]);
        cluster.now += DAY;
        assert_eq!(cluster.settle(), []);
        cluster.registered = cluster.secret().bundle();
        assert_eq!(cluster.settle(), [Reason::Published]);
    }

    #[test]
    fn a_bundle_that_another_client_takes_back_starts_the_wait_again() {
        let mut cluster = Cluster::with(made(start()), start() + AUTHORITY_LIFETIME / 3 * 2);
        cluster.settle();
        let bundle = cluster.registered.clone();
        cluster.registered.truncate(1);
        cluster.is_registration_stuck = true;
        cluster.now += WAIT;
        assert_eq!(cluster.settle(), [Reason::Announced]);
        cluster.registered = bundle;
        assert_eq!(cluster.settle(), [Reason::Published]);
        cluster.now += WAIT / 2;
        assert_eq!(cluster.settle(), []);
    }

    #[test]
    fn an_administrator_can_ask_for_a_rotation() {
        let mut cluster = Cluster::with(made(start()), start());
        cluster.secret.as_mut().expect("is there").is_rotation_asked_for = true;
        assert_eq!(cluster.settle(), [Reason::Announced, Reason::Published]);
        cluster.now += WAIT;
        assert_eq!(cluster.settle(), [Reason::Promoted]);
        assert!(!cluster.secret().is_rotation_asked_for, "once is enough");
    }

    #[test]
    fn a_secret_that_is_gone_is_restored_by_whoever_remembers_it() {
        let mut cluster = Cluster::with(made(start()), start());
        cluster.remembered = cluster.secret.take();
        assert_eq!(cluster.settle(), [Reason::Restored]);
        assert_eq!(cluster.secret, cluster.remembered);
    }

    #[test]
    fn a_secret_that_is_gone_and_forgotten_leaves_its_authority_trusted() {
        let mut cluster = Cluster::with(made(start()), start());
        let old = cluster.secret.take().expect("is there");
        assert_eq!(cluster.settle(), [Reason::Created]);
        assert!(cluster.registered.contains(old.current.certificate()));
        cluster.now += LEAF_LIFETIME;
        assert_eq!(cluster.settle(), [Reason::Retired]);
    }

    #[test]
    fn a_damaged_secret_is_restored_or_replaced() {
        let known = made(start());
        let lost = |remembered| {
            plan(PlanInput {
                secret: Some(Err(StoredError::Missing("current.key"))),
                remembered,
                registered: None,
                now: start(),
                wait: WAIT,
            })
        };
        let restored = RotationStep::Store(Box::new(known.clone()), Reason::Restored);
        assert_eq!(lost(Some(&known)).expect("plans"), restored);
        let Ok(RotationStep::Store(stored, Reason::Replaced)) = lost(None) else {
            panic!("is replaced")
        };
        assert!(stored.current.validity().contains(start()));
    }

    #[test]
    fn an_expired_authority_is_replaced_at_once() {
        let mut cluster = Cluster::with(made(start()), start() + AUTHORITY_LIFETIME + DAY);
        assert_eq!(cluster.settle(), [Reason::Replaced]);
        assert_eq!(cluster.secret().previous, None, "nobody could trust it");
    }

    #[test]
    fn an_authority_of_the_future_is_replaced_when_the_clock_is_right_again() {
        let mut cluster = Cluster::with(made(start() + DAY * 30), start());
        assert_eq!(cluster.settle(), [Reason::Replaced]);
        assert!(cluster.secret().current.validity().contains(start()));
    }

    #[test]
    fn a_clock_that_is_set_back_in_a_rotation_starts_the_wait_again() {
        let mut cluster = Cluster::with(made(start()), start() + AUTHORITY_LIFETIME / 3 * 2);
        cluster.settle();
        cluster.now -= Duration::from_mins(30);
        assert_eq!(cluster.settle(), [Reason::Published]);
        cluster.now += WAIT;
        assert_eq!(cluster.settle(), [Reason::Promoted]);
    }

    #[test]
    fn two_rotations_in_a_row_keep_every_living_leaf_trusted() {
        let mut cluster = Cluster::with(made(start()), start());
        let mut seen = vec![cluster.secret().current.certificate().clone()];
        for _ in 0..2 {
            cluster.secret.as_mut().expect("is there").is_rotation_asked_for = true;
            cluster.settle();
            cluster.now += WAIT;
            cluster.settle();
            seen.push(cluster.secret().current.certificate().clone());
        }
        assert!(seen.iter().all(|certificate| cluster.registered.contains(certificate)));
    }

    #[test]
    fn rotations_without_end_keep_the_bundle_bounded_and_the_newest_authorities_trusted() {
        let mut cluster = Cluster::with(made(start()), start());
        let mut seen = vec![cluster.secret().current.certificate().clone()];
        for _ in 0..3 * PREVIOUS_MAX {
            cluster.secret.as_mut().expect("is there").is_rotation_asked_for = true;
            cluster.settle();
            cluster.now += WAIT;
            cluster.settle();
            seen.push(cluster.secret().current.certificate().clone());
        }
        let (dropped, kept) = seen.split_at(seen.len() - PREVIOUS_MAX - 1);
        assert!(kept.iter().all(|certificate| cluster.registered.contains(certificate)));
        assert!(!dropped.iter().any(|certificate| cluster.registered.contains(certificate)));
    }
}
