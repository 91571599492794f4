//! The pools that a pod can reach, each with a node that shows it.

use std::sync::Arc;

use super::{
    budget::{Budget, Exceeded},
    constraints::{Constraints, Term},
    label_test::LabelTest,
    tolerated::Tolerated,
};
use crate::{
    kubernetes::{
        object::{Labels, PodSpec},
        selector::LabelSet,
    },
    policy::{
        pool::{HOST_NAME_LABEL, PlacementSettings},
        snapshot::{Class, ClassNode, Located, NodeToCome, Snapshot, TaintId},
    },
};

/// The pools on whose dedicated nodes a pod can land.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach<'s> {
    /// One landing for every pool that the pod can reach.
    pub landings: Vec<Landing<'s>>,
    /// Whether PoolGuard leaves the pod to the scan because the snapshot does not know its node: the node of
    /// `nodeName` or of a binding, or, for [`UnknownNames::AreThere`], a node that node affinity or `nodeSelector`
    /// demands by its name.
    pub names_unknown_node: bool,
    /// The landing on a node that the pod demands, and on which it can land only because the node lost its
    /// pool's taint.
    pub lost_taint: Option<Landing<'s>>,
}

/// A pool that a pod can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landing<'s> {
    /// Index of the pool in the snapshot.
    pub pool: usize,
    /// A node that the pod can land on.
    pub witness: Witness<'s>,
    /// The term of the pod's required node affinity that allows the landing, by its place in the pod's list.
    pub term: Option<usize>,
}

/// A node that shows that a pod can land.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Witness<'s> {
    /// A node that is there.
    Node(&'s Arc<str>),
    /// A node to come, in this zone if the pool is known to have any.
    ToCome {
        /// The zone.
        zone: Option<&'s str>,
    },
    /// A pool that was not examined, because the pod's constraints take more work than a decision may. The pod
    /// is judged to land there.
    Unexamined,
}

/// The meaning of a node name that a pod demands and the snapshot does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownNames {
    /// The pod waits for the node, which may be one that a pool brings.
    MayCome,
    /// The node is there, and the snapshot lags behind, so PoolGuard leaves the pod to the scan. This applies
    /// to the first pods that the DaemonSet controller creates for a new node.
    AreThere,
}

impl Reach<'_> {
    /// Whether the pod can reach this pool.
    pub fn includes(&self, pool: usize) -> bool {
        self.landings.iter().any(|landing| landing.pool == pool)
    }
}

/// Returns the reach of a pod that is bound to this node.
pub fn reach_of_node<'s>(snapshot: &'s Snapshot, node: &str) -> Reach<'s> {
    match snapshot.locate(node) {
        Located::Unknown => Reach { names_unknown_node: true, ..Reach::default() },
        Located::Elsewhere => Reach::default(),
        Located::Dedicated { class, node } => {
            let witness = Witness::Node(&node.name);
            let landing = Landing { pool: class.pool, witness, term: None };
            Reach { landings: vec![landing], ..Reach::default() }
        }
    }
}

/// The pools that a pod can reach.
pub fn reach<'s>(
    snapshot: &'s Snapshot,
    settings: &PlacementSettings,
    spec: &PodSpec<'_>,
    unknown_names: UnknownNames,
) -> Reach<'s> {
    if !spec.node_name.is_empty() {
        return reach_of_node(snapshot, &spec.node_name);
    }
    let mut budget = Budget::of_a_decision();
    let comparison = settings.comparison_operators;
    let mut reach = Reach::default();
    // What is not tolerated is not reached, whatever else the pod demands.
    let Ok(tolerated) = Tolerated::of(spec, snapshot.taints(), comparison, &mut budget) else {
        reach.add_unexamined(snapshot, |_| true);
        return reach;
    };
    let compiled = Constraints::within(spec, &mut budget);
    let examined = compiled.and_then(|constraints| {
        let look = CompiledConstraints::new(snapshot, &constraints, unknown_names);
        let reached = vec![false; snapshot.pools().len()];
        let (tolerated, reach) = (&tolerated, &mut reach);
        Search { look: &look, tolerated, budget, reached, reach }.run()
    });
    if examined == Err(Exceeded) {
        reach.add_unexamined(snapshot, |taints| tolerated.has_all(taints));
    }
    reach
}

