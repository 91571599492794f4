//! The webhook entries that a config asks for: what the API server sends where, and what becomes
//! of it while PoolGuard does not answer.
//!
//! An entry is not bound to a rule: `/validate` evaluates every rule for each request that it
//! receives. The entries of one configuration are therefore disjoint, so that a request is judged and
//! recorded once. `overlap` sees to that where an object is protected and of a kind that has an entry
//! of its own.
//! Fail-closed is only what a rule that enforces would deny, told from its own objects; everything
//! else fails open. A fail-closed entry never holds break-glass requests: those go to its counterpart,
//! which fails open and records. The counterparts are in the mutating configuration, so that a pod that no
//! rule is about costs one filter in each phase, and not two in one.
//!
//! An entry may send more than a rule denies, since the rule decides; it never keeps back what a
//! rule would deny, but for the namespaces that are outside for everybody: PoolGuard's own and
//! kube-system, whose pods must start while PoolGuard does not.

mod backstop;
mod cel;
mod namespaces;
mod node_pools;
mod nodes;
mod object;
mod overlap;
mod placement;
mod placement_policy;
mod pod_owner;
mod pods;
mod principals;
mod protected;
mod reach;
mod roles;
mod workloads;

use self::cel::Cel;
use crate::{
    kubernetes::{resource::version_read, selector::LabelSelector},
    policy::{
        Phase, Policy,
        mode::{BackstopMode, Mode},
        request::Operation,
    },
};

pub use self::{
    backstop::{Backstop, NOT_ANSWERED, NoBackstop, Omitted, backstop},
    object::{Address, Installation, Owner},
    placement_policy::placement_policy,
};

/// The webhook entries that are registered with the API server, sorted by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entries {
    /// The entries of the mutating configuration, which the API server calls first.
    pub mutating: Vec<WebhookEntry>,
    /// The entries of the validating configuration.
    pub validating: Vec<WebhookEntry>,
}

/// A webhook: the requests that the API server sends, and the path that it sends them to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookEntry {
    /// A domain name of at least three labels.
    pub name: String,
    /// The path that the API server calls. It can differ from the path of the configuration: an entry that only
    /// records is called at `/validate`, wherever it is registered.
    pub path: Phase,
    /// The decision of the API server about a request that PoolGuard does not answer.
    pub failure_policy: FailurePolicy,
    /// The requests that are sent, by resource and operation.
    pub rules: Vec<WebhookRule>,
    /// The requests that are sent, by namespace. An object without a namespace is sent in any case.
    pub namespaces: NamespaceScope,
    /// The requests that are sent, by the labels of the object.
    pub objects: LabelSelector,
    /// The requests that are sent, by everything else. A request must meet all conditions.
    pub conditions: Vec<MatchCondition>,
    /// The time in seconds that the API server waits for an answer.
    pub timeout_seconds: u8,
    /// Whether a mutating entry is called again after others have changed the object.
    pub reinvocation: Reinvocation,
}

/// The decision of the API server about a request that the webhook does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailurePolicy {
    /// The API server rejects the request.
    Fail,
    /// The API server allows the request.
    Ignore,
}

impl FailurePolicy {
    /// Returns the policy as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "Fail",
            Self::Ignore => "Ignore",
        }
    }

    /// Returns `Fail` only for the mode in which a rule denies.
    fn of(mode: Mode) -> Self {
        if mode == Mode::Enforce { Self::Fail } else { Self::Ignore }
    }
}

/// Resources of one API group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookRule {
    /// API group; empty for the core group.
    pub group: String,
    /// The version in which the API server sends the resources; `None` for the version in which each object is
    /// written, because PoolGuard does not know the versions of a custom resource.
    pub version: Option<&'static str>,
    /// Resources in the plural, and subresources behind a slash.
    pub resources: Vec<String>,
    /// The operations on the resources.
    pub operations: Vec<Operation>,
    /// Whether the resources have a namespace.
    pub scope: ResourceScope,
}

impl WebhookRule {
    /// Creates a rule for resources, in the version in which PoolGuard reads all of them, if there is one.
    fn new<T: Into<String>>(
        group: &str,
        resources: impl IntoIterator<Item = T>,
        operations: &[Operation],
        scope: ResourceScope,
    ) -> Self {
        let resources = sorted(resources);
        let mut versions = resources.iter().map(|it| version_read(group, whole(it)));
        let first = versions.next().flatten();
        let version = first.filter(|_| versions.all(|it| it == first));
        let (group, operations) = (group.to_owned(), operations.to_vec());
        Self { group, version, resources, operations, scope }
    }
}

/// Returns the resource that a resource or subresource belongs to: `pods` for `pods/binding`.
fn whole(resource: &str) -> &str {
    resource.split_once('/').map_or(resource, |(whole, _)| whole)
}

/// Whether resources have a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceScope {
    /// Resources with a namespace.
    Namespaced,
    /// Resources without a namespace.
    Cluster,
    /// Resources with or without a namespace.
    Any,
}

impl ResourceScope {
    /// Returns the scope as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespaced => "Namespaced",
            Self::Cluster => "Cluster",
            Self::Any => "*",
        }
    }
}

/// Namespaces by exact name, as the API server selects them without an evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamespaceScope {
    /// All namespaces but these.
    Except(Vec<String>),
    /// Only these namespaces.
    Only(Vec<String>),
}

