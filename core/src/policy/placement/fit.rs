//! The check whether a node of one pool, there or to come, can run a pod, and the obstacle if none can.

use super::{
    budget::{Budget, Exceeded},
    constraints::Constraints,
    label_test::LabelTest,
    reach::{CompiledConstraints, UnknownNames},
    term::{TermError, check_term},
    tolerated::Tolerated,
};
use crate::{
    kubernetes::{
        object::{NodeSelectorRequirement, NodeSelectorTerm, PodSpec},
        taint::Taint,
    },
    policy::{
        pool::{HOST_NAME_LABEL, PlacementSettings, ZONE_LABEL},
        snapshot::{Class, NodeToCome, Snapshot, TaintId},
    },
};

/// The answer to the question whether a pool can run a pod.
#[derive(Clone, Debug)]
pub(in crate::policy) enum Fit<'s, 'p> {
    /// A node of the pool can run the pod, or may be able to once the node is there.
    Fits,
    /// The obstacle because of which the pool's nodes cannot run the pod.
    Obstacle(Obstacle<'s, 'p>),
}

/// The cause that keeps a pod off every node of a pool; the plainest one, if there are several.
#[derive(Clone, Debug)]
pub(in crate::policy) enum Obstacle<'s, 'p> {
    /// The pool has no node in its zones, and none to come.
    NoNode,
    /// A taint that is not tolerated.
    Taint { taint: &'s Taint<'static>, is_on_all: bool },
    /// A `nodeSelector` entry that no node meets.
    Selector { key: &'p str, value: &'p str },
    /// A required node affinity without terms.
    NoTerm,
    /// The first term that has a fault.
    Term { index: usize, fault: TermFault<'p> },
    /// The constraints together: some node meets each part, and no node meets all of them.
    Together,
}

/// The fault of a term.
#[derive(Clone, Debug)]
pub(in crate::policy) enum TermFault<'p> {
    Empty,
    Unreadable(TermError),
    /// A requirement on a label that no node meets, by its place in the term.
    Label(usize, &'p NodeSelectorRequirement<'p>),
    /// A requirement on the name that no node meets, by its place in the term.
    Name(usize, &'p NodeSelectorRequirement<'p>),
}

/// The nodes of a pool, there and to come, that are in its zones.
pub(in crate::policy) struct Candidates<'s> {
    snapshot: &'s Snapshot,
    classes: Vec<&'s Class>,
    to_come: Vec<&'s NodeToCome>,
}

impl<'s> Candidates<'s> {
    /// The candidates of the declared pool with this index.
    pub(in crate::policy) fn of_pool(snapshot: &'s Snapshot, index: usize) -> Self {
        let zones = snapshot.declared_zones(index);
        let in_zones =
            |class: &&Class| class.label(ZONE_LABEL).is_none_or(|zone| zones.may_have(zone));
        let classes = snapshot.classes().iter().filter(|class| class.pool == index);
        let to_come = snapshot.nodes_to_come().iter().filter(|node| node.pool == index);
        Self { snapshot, classes: classes.filter(in_zones).collect(), to_come: to_come.collect() }
    }

    /// Checks whether one of the candidates can run the pod. `assumed` are taints that the pod is taken to
    /// tolerate.
    pub(in crate::policy) fn fit<'p>(
        &self,
        settings: &PlacementSettings,
        spec: &'p PodSpec<'p>,
        assumed: &[&Taint<'_>],
    ) -> Fit<'s, 'p> {
        // A pod that takes more work than that is judged to land, here as well.
        self.examine(settings, spec, assumed).unwrap_or(Fit::Fits)
    }

    fn examine<'p>(
        &self,
        settings: &PlacementSettings,
        spec: &'p PodSpec<'p>,
        assumed: &[&Taint<'_>],
    ) -> Result<Fit<'s, 'p>, Exceeded> {
        let mut budget = Budget::of_a_decision();
        let (taints, comparison) = (self.snapshot.taints(), settings.comparison_operators);
        let mut tolerated = Tolerated::of(spec, taints, comparison, &mut budget)?;
        for id in assumed.iter().filter_map(|taint| self.snapshot.taint_id(taint)) {
            tolerated.assume(id);
        }
        let constraints = Constraints::within(spec, &mut budget)?;
        let look = CompiledConstraints::new(self.snapshot, &constraints, UnknownNames::MayCome);
        let mut is_open = false;
        for class in self.classes.iter().filter(|class| tolerated.has_all(&class.taints)) {
            is_open = true;
            if look.takes_class(class, &mut budget)? {
                return Ok(Fit::Fits);
            }
        }
        for node in self.to_come.iter().filter(|node| tolerated.has_all(&node.taints)) {
            is_open = true;
            if look.may_take(node, &mut budget)?.is_some() {
                return Ok(Fit::Fits);
            }
        }
        Ok(Fit::Obstacle(if is_open {
            self.label_obstacle(spec, &mut budget)?
        } else {
            self.taint_obstacle(&tolerated)
        }))
    }

