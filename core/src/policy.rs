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
//! under `rules/`; its documentation is what users read.

pub mod approved_types;
pub mod membership;
pub mod mode;
pub mod node_pool;
pub mod placement;
pub mod pod_owner;
pub mod pool;
pub mod principal;
pub mod protection;
pub mod provider;
pub mod request;
pub mod snapshot;
pub mod verdict;
pub mod zone;

mod advice;
mod rules;

use std::sync::Arc;

pub use self::rules::{NodePoolFinding, PlacementAdditions, TERMS_MAX};
use self::{
    mode::{BackstopMode, Mode, RuleModes},
    pod_owner::{AutoMq, Exemption},
    pool::{Instance, PlacementSettings, Pool},
    principal::{TrustedPrincipals, User},
    protection::Protected,
    provider::{MachineTypes, Provider},
    request::{Reads, Request, Target, View},
    snapshot::Snapshot,
    verdict::{FindingCollector, Verdict},
};
use crate::kubernetes::{object::NodePoolKind, resource::GroupResource, taint::Taint};

/// The config, checked and ready: made by [`crate::config`] only.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The provider, from the config or read from the nodes; `None` while neither tells.
    pub provider: Option<Provider>,
    /// The label by which the provider names a node's pool.
    pub node_pool_labels: Vec<String>,
    /// The conditions for an AutoMQ pod.
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
    /// Custom resources that make nodes.
    pub node_pool_kinds: Vec<Arc<NodePoolKind>>,
    /// The custom resources whose changes the API server sends, if the config names them; `None` stands for
    /// those that the cluster has.
    pub node_pool_objects: Option<Vec<GroupResource>>,
    /// The principals that pass `node-taint`, `node-identity` and `role-binding`.
    pub trusted: TrustedPrincipals,
    /// Groups whose members are always allowed, and always recorded.
    pub break_glass_groups: Vec<String>,
    /// The settings by which placement reads tolerations and taints.
    pub placement: PlacementSettings,
    /// The catalog for this provider, as the config extends or replaces it.
    pub machine_types: MachineTypes,
    /// The modes of the rules.
    pub rules: RuleModes,
    /// Whether the API server has a backstop.
    pub backstop: BackstopMode,
}

/// The two calls that an API server makes, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The mutating call, which may change the object. It denies only what a backstop would deny before the
    /// other call.
    Mutate,
    /// The validating call, which may deny, and changes nothing.
    Validate,
}

/// Decides a request.
pub fn decide(
    policy: &Policy,
    snapshot: &Snapshot,
    phase: Phase,
    request: &Request<'_>,
) -> Verdict {
    let mut report = FindingCollector::default();
    rules::judge(policy, snapshot, phase, request, &mut report);
    if phase == Phase::Validate
        && let Some(group) = policy.break_glass_group(&request.user)
    {
        report.break_glass(group);
    }
    report.into_verdict()
}

impl Policy {
    /// Returns the parts of a request's objects that the rules read.
    pub fn reads(&self, snapshot: &Snapshot, phase: Phase, target: &Target<'_>) -> Reads {
        let view = match (phase, View::of(target)) {
            (Phase::Validate, view) | (Phase::Mutate, view @ (View::Pod | View::Node)) => view,
            (Phase::Mutate, View::Binding) if self.answers_before_backstop() => View::Binding,
            (Phase::Mutate, _) => View::Irrelevant,
        };
        let raw_objects = phase == Phase::Validate
            && (self.protects(snapshot, target) || self.judges_node_pool(target));
        Reads { view, raw_objects }
    }

    /// Whether PoolGuard answers requests about pods in the mutating phase, before a backstop does.
    pub fn answers_before_backstop(&self) -> bool {
        self.backstop != BackstopMode::Off && self.rules.pod_intrusion == Mode::Enforce
    }

    /// Whether the config or the provider's preset trusts this user.
    pub fn trusts(&self, user: &User<'_>) -> bool {
        self.trusted.configured.include(user) || self.trusted.preset.include(user)
    }

    /// The break-glass group that this user is a member of.
    pub fn break_glass_group(&self, user: &User<'_>) -> Option<&str> {
        let mut groups = self.break_glass_groups.iter();
        groups.find(|group| user.is_in(group)).map(String::as_str)
    }
}
