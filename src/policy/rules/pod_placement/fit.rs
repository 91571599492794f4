//! The validating half: can a node of the pool take the final pod, and can any other node?

use super::{Context, RULE, instance_of};
use crate::policy::rules::UNKNOWN_NODE;
use crate::policy::{
    advice::pool_requirements,
    mode::Mode,
    object::{NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec},
    placement::{
        Answer, LabelFact, NodeFacts, check_term, missing_in_term, node_affinity, requirement_holds,
    },
    pool::{Instance, Pool, ZONE_LABEL},
    snapshot::{Class, Located, Snapshot},
    taint::{Taint, tolerates_all, tolerating},
    text::Text,
    verdict::{Decision, Finding, Report},
};

const REQUIRED: &str = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution";

pub(in crate::policy::rules) fn judge(context: Context<'_>, pod: &Pod<'_>, report: &mut Report) {
    let mode = context.policy.rules.pod_placement;
    if mode == Mode::Off {
        return;
    }
    let Some((instance, pool)) = instance_of(context, pod) else { return };
    let who = context.object_name("Pod");
    let about = |fact: String| Finding::new(RULE, fact).pool(&*pool.name);
    if !pod.spec.node_name.is_empty() {
        judge_node_name(context, pod, instance, pool, report);
        return;
    }
    // Below enforce the mutating half only reports what it would have added, once.
    let is_placed = mode == Mode::Enforce;
    let candidates = Candidates::of_pool(context.snapshot, instance.pool, pool);
    match candidates.obstacle(context, &pod.spec, pool, is_placed) {
        Fit::Fits => {}
        Fit::Unknown => {
            let fact = format!("{who} demands a node that is not known here");
            report.note(Decision::Unknown, about(fact).node(UNKNOWN_NODE).field(REQUIRED));
            return;
        }
        Fit::Obstacle { field, why } => {
            let fact = format!(
                "no node of pool {} can take {who} of instance {}: {why}",
                pool.name, instance.name,
            );
            let advice = "Remove that constraint, or bind the instance to a pool that meets it";
            report.violation(mode, about(fact).advice(advice).field(field));
            return;
        }
    }
    let way_out = way_out(context.snapshot, &pod.spec, instance.pool, pool);
    if let (Some(field), true) = (way_out, is_placed) {
        let fact = format!(
            "{who} of instance {} can land outside pool {}: {field} does not keep it there",
            instance.name, pool.name
        );
        let advice = "Leave the affinity to PoolGuard, or require the pool's labels and zones";
        report.violation(mode.min(Mode::Warn), about(fact).advice(advice).field(field));
    }
}

fn judge_node_name(
    context: Context<'_>,
    pod: &Pod<'_>,
    instance: &Instance,
    pool: &Pool,
    report: &mut Report,
) {
    let who = context.object_name("Pod");
    let node = pod.spec.node_name.as_str();
    let finding = |fact: String, node: &str| {
        Finding::new(RULE, fact).field("spec.nodeName").pool(&*pool.name).node(node)
    };
    let Some(place) = place(context.snapshot, node, instance.pool, pool) else {
        if let Located::Unknown = context.snapshot.locate(node) {
            let fact = format!("{who} is bound to node {node}, which is not known here");
            report.note(Decision::Unknown, finding(fact, UNKNOWN_NODE));
        }
        return;
    };
    let fact = format!(
        "{who} of instance {} belongs to pool {}, and spec.nodeName names node {node}, which is \
         {place}",
        instance.name, pool.name
    );
    let finding = finding(fact, node).advice("Leave spec.nodeName to the scheduler");
    report.violation(context.policy.rules.pod_placement, finding);
}

/// Where a known node is, if that is not where a pool's pods belong.
pub(in crate::policy::rules) fn place(
    snapshot: &Snapshot,
    node: &str,
    index: usize,
    pool: &Pool,
) -> Option<String> {
    match snapshot.locate(node) {
        Located::Unknown => None,
        Located::Elsewhere => Some("in no pool".to_owned()),
        Located::Dedicated { class, node } if class.pool == index => {
            let zone = class.member(node).label(ZONE_LABEL).value()?.to_owned();
            (!in_zones(pool, &zone)).then(|| format!("in zone {zone}"))
        }
        Located::Dedicated { class, .. } => {
            snapshot.pool(class.pool).map(|other| format!("in pool {}", other.name))
        }
    }
}

