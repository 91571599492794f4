//! Certificates that PoolGuard makes for itself: one authority in a Secret, shared by every replica,
//! and a short-lived leaf that each replica signs in memory.
//!
//! ```text
//! Secret ──read──▶ Stored ──plan──▶ Step      what the Lease holder does next, by wall clock
//!                    │
//!                    └──sign──▶ leaf          what each replica serves
//! ```
//!
//! No replica talks to another. The Secret says which authority signs, which one is to follow, and
//! which ones may have signed leaves that are still alive: together they are the `caBundle`.

pub mod authority;
pub mod bundle;
pub mod client_ca;
pub mod files;
pub mod leaf;
pub mod own_authority;
pub mod plan;
pub mod private;
pub mod stored;

use std::sync::Arc;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

/// Wall clock, which tests turn by hand.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Authorities, the one that signs first.
pub type Bundle = Vec<CertificateDer<'static>>;

/// The authorities that the registered webhook configurations trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The state before PoolGuard has read the configurations, with the reason if it is known.
    Unknown(Option<String>),
    /// An empty registration: there is no webhook entry, so no request arrives.
    Nothing,
    /// The authorities that every entry trusts.
    Trusts(Bundle),
}

impl Registered {
    /// The authorities that every entry trusts, where there are entries.
    pub fn bundle(&self) -> Option<&[CertificateDer<'static>]> {
        match self {
            Self::Unknown(_) | Self::Nothing => None,
            Self::Trusts(bundle) => Some(bundle),
        }
    }
}
