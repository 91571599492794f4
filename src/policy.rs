//! The decision core: values in, values out.
//!
//! ```text
//! Policy ───┐
//! Snapshot ─┼─▶ decide ─▶ Verdict
//! Request ──┘
//! ```
//!
//! Pure and total: no clock, no environment, no I/O, no logging, no panic. What a request asks is
//! in [`request`], what the cluster is in [`snapshot`], what the config says in [`Policy`] and the
//! modules that its fields name, what comes out in [`verdict`]. Every rule has a file of its own
//! under [`rules`]; its documentation is what users read.
#![deny(clippy::disallowed_methods, reason = "a decision has no clock, environment, file or task")]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(
    test,
    allow(
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a test may fail"
    )
)]

pub mod identity;
pub mod mode;
pub mod name;
pub mod object;
pub mod pool;
pub mod protection;
pub mod provider;
pub mod selector;
pub mod taint;
pub mod text;

use self::{
    identity::{AutoMq, Exemption, TrustedPrincipals},
    mode::Rules,
    pool::{Instance, PlacementSettings, Pool},
    protection::Protected,
    provider::{MachineTypes, Provider},
    taint::Taint,
};

/// What the config says, checked and ready: made by [`crate::config`] only.
#[derive(Clone, Debug)]
pub struct Policy {
    /// From the config, or read from the nodes; `None` while neither tells.
    pub provider: Option<Provider>,
    /// The label by which the provider names a node's pool.
    pub node_pool_labels: Vec<String>,
    /// Which pods are AutoMQ's.
    pub automq: AutoMq,
    /// The default taint, by which undeclared pools are found.
    pub taint: Taint<'static>,
    /// Whether nodes with a pool's taint outside every declared pool form pools of their own.
    pub discovery: bool,
    /// Declared pools; the first one that selects a node has it.
    pub pools: Vec<Pool>,
    /// Instances; the first one that matches a pod has it.
    pub instances: Vec<Instance>,
    /// Pods that may run on dedicated nodes.
    pub exempt: Vec<Exemption>,
    /// Protected objects: the config's entries, then those of the presets.
    pub protected: Vec<Protected>,
    /// Who passes `node-taint`, `node-identity` and `role-binding`.
    pub trusted: TrustedPrincipals,
    /// Groups whose members are always allowed, and always recorded.
    pub break_glass_groups: Vec<String>,
    /// How placement reads tolerations and taints.
    pub placement: PlacementSettings,
    /// The catalog for this provider, as the config extends or replaces it.
    pub machine_types: MachineTypes,
    /// Modes.
    pub rules: Rules,
}