impl<'s> Reach<'s> {
    /// Takes every pool that is not reached yet as reached, if its taints are tolerated.
    fn add_unexamined(
        &mut self,
        snapshot: &'s Snapshot,
        is_tolerated: impl Fn(&[TaintId]) -> bool,
    ) {
        let classes = snapshot.classes().iter().map(|class| (class.pool, &*class.taints));
        let to_come = snapshot.nodes_to_come().iter().map(|node| (node.pool, &*node.taints));
        let mut reached = vec![false; snapshot.pools().len()];
        for landing in &self.landings {
            if let Some(is_reached) = reached.get_mut(landing.pool) {
                *is_reached = true;
            }
        }
        for (pool, taints) in classes.chain(to_come) {
            if let Some(is_reached) = reached.get_mut(pool)
                && !*is_reached
                && is_tolerated(taints)
            {
                *is_reached = true;
                self.landings.push(Landing { pool, witness: Witness::Unexamined, term: None });
            }
        }
    }
}

/// The constraints of a pod, prepared for the nodes of a snapshot.
pub(in crate::policy) struct CompiledConstraints<'l, 's, 'p> {
    snapshot: &'s Snapshot,
    selector: &'p Labels<'p>,
    /// The host that the selector demands.
    host: Option<&'p str>,
    terms: Option<&'l [Term<'p>]>,
    /// Whether a node with a host of its own can meet the selector, and each of the terms.
    may_come: bool,
    terms_may_come: Vec<bool>,
    /// Whether the constraints demand a name that is not known, and that PoolGuard leaves to the scan.
    leaves_names: bool,
}

impl<'l, 's, 'p> CompiledConstraints<'l, 's, 'p> {
    pub(in crate::policy) fn new(
        snapshot: &'s Snapshot,
        constraints: &'l Constraints<'p>,
        unknown_names: UnknownNames,
    ) -> Self {
        let is_name_taken = |name: &str| snapshot.knows_node(name);
        let new_host = |tests: &[LabelTest<'_>]| {
            let mut tests = tests.iter().filter(|test| test.key == HOST_NAME_LABEL);
            tests.all(|test| test.may_hold_on_new_host(snapshot))
        };
        let demands_host = |tests: &[LabelTest<'_>]| {
            tests.iter().any(|test| test.key == HOST_NAME_LABEL && test.listed().is_some())
        };
        let selector = constraints.selector;
        let terms = constraints.terms.as_deref();
        let host = selector.value(HOST_NAME_LABEL);
        let may_come = host.is_none_or(|host| !snapshot.knows_host(host));
        let selector_demands = host.is_some();
        let mut leaves_names = false;
        let mut may_come_by = |term: &Term<'_>| {
            let is_possible =
                may_come && new_host(&term.labels) && term.name.may_hold_beside(is_name_taken);
            let demands =
                selector_demands || term.name.demanded.is_some() || demands_host(&term.labels);
            if is_possible && demands && unknown_names == UnknownNames::AreThere {
                leaves_names = true;
                return false;
            }
            is_possible
        };
        let terms_may_come = terms.unwrap_or_default().iter().map(&mut may_come_by).collect();
        let is_left = terms.is_none()
            && may_come
            && selector_demands
            && unknown_names == UnknownNames::AreThere;
        Self {
            snapshot,
            selector,
            host,
            terms,
            may_come: may_come && !is_left,
            terms_may_come,
            leaves_names: leaves_names || is_left,
        }
    }

    /// The first node of the class that meets the constraints, by one of these terms if the pod has
    /// terms. Only where an individual label or a name decides are the nodes looked at one by one.
    fn node_of<'n>(
        &self,
        class: &'n Class,
        terms: Option<&[&Term<'p>]>,
        budget: &mut Budget,
    ) -> Result<Option<(&'n ClassNode, Option<usize>)>, Exceeded> {
        let Some(selector) = individual_labels(self.selector, class, budget)? else {
            return Ok(None);
        };
        let mut open = Vec::new();
        for term in terms.unwrap_or_default() {
            budget.spend(1)?;
            let Some(tests) = individual_tests(&term.labels, class, budget)? else { continue };
            if selector.is_empty() && tests.is_empty() && term.name.is_free() {
                return Ok(class.nodes.first().map(|node| (node, Some(term.index))));
            }
            open.push((*term, tests));
        }
        if terms.is_none() && selector.is_empty() {
            return Ok(class.nodes.first().map(|node| (node, None)));
        }
        if terms.is_some() && open.is_empty() {
            return Ok(None);
        }
        for node in &class.nodes {
            budget.spend(1 + selector.len())?;
            let member = class.member(node);
            if selector.iter().any(|(key, value)| member.label(key) != Some(value)) {
                continue;
            }
            if terms.is_none() {
                return Ok(Some((node, None)));
            }
            for (term, tests) in &open {
                budget.spend(1 + tests.len())?;
                let mut tests = tests.iter();
                if term.name.holds(&node.name)
                    && tests.all(|test| test.holds(member.label(test.key)))
                {
                    return Ok(Some((node, Some(term.index))));
                }
            }
        }
        Ok(None)
    }

    /// Whether a node of the class meets the constraints.
    pub(super) fn takes_class(&self, class: &Class, budget: &mut Budget) -> Result<bool, Exceeded> {
        let terms: Option<Vec<&Term<'p>>> = self.terms.map(|terms| terms.iter().collect());
        self.node_of(class, terms.as_deref(), budget).map(|found| found.is_some())
    }

    /// Returns the landing on a node to come, if this node may meet the constraints.
    pub(super) fn may_take<'n>(
        &self,
        node: &'n NodeToCome,
        budget: &mut Budget,
    ) -> Result<Option<Landing<'n>>, Exceeded> {
        let landing = |term| Landing { pool: node.pool, witness: node.into(), term };
        if !self.may_come {
            return Ok(None);
        }
        for (key, value) in self.selector.iter() {
            budget.spend(1)?;
            if key != HOST_NAME_LABEL && !node.expected(key).may_be(value) {
                return Ok(None);
            }
        }
        let Some(terms) = self.terms else { return Ok(Some(landing(None))) };
        for (term, may_come) in terms.iter().zip(&self.terms_may_come) {
            budget.spend(1)?;
            if *may_come && may_hold_all(&term.labels, node, budget)? {
                return Ok(Some(landing(Some(term.index))));
            }
        }
        Ok(None)
    }
}