fn in_zones(pool: &Pool, zone: &str) -> bool {
    pool.zones.is_empty() || pool.zones.iter().any(|declared| declared == zone)
}

enum Fit {
    Fits,
    Unknown,
    Obstacle { field: String, why: String },
}

/// The nodes of a pool, there and to come, that are in its zones.
struct Candidates<'s> {
    nodes: Vec<Candidate<'s>>,
}

/// A class of nodes, or a node to come.
struct Candidate<'s> {
    taints: &'s [Taint<'static>],
    facts: Box<dyn NodeFacts + 's>,
    class: Option<&'s Class>,
}

impl Candidate<'_> {
    fn matches(&self, spec: &PodSpec<'_>) -> bool {
        match (node_affinity(spec, &*self.facts), self.class) {
            (Answer::Yes, _) | (Answer::Maybe, None) => true,
            (Answer::No, _) => false,
            (Answer::Maybe, Some(class)) => {
                let matches = |node| node_affinity(spec, &class.member(node)) == Answer::Yes;
                class.nodes.iter().any(matches)
            }
        }
    }
}

impl<'s> Candidates<'s> {
    fn of_pool(snapshot: &'s Snapshot, index: usize, pool: &Pool) -> Self {
        let in_pool_zones = |class: &&Class| {
            NodeFacts::label(*class, ZONE_LABEL).value().is_none_or(|zone| in_zones(pool, zone))
        };
        let classes = snapshot.classes().iter().filter(|class| class.pool == index);
        let live = classes.filter(in_pool_zones).map(|class| Candidate {
            taints: &class.taints,
            facts: Box::new(class),
            class: Some(class),
        });
        let virtual_nodes = snapshot.virtual_nodes().iter().filter(|node| node.pool == index);
        let to_come = virtual_nodes.map(|node| Candidate {
            taints: std::slice::from_ref(&node.taint),
            facts: Box::new(node.facts(|name| !matches!(snapshot.locate(name), Located::Unknown))),
            class: None,
        });
        Self { nodes: live.chain(to_come).collect() }
    }