    fn taint_obstacle<'p>(&self, tolerated: &Tolerated) -> Obstacle<'s, 'p> {
        let classes = self.classes.iter().map(|class| &*class.taints);
        let all: Vec<&[TaintId]> =
            classes.chain(self.to_come.iter().map(|node| &*node.taints)).collect();
        let untolerated = |taints: &[TaintId]| -> Vec<TaintId> {
            taints.iter().copied().filter(|taint| !tolerated.has(*taint)).collect()
        };
        let Some(first) = all.first() else { return Obstacle::NoNode };
        let open = untolerated(first);
        let is_on_all = |taint: &&TaintId| all.iter().all(|taints| taints.contains(taint));
        let shared = open.iter().find(is_on_all);
        match shared.or_else(|| open.first()).and_then(|id| self.snapshot.taint(*id)) {
            Some(taint) => Obstacle::Taint { taint, is_on_all: shared.is_some() },
            None => Obstacle::NoNode,
        }
    }

    fn label_obstacle<'p>(
        &self,
        spec: &'p PodSpec<'p>,
        budget: &mut Budget,
    ) -> Result<Obstacle<'s, 'p>, Exceeded> {
        for (key, value) in spec.node_selector.iter() {
            if !self.any_has(key, value, budget)? {
                return Ok(Obstacle::Selector { key, value });
            }
        }
        let Some(required) = spec.required_node_affinity() else { return Ok(Obstacle::Together) };
        if required.node_selector_terms.is_empty() {
            return Ok(Obstacle::NoTerm);
        }
        // One fault of the first term says more than that all terms fail.
        for (index, term) in required.node_selector_terms.iter().enumerate() {
            if let Some(fault) = self.term_fault(term, budget)? {
                return Ok(Obstacle::Term { index, fault });
            }
        }
        Ok(Obstacle::Together)
    }

    fn term_fault<'p>(
        &self,
        term: &'p NodeSelectorTerm<'p>,
        budget: &mut Budget,
    ) -> Result<Option<TermFault<'p>>, Exceeded> {
        if term.is_empty() {
            return Ok(Some(TermFault::Empty));
        }
        if let Err(error) = check_term(term) {
            return Ok(Some(TermFault::Unreadable(error)));
        }
        for (index, requirement) in term.expressions().iter().enumerate() {
            budget.spend(requirement.values.len())?;
            if !self.any_meets(&LabelTest::of(requirement), budget)? {
                return Ok(Some(TermFault::Label(index, requirement)));
            }
        }
        for (index, requirement) in term.fields().iter().enumerate() {
            if !self.any_is_named(requirement, budget)? {
                return Ok(Some(TermFault::Name(index, requirement)));
            }
        }
        Ok(None)
    }

    /// Whether a candidate meets a test of one label, or may meet it.
    fn any_meets(&self, test: &LabelTest<'_>, budget: &mut Budget) -> Result<bool, Exceeded> {
        if self.any_label(test.key, |label| test.holds(label), budget)? {
            return Ok(true);
        }
        budget.spend(self.to_come.len())?;
        Ok(self.to_come.iter().any(|node| test.may_hold_on(self.snapshot, node)))
    }

    /// Whether a candidate has this label, or may have it.
    fn any_has(&self, key: &str, value: &str, budget: &mut Budget) -> Result<bool, Exceeded> {
        if self.any_label(key, |label| label == Some(value), budget)? {
            return Ok(true);
        }
        if key == HOST_NAME_LABEL {
            return Ok(!self.snapshot.knows_host(value));
        }
        budget.spend(self.to_come.len())?;
        Ok(self.to_come.iter().any(|node| node.expected(key).may_be(value)))
    }

    /// Whether `holds` is true for this label of a node that is there.
    fn any_label(
        &self,
        key: &str,
        holds: impl Fn(Option<&str>) -> bool,
        budget: &mut Budget,
    ) -> Result<bool, Exceeded> {
        for class in &self.classes {
            budget.spend(1)?;
            if !class.is_individual(key) {
                if holds(class.label(key)) {
                    return Ok(true);
                }
                continue;
            }
            budget.spend(class.nodes.len())?;
            if class.nodes.iter().any(|node| holds(class.member(node).label(key))) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a candidate has such a name, or may have it.
    fn any_is_named(
        &self,
        requirement: &NodeSelectorRequirement<'_>,
        budget: &mut Budget,
    ) -> Result<bool, Exceeded> {
        let wanted = requirement.values.first().map_or("", |value| value.as_str());
        if requirement.operator != "In" || !self.snapshot.knows_node(wanted) {
            return Ok(true);
        }
        budget.spend(self.classes.iter().map(|class| class.nodes.len()).sum())?;
        let mut nodes = self.classes.iter().flat_map(|class| &class.nodes);
        Ok(nodes.any(|node| *node.name == *wanted))
    }
}
