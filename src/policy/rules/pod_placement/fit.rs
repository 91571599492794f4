//! The validating half: can a node of the pool take the final pod, and can any other node?

use super::{Context, RULE, instance_of};
use crate::policy::{
    advice::pool_requirements,
    mode::Mode,
    object::{NodeSelectorTerm, Pod, PodSpec},
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
    let who = context.object_name("Pod", &pod.metadata);
    let about = |message: String| Finding::new(RULE, message).pool(&*pool.name);
    if !pod.spec.node_name.is_empty() {
        judge_node_name(context, pod, instance, pool, report);
        return;
    }
    let candidates = Candidates::of_pool(context.snapshot, instance.pool, pool);
    match candidates.obstacle(context, pod, pool) {
        Fit::Fits => {}
        Fit::Unknown => {
            let message = format!("{who} demands a node that is not known here");
            report.note(Decision::Unknown, about(message).field(REQUIRED));
            return;
        }
        Fit::Obstacle { field, why } => {
            let message = format!(
                "no node of pool {pool} can take {who} of instance {instance}: {why}. Remove that \
                 constraint, or bind the instance to a pool that meets it",
                pool = pool.name,
                instance = instance.name,
            );
            let summary = || format!("no node of pool {} can take {who}: {why}", pool.name);
            report.violation(mode, about(message).summary(mode, summary).field(field));
            return;
        }
    }
    if let Some(field) = way_out(context.snapshot, &pod.spec, instance.pool, pool) {
        let message = format!(
            "{who} of instance {} can land outside pool {}: {field} does not keep it there",
            instance.name, pool.name
        );
        report.violation(mode.min(Mode::Warn), about(message).field(field));
    }
}

fn judge_node_name(
    context: Context<'_>,
    pod: &Pod<'_>,
    instance: &Instance,
    pool: &Pool,
    report: &mut Report,
) {
    let who = context.object_name("Pod", &pod.metadata);
    let node = pod.spec.node_name.as_str();
    let finding = |message: String| {
        Finding::new(RULE, message).field("spec.nodeName").pool(&*pool.name).node(node)
    };
    let place = match context.snapshot.locate(node) {
        Located::Unknown => {
            let message = format!("{who} is bound to node {node}, which is not known here");
            report.note(Decision::Unknown, finding(message));
            return;
        }
        Located::Dedicated { class, node: member } if class.pool == instance.pool => {
            match class.member(member).label(ZONE_LABEL).value() {
                Some(zone) if !in_zones(pool, zone) => format!("in zone {zone}"),
                Some(_) | None => return,
            }
        }
        Located::Dedicated { class, .. } => match context.snapshot.pool(class.pool) {
            Some(other) => format!("in pool {}", other.name),
            None => return,
        },
        Located::Elsewhere => "in no pool".to_owned(),
    };
    let message = format!(
        "{who} of instance {} belongs to pool {}, and spec.nodeName names node {node}, which is \
         {place}. Leave spec.nodeName to the scheduler",
        instance.name, pool.name
    );
    report.violation(context.policy.rules.pod_placement, finding(message));
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

    /// What keeps the pod off every candidate, the plainest cause first.
    fn obstacle(&self, context: Context<'_>, pod: &Pod<'_>, pool: &Pool) -> Fit {
        let comparison = context.policy.placement.comparison_operators;
        let spec = &pod.spec;
        let tolerates = |node: &Candidate<'_>| {
            tolerates_all(spec.tolerations(), node.taints.iter(), comparison)
        };
        if self.nodes.iter().any(|node| tolerates(node) && node.matches(spec)) {
            return Fit::Fits;
        }
        if self.nodes.is_empty() {
            let why = "none of its nodes is in one of its zones".to_owned();
            return Fit::Obstacle { field: "spec".to_owned(), why };
        }
        if !self.nodes.iter().any(tolerates) {
            let field = "spec.tolerations".to_owned();
            let own = tolerating(spec.tolerations(), &pool.taint, comparison);
            let why = match own {
                None => format!("{field} tolerates nothing of {}", pool.taint),
                Some(_) => format!("{field} leaves a taint of its nodes untolerated"),
            };
            return Fit::Obstacle { field, why };
        }
        if names_unknown_node(context.snapshot, spec) {
            return Fit::Unknown;
        }
        self.label_obstacle(spec, pool)
    }

    fn label_obstacle(&self, spec: &PodSpec<'_>, pool: &Pool) -> Fit {
        for (key, value) in spec.node_selector.iter() {
            let has = |node: &Candidate<'_>| match node.facts.label(key) {
                LabelFact::Is(is) => is == value,
                LabelFact::Among(values) => values.iter().any(|known| known == value),
                LabelFact::Absent => false,
                LabelFact::Present | LabelFact::Unknown => true,
            };
            if !self.nodes.iter().any(has) {
                let field = format!("spec.nodeSelector[{key}]");
                let why = format!("{field} asks for {value}");
                return Fit::Obstacle { field, why };
            }
        }
        let terms = spec.required_node_affinity().map(|required| &*required.node_selector_terms);
        match terms {
            Some([term]) => self.term_obstacle(term),
            Some([]) => obstacle(REQUIRED.to_owned(), "has no term and matches nothing"),
            _ => obstacle(REQUIRED.to_owned(), &format!("matches none of pool {}", pool.name)),
        }
    }

    fn term_obstacle(&self, term: &NodeSelectorTerm<'_>) -> Fit {
        let field = format!("{REQUIRED}.nodeSelectorTerms[0]");
        if term.is_empty() {
            return obstacle(field, "is empty and matches nothing");
        }
        if let Err(error) = check_term(term) {
            return obstacle(field, &format!("cannot be read and matches nothing: {error}"));
        }
        let met = |requirement: &crate::policy::object::NodeSelectorRequirement<'_>| {
            self.nodes.iter().any(|node| {
                requirement_holds(requirement, node.facts.label(&requirement.key)) != Answer::No
            })
        };
        for (index, requirement) in term.expressions().iter().enumerate() {
            if !met(requirement) {
                let field = format!("{field}.matchExpressions[{index}]");
                let values: Vec<&str> = requirement.values.iter().map(Text::as_str).collect();
                let demand = format!(
                    "asks for {} {} [{}]",
                    requirement.key,
                    requirement.operator,
                    values.join(", ")
                );
                return obstacle(field, &demand);
            }
        }
        obstacle(field, "matches none of its nodes together with spec.nodeSelector")
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