/// The labels that must be compared node by node; `None` if the nodes of the class share another value of a
/// label, or none of them has it.
fn individual_labels<'p>(
    selector: &'p Labels<'_>,
    class: &Class,
    budget: &mut Budget,
) -> Result<Option<Vec<(&'p str, &'p str)>>, Exceeded> {
    let mut individual = Vec::new();
    for (key, value) in selector.iter() {
        budget.spend(1)?;
        if class.is_individual(key) {
            individual.push((key, value));
        } else if class.label(key) != Some(value) {
            return Ok(None);
        }
    }
    Ok(Some(individual))
}

/// The tests that must be evaluated node by node; `None` if a label that the nodes of the class share fails a
/// test.
fn individual_tests<'t, 'p>(
    tests: &'t [LabelTest<'p>],
    class: &Class,
    budget: &mut Budget,
) -> Result<Option<Vec<&'t LabelTest<'p>>>, Exceeded> {
    let mut individual = Vec::new();
    for test in tests {
        budget.spend(1)?;
        if class.is_individual(test.key) {
            individual.push(test);
        } else if !test.holds(class.label(test.key)) {
            return Ok(None);
        }
    }
    Ok(Some(individual))
}

fn may_hold_all(
    tests: &[LabelTest<'_>],
    node: &NodeToCome,
    budget: &mut Budget,
) -> Result<bool, Exceeded> {
    for test in tests {
        budget.spend(1)?;
        // Whether a host can be new does not depend on the pool.
        if test.key != HOST_NAME_LABEL && !test.may_hold(node.expected(test.key)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A search for one landing in each pool.
struct Search<'f, 'l, 's, 'p> {
    look: &'f CompiledConstraints<'l, 's, 'p>,
    tolerated: &'f Tolerated,
    budget: Budget,
    /// The flags of the pools, by index: whether a landing in the pool is found.
    reached: Vec<bool>,
    reach: &'f mut Reach<'s>,
}

impl<'s, 'p> Search<'_, '_, 's, 'p> {
    fn is_reached(&self, pool: usize) -> bool {
        self.reached.get(pool).copied().unwrap_or_default()
    }

    fn add(&mut self, landing: Landing<'s>) {
        if let Some(is_reached) = self.reached.get_mut(landing.pool) {
            *is_reached = true;
        }
        self.reach.landings.push(landing);
    }

    fn run(&mut self) -> Result<(), Exceeded> {
        self.reach.names_unknown_node = self.look.leaves_names;
        let CompiledConstraints { host, terms, .. } = *self.look;
        // A name or a host that is demanded leads to the nodes: no other need be looked at.
        if let Some(host) = host {
            self.visit_host(host, terms)?;
        } else {
            let demands_host =
                |test: &&LabelTest<'p>| test.key == HOST_NAME_LABEL && test.listed().is_some();
            let mut open = Vec::new();
            for term in terms.unwrap_or_default() {
                self.budget.spend(1)?;
                let only = Some(std::slice::from_ref(term));
                if let Some(name) = term.name.demanded {
                    self.visit(name, only)?;
                } else if let Some(hosts) = term.labels.iter().find(demands_host) {
                    self.visit_hosts(hosts, only)?;
                } else {
                    open.push(term);
                }
            }
            let open = terms.map(|_| open.as_slice());
            if open.is_none_or(|open| !open.is_empty()) {
                self.visit_classes(open)?;
            }
        }
        self.visit_nodes_to_come()
    }

    /// Looks at the nodes of the hosts that a test lists.
    fn visit_hosts(
        &mut self,
        test: &LabelTest<'p>,
        terms: Option<&[Term<'p>]>,
    ) -> Result<(), Exceeded> {
        let Some(listed) = test.listed() else { return Ok(()) };
        self.budget.spend(listed.len())?;
        let snapshot = self.look.snapshot;
        let mut known = listed.sorted_where(|host| snapshot.knows_host(host)).into_iter();
        known.try_for_each(|host| self.visit_host(host, terms))
    }

    fn visit_host(&mut self, host: &str, terms: Option<&[Term<'p>]>) -> Result<(), Exceeded> {
        let mut nodes = self.look.snapshot.nodes_on_host(host);
        nodes.try_for_each(|node| self.visit(node, terms))
    }

    /// Looks at one node by its name.
    fn visit(&mut self, name: &str, terms: Option<&[Term<'p>]>) -> Result<(), Exceeded> {
        let snapshot = self.look.snapshot;
        let Located::Dedicated { class, node } = snapshot.locate(name) else { return Ok(()) };
        if self.is_reached(class.pool) {
            return Ok(());
        }
        let member = class.member(node);
        let label = |key: &str| member.label(key);
        for (key, value) in self.look.selector.iter() {
            self.budget.spend(1)?;
            if label(key) != Some(value) {
                return Ok(());
            }
        }
        let mut found = terms.is_none().then_some(None);
        for term in terms.unwrap_or_default() {
            self.budget.spend(1 + term.labels.len())?;
            if term.matches(label, name) {
                found = Some(Some(term.index));
                break;
            }
        }
        let Some(term) = found else { return Ok(()) };
        let landing = Landing { pool: class.pool, witness: Witness::Node(&node.name), term };
        if self.tolerated.has_all(&class.taints) {
            self.add(landing);
        } else if class.lost_taint {
            let own = snapshot.pool(class.pool).and_then(|pool| snapshot.taint_id(&pool.taint));
            let mut others = class.taints.iter().filter(|taint| Some(**taint) != own);
            if others.all(|taint| self.tolerated.has(*taint)) {
                self.reach.lost_taint = Some(landing);
            }
        }
        Ok(())
    }

    fn visit_classes(&mut self, terms: Option<&[&Term<'p>]>) -> Result<(), Exceeded> {
        for class in self.look.snapshot.classes() {
            self.budget.spend(1)?;
            if self.is_reached(class.pool) || !self.tolerated.has_all(&class.taints) {
                continue;
            }
            if let Some((node, term)) = self.look.node_of(class, terms, &mut self.budget)? {
                let witness = Witness::Node(&node.name);
                self.add(Landing { pool: class.pool, witness, term });
            }
        }
        Ok(())
    }

    fn visit_nodes_to_come(&mut self) -> Result<(), Exceeded> {
        for node in self.look.snapshot.nodes_to_come() {
            self.budget.spend(1)?;
            if self.is_reached(node.pool) || !self.tolerated.has_all(&node.taints) {
                continue;
            }
            if let Some(landing) = self.look.may_take(node, &mut self.budget)? {
                self.add(landing);
            }
        }
        Ok(())
    }
}

impl<'s> From<&'s NodeToCome> for Witness<'s> {
    fn from(node: &'s NodeToCome) -> Self {
        Self::ToCome { zone: node.zone.as_deref() }
    }
}
