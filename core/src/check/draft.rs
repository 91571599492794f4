//! A config for a cluster that has none: pools, instances and exemptions as the cluster shows them.
//!
//! ```text
//! Inventory ──▶ ConfigDraft ──▶ YAML with comments
//! ```
//!
//! A cluster does not say everything that a config says. What is guessed carries a comment, which starts
//! with `check:` and stands in the line above, so that its reader decides. Names come from a cluster that
//! anyone may write to: only those that the API server would accept are taken.

mod agents;
mod automq;
mod aws_auth;
mod console;
mod nodes;
mod page;
#[cfg(test)]
mod tests;

use self::{
    agents::DraftExemption,
    automq::{Deployment, DraftInstance, DraftNamespace},
    console::DraftConsole,
    nodes::DraftPool,
};
use super::{facts::CheckFacts, words::count};
use crate::{
    cluster::inventory::Inventory,
    config::automq_labels,
    kubernetes::{
        name::Glob,
        resource::{DAEMON_SETS, NODES, PODS, Resource, STATEFUL_SETS},
        selector::LabelSet,
    },
    policy::{Policy, pod_owner::AutoMq, provider::Provider},
};

pub use self::{aws_auth::aws_auth, page::DraftOrigin};

/// A file with more is not read by a person any more.
const POOLS_MAX: usize = 50;
const INSTANCES_MAX: usize = 200;
const EXEMPTIONS_MAX: usize = 200;
const NAMESPACES_MAX: usize = 200;

/// A config that a cluster asks for, with what is to check.
#[derive(Clone, Debug)]
pub struct ConfigDraft {
    provider: Option<Provider>,
    /// What has been read, as numbers of objects.
    read: String,
    /// What has not been read.
    checks: Vec<String>,
    /// Whether nodes could be read.
    sees_nodes: bool,
    /// Whether a better dump would have it.
    is_short_dump: bool,
    namespaces: DraftList<DraftNamespace>,
    pools: DraftList<DraftPool>,
    instances: DraftList<DraftInstance>,
    exempt: DraftList<DraftExemption>,
    console: DraftConsole,
    /// Whether nothing tells the machine types of some pool.
    lacks_machine_types: bool,
}

/// What a person decides. `None` stands for what the cluster shows.
#[derive(Clone, Debug, Default)]
pub struct DraftChoices {
    /// AutoMQ's namespaces.
    pub namespaces: Option<Vec<String>>,
    /// The names of the pools to declare.
    pub pools: Option<Vec<String>>,
    /// The user name of AutoMQ's console.
    pub console: Option<String>,
}

/// The entries of a list, and what is to check in the list as a whole.
#[derive(Clone, Debug)]
struct DraftList<T> {
    entries: Vec<T>,
    checks: Vec<String>,
}

/// A value, and what is to check in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Checked<T> {
    value: T,
    checks: Vec<String>,
}

impl<T> DraftList<T> {
    /// Keeps the first entries; the rest is a number in a comment.
    fn bounded(mut entries: Vec<T>, max: usize, noun: &str, mut checks: Vec<String>) -> Self {
        let left_out = entries.len().saturating_sub(max);
        entries.truncate(max);
        if left_out > 0 {
            let are = if left_out == 1 { " is" } else { "s are" };
            checks.push(format!(
                "{left_out} more {noun}{are} left out; `poolguard init` writes at most {max}"
            ));
        }
        Self { entries, checks }
    }
}

impl ConfigDraft {
    /// Drafts a config. `defaults` is what an empty config means for the provider of this cluster.
    pub fn of(defaults: &Policy, inventory: &Inventory, choices: &DraftChoices) -> Self {
        let snapshot = inventory.index().snapshot(defaults);
        let facts = CheckFacts::new(defaults, inventory, &snapshot);
        let sets = automq::stateful_sets(inventory);
        let deployment = Deployment::of(defaults, &facts.pods, &sets, choices);
        let nodes: Vec<_> = inventory.index().nodes().collect();
        let mut pools = nodes::pools(defaults, &nodes, &deployment);
        if let Some(chosen) = &choices.pools {
            pools.entries.retain(|pool| chosen.contains(&pool.name));
        }
        aws_auth::add_roles(defaults, inventory, &mut pools);
        let namespaces = deployment.namespaces(defaults, inventory, choices);

        // The same cluster again, now with what the draft says of it.
        let names = namespaces.entries.iter().map(|it| Glob::exact(&it.name)).collect();
        let policy = Policy {
            automq: AutoMq { namespaces: names, ..defaults.automq.clone() },
            pools: pools.entries.iter().map(DraftPool::compiled).collect(),
            ..defaults.clone()
        };
        let snapshot = inventory.index().snapshot(&policy);
        let facts = CheckFacts::new(&policy, inventory, &snapshot);
        let instances = automq::instances(&facts, &sets);
        let lacks_machine_types = policy.provider.is_some()
            && policy.approved_types(None).is_none()
            && policy.pools.iter().any(|pool| pool.machine_types.is_none());
        Self {
            provider: defaults.provider,
            read: read(inventory),
            checks: gaps(inventory),
            sees_nodes: inventory.knows(&NODES.group_resource()),
            is_short_dump: NEEDED
                .iter()
                .all(|(it, _)| inventory.gap(&it.group_resource()).is_none()),
            exempt: agents::exemptions(&facts),
            console: console::console(defaults, inventory, choices.console.as_deref()),
            namespaces,
            pools,
            instances,
            lacks_machine_types,
        }
    }

    /// AutoMQ's namespaces.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.entries.iter().map(|it| it.name.as_str())
    }

    /// The names of the pools.
    pub fn pools(&self) -> impl Iterator<Item = &str> {
        self.pools.entries.iter().map(|it| it.name.as_str())
    }

    /// User names that may be those of AutoMQ's console.
    pub fn console_candidates(&self) -> impl Iterator<Item = &str> {
        self.console.candidates.iter().map(|it| it.user.as_str())
    }
}

/// `7 nodes and 12 pods`.
fn read(inventory: &Inventory) -> String {
    let known = [NODES, PODS, STATEFUL_SETS, DAEMON_SETS].into_iter();
    let known = known.filter(|it| inventory.knows(&it.group_resource()));
    let counted = known.map(|it| {
        let noun = match it {
            NODES => "node",
            PODS => "pod",
            other => other.kind,
        };
        count(inventory.count(&it.group_resource()), noun)
    });
    let counted: Vec<String> = counted.collect();
    if counted.is_empty() { "no objects".to_owned() } else { super::words::list(&counted) }
}

/// The kinds that a draft needs, and what it lacks without them.
const NEEDED: [(Resource, &str); 3] = [
    (NODES, "the draft has no pools"),
    (PODS, "the draft does not show which instances run"),
    (DAEMON_SETS, "`exempt` is incomplete (add the agents that must run on every node)"),
];

/// What the draft would say if the input had it.
fn gaps(inventory: &Inventory) -> Vec<String> {
    let unknown = NEEDED.into_iter().filter(|(it, _)| !inventory.knows(&it.group_resource()));
    let told = unknown.map(|(it, without)| {
        let why = inventory.why_unknown(it);
        let why =
            why.strip_prefix("The ").map_or_else(|| why.clone(), |rest| format!("the {rest}"));
        format!("{without}, because {why}")
    });
    told.collect()
}

/// Whether an object carries one of AutoMQ's labels.
pub(super) fn is_marked(labels: &impl LabelSet) -> bool {
    automq_labels().any(|(key, value)| {
        labels.value(key).is_some_and(|found| value.is_none_or(|value| value == found))
    })
}