    /// What keeps the pod off every candidate, the plainest cause first. A pod that the mutating
    /// half has not placed is taken to tolerate the pool's taint.
    fn obstacle(
        &self,
        context: Context<'_>,
        spec: &PodSpec<'_>,
        pool: &Pool,
        is_placed: bool,
    ) -> Fit {
        let comparison = context.policy.placement.comparison_operators;
        let tolerates = |node: &Candidate<'_>| {
            node.taints.iter().all(|taint| {
                (!is_placed && *taint == pool.taint)
                    || tolerates_all(spec.tolerations(), std::iter::once(taint), comparison)
            })
        };
        if self.nodes.iter().any(|node| tolerates(node) && node.matches(spec)) {
            return Fit::Fits;
        }
        if self.nodes.is_empty() {
            return obstacle("spec".to_owned(), "meets no node: none of the pool is in its zones");
        }
        if !self.nodes.iter().any(tolerates) {
            let own = tolerating(spec.tolerations(), &pool.taint, comparison);
            let why = match own {
                None => format!("tolerates nothing of {}", pool.taint),
                Some(_) => "leaves a taint of the nodes untolerated".to_owned(),
            };
            return obstacle("spec.tolerations".to_owned(), &why);
        }
        if names_unknown_node(context.snapshot, spec) {
            return Fit::Unknown;
        }
        self.label_obstacle(spec)
    }

    /// Whether a label can be what `holds` asks for on any of the nodes.
    fn any_label(&self, key: &str, holds: impl Fn(LabelFact<'_>) -> bool) -> bool {
        self.nodes.iter().any(|node| match (node.facts.label(key), node.class) {
            (LabelFact::Unknown, Some(class)) => {
                class.nodes.iter().any(|node| holds(class.member(node).label(key)))
            }
            (fact, _) => holds(fact),
        })
    }

    fn label_obstacle(&self, spec: &PodSpec<'_>) -> Fit {
        for (key, value) in spec.node_selector.iter() {
            let equals = |fact: LabelFact<'_>| match fact {
                LabelFact::Is(is) => is == value,
                LabelFact::Among(values) => values.iter().any(|known| known == value),
                LabelFact::Absent => false,
                LabelFact::Present | LabelFact::Unknown => true,
            };
            if !self.any_label(key, equals) {
                return obstacle(format!("spec.nodeSelector[{key}]"), &format!("asks for {value}"));
            }
        }
        let terms = spec.required_node_affinity().map(|required| &*required.node_selector_terms);
        let terms = terms.unwrap_or_default();
        if terms.is_empty() {
            return obstacle(REQUIRED.to_owned(), "has no term and matches nothing");
        }
        // One obstacle of the first term says more than that all terms fail.
        let found = terms.iter().enumerate().map(|(index, term)| self.term_obstacle(index, term));
        found.flatten().next().unwrap_or_else(|| {
            obstacle(REQUIRED.to_owned(), "matches no node together with spec.nodeSelector")
        })
    }

    fn term_obstacle(&self, index: usize, term: &NodeSelectorTerm<'_>) -> Option<Fit> {
        let field = format!("{REQUIRED}.nodeSelectorTerms[{index}]");
        if term.is_empty() {
            return Some(obstacle(field, "is empty and matches nothing"));
        }
        if let Err(error) = check_term(term) {
            let why = format!("cannot be read and matches nothing: {error}");
            return Some(obstacle(field, &why));
        }
        let is_unmet = |requirement: &&NodeSelectorRequirement<'_>| {
            let holds = |fact: LabelFact<'_>| requirement_holds(requirement, fact) != Answer::No;
            !self.any_label(&requirement.key, holds)
        };
        let index = term.expressions().iter().position(|it| is_unmet(&it))?;
        let NodeSelectorRequirement { key, operator, values } = term.expressions().get(index)?;
        let values: Vec<&str> = values.iter().map(Text::as_str).collect();
        let why = format!("asks for {key} {operator} [{}]", values.join(", "));
        Some(obstacle(format!("{field}.matchExpressions[{index}]"), &why))
    }
}

fn obstacle(field: String, why: &str) -> Fit {
    let why = format!("{field} {why}");
    Fit::Obstacle { field, why }
}

fn names_unknown_node(snapshot: &Snapshot, spec: &PodSpec<'_>) -> bool {
    let required = spec.required_node_affinity();
    let terms = required.map(|required| &*required.node_selector_terms).unwrap_or_default();
    terms.iter().flat_map(NodeSelectorTerm::fields).any(|field| {
        field.operator == "In"
            && field.values.iter().any(|name| matches!(snapshot.locate(name), Located::Unknown))
    })
}

/// The field that lets the pod land outside its pool.
fn way_out(
    snapshot: &Snapshot,
    spec: &PodSpec<'_>,
    index: usize,
    pool: &Pool,
) -> Option<&'static str> {
    let requirements = pool_requirements(pool);
    let Some(required) = spec.required_node_affinity() else {
        let missing = missing_in_term(spec, None, &requirements);
        return (!missing.is_empty()).then_some("spec.affinity.nodeAffinity");
    };
    let stays = |term: &NodeSelectorTerm<'_>| {
        term.is_empty()
            || check_term(term).is_err()
            || missing_in_term(spec, Some(term), &requirements).is_empty()
            || names_member(snapshot, term, index)
    };
    (!required.node_selector_terms.iter().all(stays)).then_some(REQUIRED)
}

fn names_member(snapshot: &Snapshot, term: &NodeSelectorTerm<'_>, index: usize) -> bool {
    term.fields().iter().any(|field| {
        field.key == "metadata.name"
            && field.operator == "In"
            && field.values.iter().all(|name| {
                matches!(snapshot.locate(name), Located::Dedicated { class, .. } if class.pool == index)
            })
    })
}
