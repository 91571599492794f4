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
pub mod leaf;
pub mod plan;
pub mod stored;