/// A match condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchCondition {
    /// The name, which is unique within its entry.
    pub name: String,
    /// The condition in the Common Expression Language.
    pub expression: String,
}

impl MatchCondition {
    /// Creates a condition; returns `None` for one that holds for every request.
    fn new(name: &str, cel: Cel) -> Option<Self> {
        (cel != Cel::Always).then(|| Self { name: name.to_owned(), expression: cel.into_text() })
    }

    /// Whether the condition leaves people out of a fail-closed entry. The entry's counterpart records some of them.
    fn is_about_recorded_requesters(&self) -> bool {
        principals::EXCLUSIONS.contains(&self.name.as_str())
    }
}

/// Whether a mutating entry is called again after others have changed the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reinvocation {
    /// The API server calls the entry once.
    Never,
    /// The API server may call the entry again, because PoolGuard may have to judge the changed object again.
    IfNeeded,
}

impl Reinvocation {
    /// Returns the policy as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "Never",
            Self::IfNeeded => "IfNeeded",
        }
    }
}

/// The timeout of the entries about nodes and about the placement of pods.
const SHORT_TIMEOUT_SECONDS: u8 = 1;
/// The timeout of all other entries.
const TIMEOUT_SECONDS: u8 = 3;

/// The domain of an entry's name.
const DOMAIN: &str = "poolguard.io";

/// Whether the API server denies intruders by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackstopState {
    /// The API server does not deny intruders by itself, as far as PoolGuard knows.
    #[default]
    Absent,
    /// The API server evaluates the policies that PoolGuard wrote.
    InForce,
}

/// The entries that a policy asks for, with PoolGuard itself in this namespace.
pub fn entries(policy: &Policy, own_namespace: &str, state: BackstopState) -> Entries {
    let outside = pod_owner::Outside::new(policy, own_namespace);
    let mut validating = pods::entries(policy, &outside);
    if policy.answers_before_backstop()
        && policy.backstop == BackstopMode::Instead
        && state == BackstopState::InForce
    {
        validating = pods::entries_beside_backstop(policy, &outside);
    }
    validating.extend(placement::validating(policy, own_namespace));
    validating.extend(workloads::entries(policy, &outside));
    validating.extend(nodes::validating(policy));
    validating.extend(roles::entries(policy));
    validating.extend(node_pools::entry(policy));
    validating.extend(namespaces::entries(policy));
    let mut protected = protected::entries(policy);
    overlap::part(policy, &mut validating, &mut protected);
    validating.extend(protected);
    let mut mutating: Vec<WebhookEntry> =
        placement::mutating(policy).into_iter().chain(nodes::mutating(policy)).collect();
    overlap::leave_to_counterparts(policy, &mut mutating);
    if policy.answers_before_backstop() {
        mutating.extend(pods::first_entries(policy, &outside));
    }
    mutating.extend(validating.iter().filter_map(|entry| entry.fail_open_counterpart(policy)));
    for entries in [&mut mutating, &mut validating] {
        entries.sort_by(|one, other| one.name.cmp(&other.name));
    }
    Entries { mutating, validating }
}

impl WebhookEntry {
    fn new(stem: &str, path: Phase, rules: Vec<WebhookRule>) -> Self {
        Self {
            name: format!("{stem}.{DOMAIN}"),
            path,
            failure_policy: FailurePolicy::Ignore,
            rules,
            namespaces: NamespaceScope::Except(Vec::new()),
            objects: LabelSelector::default(),
            conditions: Vec::new(),
            timeout_seconds: TIMEOUT_SECONDS,
            reinvocation: Reinvocation::Never,
        }
    }

    /// Returns the fail-open counterpart of a fail-closed entry. It records the requests that the entry leaves out:
    /// those of the members of break-glass groups and, for pods, of kubelets, whose mirror pods no answer stops.
    fn fail_open_counterpart(&self, policy: &Policy) -> Option<Self> {
        if self.failure_policy != FailurePolicy::Fail {
            return None;
        }
        let (name, recorded) = self.recorded(policy);
        if recorded == Cel::Never || (policy.answers_before_backstop() && pods::is_first(self)) {
            return None;
        }
        let mut conditions = self.conditions.clone();
        // What a trusted principal does by break-glass is recorded all the same.
        conditions.retain(|it| !it.is_about_recorded_requesters());
        conditions.extend(MatchCondition::new(name, recorded));
        Some(Self {
            name: format!("recorded-{}", self.name),
            failure_policy: FailurePolicy::Ignore,
            conditions,
            ..self.clone()
        })
    }

    /// Returns the name and the expression of the condition for the requests that the counterpart records.
    fn recorded(&self, policy: &Policy) -> (&'static str, Cel) {
        let break_glass = principals::is_break_glass(policy);
        if self.conditions.iter().any(|it| it.name == principals::BY_NO_NODE_COMPONENT) {
            let either = Cel::any([break_glass, principals::is_kubelet()]);
            ("by-break-glass-group-or-kubelet", either)
        } else {
            ("by-break-glass-group", break_glass)
        }
    }
}

/// Returns the texts in order, each once.
fn sorted<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut texts: Vec<String> = texts.into_iter().map(Into::into).collect();
    texts.sort();
    texts.dedup();
    texts
}
