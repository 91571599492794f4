//! The check whether a cluster is fit for AutoMQ: every constraint that AutoMQ states, held against what the
//! cluster holds.
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

mod draft;
mod exclusive;
mod exemptions;
mod facts;
mod finding;
mod fix;
mod instances;
mod intruders;
mod node_pools;
mod node_roles;
mod nodes;
mod picture;
mod planned;
mod roles;
mod system_pool;
mod taints;
mod words;

pub use self::{
    draft::{ConfigDraft, DraftChoices, DraftOrigin, aws_auth},
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
    kubernetes::{object::WorkloadKind, resource::Resource},
    policy::{
        Policy,
        mode::Mode,
        protection::{NamedObject, Namespaces, Origin},
        provider::Provider,
        snapshot::ProtectedReference,
    },
};

/// The subject of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckedSubject {
    /// A cluster, live or as a dump.
    Cluster,
    /// A Terraform plan, before the cluster exists.
    Plan {
        /// Whether the plan shows for every pool how many nodes it will have.
        is_whole: bool,
    },
}

/// The result of a check.
#[derive(Clone, Debug)]
pub struct Fitness {
    /// The subject that was checked.
    pub subject: CheckedSubject,
    /// The provider of the cluster, as far as it is known.
    pub provider: Option<Provider>,
    /// The findings by pool, those without a pool last. Within a pool, the gravest finding comes first.
    pub findings: Vec<CheckFinding>,
    /// The pools, declared ones first.
    pub pools: Vec<PoolPicture>,
    /// Kinds that the input lacks.
    pub missing: Vec<String>,
    /// The number of nodes that exist, or are planned.
    pub nodes: usize,
}

/// Judges a cluster by every constraint.
pub fn examine(policy: &Policy, inventory: &Inventory) -> Fitness {
    let snapshot = inventory.index().snapshot(policy);
    let facts = CheckFacts::new(policy, inventory, &snapshot);
    let mut findings = Vec::new();
    nodes::judge(&facts, &mut findings);
    node_pools::judge(&facts, &mut findings);
    system_pool::judge(&facts, &mut findings);
    intruders::judge(&facts, &mut findings);
    exemptions::judge(&facts, &mut findings);
    roles::judge(&facts, &mut findings);
    node_roles::judge(&facts, &mut findings);
    instances::judge(&facts, &mut findings);
    nodes::decide_first(&facts, &mut findings);
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

/// Turns a finding of a rule that the config turned off into a note: it is worth knowing, and no more.
fn demote(policy: &Policy, finding: &mut CheckFinding) {
    if let Constraint::Rule(rule) = finding.rule
        && policy.rules.mode(rule) == Mode::Off
        && finding.status != Status::Pass
    {
        finding.severity = FindingSeverity::Note;
    }
}

/// The kinds that a check reads and of which the input has no object. If the input contains any workload kind,
/// PoolGuard assumes that it contains all of them.
fn missing(inventory: &Inventory) -> Vec<String> {
    let knows = |kind: &Resource| inventory.knows(&kind.group_resource());
    let has_workloads = READ.iter().filter(|it| WorkloadKind::of(**it).is_some()).any(knows);
    let lacks =
        |kind: &Resource| !(knows(kind) || has_workloads && WorkloadKind::of(*kind).is_some());
    READ.into_iter().filter(lacks).map(|kind| kind.plural.to_owned()).collect()
}

/// Whether every check reads all objects of this kind.
pub fn is_always_read(object: &NamedObject) -> bool {
    READ.iter().any(|kind| kind.group_resource() == object.resource)
}

/// The objects that the config protects by their exact names.
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

/// The objects that a check reads by their names: those of [`named`], and `aws-auth` if it has to map roles of pools.
pub fn read_by_name(policy: &Policy) -> Vec<NamedObject> {
    let mut objects = named(policy);
    if node_roles::are_mapped(policy) && !objects.contains(&aws_auth()) {
        objects.push(aws_auth());
    }
    objects
}

/// The findings about roles that need only a few objects: whether the objects that the config protects exist, and
/// the roles that these bindings refer to. [`examine`] reports the same findings.
pub fn examine_roles(
    policy: &Policy,
    references: &[ProtectedReference],
    inventory: &Inventory,
) -> Vec<CheckFinding> {
    roles::judge_named(policy, references, inventory)
}

impl Fitness {
    /// The number of constraints with this severity that do not hold.
    pub fn failures(&self, severity: FindingSeverity) -> usize {
        self.findings.iter().filter(|it| it.fails_with(severity)).count()
    }

    /// The number of constraints that PoolGuard could not check with this input.
    pub fn unknowns(&self) -> usize {
        self.findings.iter().filter(|it| it.status == Status::Unknown).count()
    }

    /// Returns the answer and the counts in one line.
    pub fn verdict(&self) -> String {
        match (self.headline(), self.counts()) {
            (headline, counts) if counts.is_empty() => headline,
            // A colon would read as if the counts were those of the unknown checks.
            (headline, counts) => match headline.split_once(", but ") {
                Some((found, unknown)) => format!("{found}, but {counts}; {unknown}"),
                None => format!("{headline}: {counts}"),
            },
        }
    }

    /// The numbers of errors, warnings and unknown checks, as far as the headline does not say them.
    pub fn counts(&self) -> String {
        let errors = self.failures(FindingSeverity::Error);
        let warnings = self.failures(FindingSeverity::Warning);
        let notes = self.failures(FindingSeverity::Note);
        let unknowns = self.unknowns();
        let mut parts = Vec::new();
        if errors > 0 {
            parts.push(count(errors, "error"));
        }
        if warnings > 0 {
            parts.push(count(warnings, "warning"));
        }
        let is_in_headline = errors == 0 && !self.shows_nothing();
        let failures = (!parts.is_empty()).then(|| list(&parts));
        let unknown = (unknowns > 0 && !is_in_headline).then(|| {
            let are = if unknowns == 1 { "is" } else { "are" };
            format!("{unknowns} of {} {are} unknown", count(self.findings.len(), "check"))
        });
        match (failures, unknown) {
            (None, None) if unknowns > 0 => String::new(),
            (None, None) if notes > 0 => count(notes, "note"),
            (None, None) => "every check passes".to_owned(),
            // A warning is a failure, and an unknown check is not.
            (Some(failures), Some(unknown)) => format!("{failures}; {unknown}"),
            (Some(text), None) | (None, Some(text)) => text,
        }
    }

    /// The answer, in a few words. It does not say `fit` if a check is unknown.
    pub fn headline(&self) -> String {
        let is_plan = matches!(self.subject, CheckedSubject::Plan { .. });
        let unknowns = self.unknowns();
        if self.failures(FindingSeverity::Error) > 0 {
            "not fit for AutoMQ".to_owned()
        } else if self.shows_nothing() {
            "not known whether it is fit for AutoMQ".to_owned()
        } else if unknowns > 0 {
            let place = if is_plan { " in the plan" } else { "" };
            let are = if unknowns == 1 { "is" } else { "are" };
            let checks = count(self.findings.len(), "check");
            format!("no error found{place}, but {unknowns} of {checks} {are} unknown")
        } else if is_plan {
            "no error found in the plan".to_owned()
        } else {
            "fit for AutoMQ".to_owned()
        }
    }

    /// Whether the input has nothing to judge: no node, or no planned pool.
    fn shows_nothing(&self) -> bool {
        match self.subject {
            CheckedSubject::Plan { .. } => self.pools.is_empty(),
            CheckedSubject::Cluster => self.nodes == 0,
        }
    }
}
