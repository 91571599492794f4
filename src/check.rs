//! Is this cluster fit for AutoMQ? Every constraint that AutoMQ states, held against what the cluster
//! holds.
//!
//! ```text
//! Policy ────┐
//! Inventory ─┴─▶ examine ─▶ Fitness: findings, and the pools to draw
//! ```
//!
//! A Terraform plan takes the place of the inventory before there is any: [`examine_plan`].
//!
//! Pure, as a decision is: no clock, no environment, no I/O. What the webhook's rules decide is asked of
//! them; what only a look at the whole cluster shows is judged here. What the inventory does not hold is
//! unknown, never well.
#![deny(clippy::disallowed_methods, reason = "a check has no clock, environment, file or task")]

mod facts;
mod finding;
mod fix;
mod instances;
mod intruders;
mod nodes;
mod picture;
mod planned;
mod roles;
mod words;

pub use self::{
    finding::{CheckFinding, Constraint, FindingSeverity, Status},
    picture::{NodePicture, PoolPicture, ResidentKind, ResidentPicture, ZonePicture},
    planned::examine_plan,
};

use self::{
    facts::CheckFacts,
    words::{count, list},
};
use crate::{
    cluster::inventory::{Inventory, READ},
    kubernetes::{
        object::WorkloadKind,
        resource::{GroupResource, Resource},
    },
    policy::{
        Policy,
        mode::Mode,
        protection::{Namespaces, Origin},
        provider::Provider,
        snapshot::ProtectedReference,
    },
};

/// What a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckedSubject {
    /// A cluster, live or as a dump.
    Cluster,
    /// A Terraform plan, before there is one.
    Plan {
        /// Whether it tells of every pool how many nodes it will have.
        is_whole: bool,
    },
}

/// What a check comes to.
#[derive(Clone, Debug)]
pub struct Fitness {
    /// What was looked at.
    pub subject: CheckedSubject,
    /// Where the cluster runs, as far as is known.
    pub provider: Option<Provider>,
    /// By pool, what belongs to none last; in each the gravest first.
    pub findings: Vec<CheckFinding>,
    /// The pools, declared ones first.
    pub pools: Vec<PoolPicture>,
    /// Kinds that the input lacks.
    pub missing: Vec<String>,
    /// How many nodes there are, or are planned.
    pub nodes: usize,
}

/// Holds every constraint against a cluster.
pub fn examine(policy: &Policy, inventory: &Inventory) -> Fitness {
    let snapshot = inventory.index().snapshot(policy);
    let facts = CheckFacts::new(policy, inventory, &snapshot);
    let mut findings = Vec::new();
    nodes::judge(&facts, &mut findings);
    intruders::judge(&facts, &mut findings);
    roles::judge(&facts, &mut findings);
    instances::judge(&facts, &mut findings);
    for finding in &mut findings {
        demote(policy, finding);
    }
    let order = |pool: Option<&str>| {
        let index = facts.pools.iter().position(|it| Some(it.name()) == pool);
        index.unwrap_or(facts.pools.len())
    };
    findings.sort_by_key(|finding| {
        let weight = (finding.status, finding.severity);
        (order(finding.pool.as_deref()), std::cmp::Reverse(weight))
    });
    findings.dedup();
    Fitness {
        subject: CheckedSubject::Cluster,
        provider: policy.provider,
        findings,
        pools: picture::draw(&facts),
        missing: missing(inventory),
        nodes: inventory.index().nodes().count(),
    }
}

/// What the config turned off is worth knowing, and no more.
fn demote(policy: &Policy, finding: &mut CheckFinding) {
    if let Constraint::Rule(rule) = finding.rule
        && policy.rules.mode(rule) == Mode::Off
        && finding.status != Status::Pass
    {
        finding.severity = FindingSeverity::Note;
    }
}

/// Kinds that a check reads, and the input has no object of. A dump with some workloads does not say
/// that there is none of the other kinds, but whoever made it hardly left them out.
fn missing(inventory: &Inventory) -> Vec<String> {
    let knows = |kind: &Resource| inventory.knows(&kind.group_resource());
    let has_workloads = READ.iter().filter(|it| WorkloadKind::of(**it).is_some()).any(knows);
    let lacks =
        |kind: &Resource| !(knows(kind) || has_workloads && WorkloadKind::of(*kind).is_some());
    READ.into_iter().filter(lacks).map(|kind| kind.plural.to_owned()).collect()
}

/// An object that the config names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedObject {
    /// What kind of object.
    pub resource: GroupResource,
    /// `None`: any, or it has none.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl NamedObject {
    /// Whether every check reads all objects of this kind.
    pub fn is_always_read(&self) -> bool {
        READ.iter().any(|kind| kind.group_resource() == self.resource)
    }
}

/// The objects that the config protects, by their names; a glob may stand for nothing.
pub fn named(policy: &Policy) -> Vec<NamedObject> {
    let mut named = Vec::new();
    for entry in policy.protected.iter().filter(|it| it.origin == Origin::Config) {
        let namespace = match &entry.namespaces {
            Namespaces::Named(glob) => glob.as_exact(),
            Namespaces::Any | Namespaces::AutoMq => None,
        };
        for name in entry.names.iter().filter_map(|name| name.as_exact()) {
            let (resource, namespace) = (entry.resource.clone(), namespace.map(str::to_owned));
            named.push(NamedObject { resource, namespace, name: name.to_owned() });
        }
    }
    named
}

/// What of the roles a look at a few objects tells: whether what the config protects is there, and the
/// roles that these bindings refer to. The same that [`examine`] finds of them.
pub fn examine_roles(
    policy: &Policy,
    references: &[ProtectedReference],
    inventory: &Inventory,
) -> Vec<CheckFinding> {
    roles::judge_named(policy, references, inventory)
}

impl Fitness {
    /// How many constraints do not hold, with this severity.
    pub fn failures(&self, severity: FindingSeverity) -> usize {
        self.findings.iter().filter(|it| it.fails_with(severity)).count()
    }

    /// How many constraints the input does not tell of.
    pub fn unknowns(&self) -> usize {
        self.findings.iter().filter(|it| it.status == Status::Unknown).count()
    }

    /// Everything in one line.
    pub fn verdict(&self) -> String {
        let errors = self.failures(FindingSeverity::Error);
        let warnings = self.failures(FindingSeverity::Warning);
        let unknowns = self.unknowns();
        let mut parts = Vec::new();
        if errors > 0 {
            parts.push(count(errors, "error"));
        }
        if warnings > 0 {
            parts.push(count(warnings, "warning"));
        }
        if unknowns > 0 {
            parts.push(format!("{unknowns} unknown"));
        }
        let parts =
            if parts.is_empty() { "every constraint holds".to_owned() } else { list(&parts) };
        format!("{}: {parts}", self.headline())
    }

    /// The answer, in a few words.
    pub fn headline(&self) -> &'static str {
        if self.failures(FindingSeverity::Error) > 0 {
            "not fit for AutoMQ"
        } else if let CheckedSubject::Plan { .. } = self.subject {
            if self.pools.is_empty() {
                "not known whether it is fit for AutoMQ"
            } else {
                "fit for AutoMQ, as far as the plan tells"
            }
        } else if self.nodes == 0 {
            "not known whether it is fit for AutoMQ"
        } else if self.unknowns() > 0 {
            "fit for AutoMQ, as far as the input tells"
        } else {
            "fit for AutoMQ"
        }
    }
}
