//! `node-pool`: an object that makes a pool's nodes gives them the pool's taint, and only machine types and
//! zones of the pool.
//!
//! The rule judges custom resources that make nodes, such as a `NodePool` of Karpenter or a `MachineSet`,
//! when someone creates or changes one: the mistake shows before the first wrong node starts. An object makes nodes
//! of a pool if the labels that it gives them match the pool's selector, or if it gives them the pool's taint. The
//! rule judges only what the request changes for the worse.

use std::collections::HashSet;

use super::{Context, node_machine_type::list_name};
use crate::{
    json::text::Text,
    kubernetes::{
        object::{Choices, NodePool, NodePoolKind, Part, RawObject},
        taint::Taint,
    },
    policy::{
        Policy,
        approved_types::ApprovedTypes,
        membership::Membership,
        mode::{Mode, RuleName},
        placement::Ternary,
        pool::Pool,
        request::{Change, Operation, Target},
        verdict::{Finding, FindingCollector},
        zone::Zones,
    },
};

const RULE: RuleName = RuleName::NodePool;

/// The largest number of machine types, zones or taints that a message names.
const NAMED_MAX: usize = 8;

/// The API group of Cluster API. The taints of its nodes usually come from a bootstrap configuration, which is an
/// object of its own.
const CLUSTER_API: &str = "cluster.x-k8s.io";

impl Policy {
    /// Whether the rule wants the objects of a request.
    pub(in crate::policy) fn judges_node_pool(&self, target: &Target<'_>) -> bool {
        let writes = matches!(target.operation, Operation::Create | Operation::Update);
        writes
            && self.rules.node_pool != Mode::Off
            && target.sub_resource.is_empty()
            && self.node_pool_kind(target).is_some()
    }

    /// Returns the findings about an object that exists, each with whether the rule may deny for it.
    pub fn node_pool_findings(
        &self,
        zones: &Zones,
        kind: &NodePoolKind,
        title: &str,
        object: &RawObject<'_>,
    ) -> Vec<NodePoolFinding> {
        let made = kind.read(object);
        Judgement { policy: self, zones, kind, title, old: None, new: &made }.findings()
    }
}

/// A finding, and whether it is certain: an object need not show everything, and a list need not be AutoMQ's own.
#[derive(Debug)]
pub struct NodePoolFinding {
    /// The finding itself.
    pub finding: Finding,
    /// Whether the rule may deny for it.
    pub is_authoritative: bool,
}

pub(super) fn judge(
    context: Context<'_>,
    change: &Change<RawObject<'_>>,
    report: &mut FindingCollector,
) {
    let Context { policy, snapshot, request } = context;
    let (old, new) = match change {
        Change::Create { new } => (None, new),
        Change::Update { old, new } => (Some(old), new),
        Change::Delete { .. } => return,
    };
    if !policy.judges_node_pool(&request.target) {
        return;
    }
    let Some(kind) = policy.node_pool_kind(&request.target) else { return };
    let (old, new) = (old.map(|old| kind.read(old)), kind.read(new));
    let title = &context.object_name(&kind.kind).to_string();
    let zones = snapshot.zones();
    let judgement = Judgement { policy, zones, kind, title, old: old.as_ref(), new: &new };
    let mode = policy.rules.node_pool;
    for NodePoolFinding { finding, is_authoritative } in judgement.findings() {
        report.violation(if is_authoritative { mode } else { mode.min(Mode::Warn) }, finding);
    }
}

/// An object that makes nodes, before and after a change.
struct Judgement<'j, 'a> {
    policy: &'j Policy,
    zones: &'j Zones,
    kind: &'j NodePoolKind,
    title: &'j str,
    old: Option<&'j NodePool<'a>>,
    new: &'j NodePool<'a>,
}

impl<'j> Judgement<'j, '_> {
    fn findings(&self) -> Vec<NodePoolFinding> {
        let before = self.old.map(|old| self.policy.node_pool_membership(old));
        let now = self.policy.node_pool_membership(self.new);
        let mut findings = Vec::new();
        if let Some((pool, taint, declared)) = self.pool_of(&now) {
            let made = MadeNodes { judgement: self, pool: &pool, taint: &taint, declared };
            // What it is compared with, if it made nodes of the same pool already.
            let known = self.old.filter(|_| before.as_ref() == Some(&now));
            let all = [
                made.missing_taint(known),
                made.other_taints(known),
                made.machine_types(known),
                made.zones(known),
            ];
            findings.extend(all.into_iter().flatten());
        }
        if let Some(before) = before.filter(|before| *before != now)
            && let Some((pool, taint, declared)) = self.pool_of(&before)
        {
            let left = MadeNodes { judgement: self, pool: &pool, taint: &taint, declared };
            let lost = match before {
                Membership::Declared(_) => left.lost_labels(),
                Membership::Tainted { .. } if now == Membership::Elsewhere => left.lost_taint(),
                Membership::Tainted { .. } | Membership::Elsewhere => None,
            };
            findings.extend(lost);
        }
        findings
    }

    fn pool_of(
        &self,
        membership: &Membership<'_>,
    ) -> Option<(String, Taint<'static>, Option<&'j Pool>)> {
        let (pool, taint) = self.policy.pool_of(membership)?;
        let declared = match membership {
            Membership::Declared(index) => self.policy.pools.get(*index),
            Membership::Tainted { .. } | Membership::Elsewhere => None,
        };
        Some((pool, taint, declared))
    }
}

/// A pool, and an object that makes nodes of it.
#[derive(Clone, Copy)]
struct MadeNodes<'m, 'j, 'a> {
    judgement: &'m Judgement<'j, 'a>,
    pool: &'m str,
    taint: &'m Taint<'static>,
    declared: Option<&'j Pool>,
}

impl MadeNodes<'_, '_, '_> {
    fn finding(&self, fact: String, advice: String, field: String) -> NodePoolFinding {
        let finding = Finding::new(RULE, fact).advice(advice).field(field).pool(self.pool);
        NodePoolFinding { finding, is_authoritative: true }
    }

    /// Returns the beginning of a sentence: `NodePool brokers creates nodes of pool pool-a`.
    fn subject(&self) -> String {
        format!("{} creates nodes of pool {}", self.judgement.title, self.pool)
    }

    fn missing_taint(&self, known: Option<&NodePool<'_>>) -> Option<NodePoolFinding> {
        let Judgement { kind, new, .. } = self.judgement;
        let taint = self.taint;
        let has = |made: &NodePool<'_>| made.taints.contains(taint);
        match known {
            _ if has(new) => None,
            Some(known) if has(known) => self.lost_taint(),
            Some(_) => None,
            None => {
                let field = kind.field_text(Part::Taints)?;
                if kind.resource.group == CLUSTER_API {
                    let fact = format!(
                        "{} and does not have the pool's taint {taint} in {field}. If its bootstrap configuration does \
                         not set the taint either, any pod could run on these nodes",
                        self.subject()
                    );
                    let advice = format!(
                        "Check that the bootstrap configuration sets the taint {taint} (nodeRegistration.taints). Or \
                         add the taint to {field}, if Cluster API's feature gate MachineTaintPropagation is on"
                    );
                    let found = self.finding(fact, advice, field);
                    return Some(NodePoolFinding { is_authoritative: false, ..found });
                }
                let fact = format!(
                    "{} without the pool's taint {taint} ({field}). Any pod could run on these nodes",
                    self.subject()
                );
                Some(self.finding(fact, give(taint, &field), field))
            }
        }
    }

    fn lost_taint(&self) -> Option<NodePoolFinding> {
        let Judgement { kind, title, .. } = self.judgement;
        let (taint, field) = (self.taint, kind.field_text(Part::Taints)?);
        let fact = format!(
            "{title} would lose the taint {taint} of pool {} in {field}. Any pod could then run on new nodes of the pool",
            self.pool
        );
        Some(self.finding(fact, give(taint, &field), field))
    }

    fn lost_labels(&self) -> Option<NodePoolFinding> {
        let Judgement { kind, title, .. } = self.judgement;
        let field = kind.field_text(Part::Labels).or_else(|| kind.field_text(Part::Name))?;
        let fact = format!(
            "{title} would no longer give its nodes the labels of pool {}, so new nodes would not be in the pool",
            self.pool
        );
        let advice = format!(
            "Keep the labels that the pool's selector in PoolGuard's config requires ({field})"
        );
        Some(self.finding(fact, advice, field))
    }

    /// Returns the finding about taints that brokers do not tolerate.
    fn other_taints(&self, known: Option<&NodePool<'_>>) -> Option<NodePoolFinding> {
        let Judgement { policy, kind, new, .. } = self.judgement;
        let known: HashSet<&Taint<'_>> =
            known.into_iter().flat_map(|known| &known.taints).collect();
        let is_other = |taint: &&Taint<'_>| {
            policy.is_lasting(taint)
                && *taint != self.taint
                && !self.declared.is_some_and(|pool| pool.additional_taints.contains(taint))
                && !known.contains(taint)
        };
        let others: Vec<String> =
            new.taints.iter().filter(is_other).map(ToString::to_string).collect();
        let field = kind.field_text(Part::Taints)?;
        if others.is_empty() {
            return None;
        }
        let beside =
            if new.taints.contains(self.taint) { "in addition to" } else { "which is not" };
        let fact = format!(
            "{} with the taint {} {beside} the pool's taint {} ({field}). AutoMQ's pods do not tolerate {}",
            self.subject(),
            named(&others),
            self.taint,
            named(&others)
        );
        let advice = if self.declared.is_some() {
            "Remove this taint. Or add it to the pool's additionalTaints in PoolGuard's config: with pod-placement in mode \
             enforce, PoolGuard then adds the toleration to AutoMQ's pods"
        } else {
            "Remove this taint. Or declare the pool in PoolGuard's config, with this taint in additionalTaints: with \
             pod-placement in mode enforce, PoolGuard then adds the toleration to AutoMQ's pods"
        };
        Some(self.finding(fact, advice.to_owned(), field))
    }

    fn machine_types(&self, known: Option<&NodePool<'_>>) -> Option<NodePoolFinding> {
        let Judgement { policy, new, .. } = self.judgement;
        let list = policy.approved_types(Some(self.declared?))?;
        let Choices { field, names, is_open } = &new.machine_types;
        let approved: HashSet<&str> = list.names.iter().copied().collect();
        let known = known.map(|known| &known.machine_types);
        let before: HashSet<&str> =
            known.into_iter().flat_map(|known| &known.names).map(Text::as_str).collect();
        let is_new = |name: &&str| !approved.contains(name) && !before.contains(name);
        let others: Vec<&str> = names.iter().map(Text::as_str).filter(is_new).collect();
        let was_open = known.is_some_and(|known| known.is_open);
        let ApprovedTypes { names: approved, source } = &list;
        let allowed = format!("{}: {}", list_name(policy, *source), named(approved));
        let fact = if !others.is_empty() {
            format!(
                "{} with machine type {} ({field}), which is not in {allowed}",
                self.subject(),
                named(&others)
            )
        } else if *is_open && !was_open {
            format!(
                "{} with any machine type, because {field} does not limit node.kubernetes.io/instance-type to {allowed}",
                self.subject()
            )
        } else {
            return None;
        };
        let advice = if others.is_empty() {
            let more = if approved.len() > NAMED_MAX {
                ". You can also list the other approved types"
            } else {
                ""
            };
            let shown: Vec<&str> = approved.iter().take(NAMED_MAX).copied().collect();
            format!(
                "Add to {field}: {{key: node.kubernetes.io/instance-type, operator: In, values: [{}]}}{more}",
                shown.join(", ")
            )
        } else {
            "List only approved machine types, or add this type to the pool's machineTypes in PoolGuard's config".to_owned()
        };
        let found = self.finding(fact, advice, field.clone());
        Some(NodePoolFinding { is_authoritative: source.is_authoritative(), ..found })
    }

    fn zones(&self, known: Option<&NodePool<'_>>) -> Option<NodePoolFinding> {
        let Judgement { zones, new, .. } = self.judgement;
        let Choices { field, names, is_open: _ } = &new.zones;
        let before: HashSet<&str> =
            known.into_iter().flat_map(|known| &known.zones.names).map(Text::as_str).collect();
        let names: HashSet<&str> = names.iter().map(Text::as_str).collect();
        let fact = match self.declared {
            Some(pool) => {
                let declared = || pool.zones.iter().map(String::as_str);
                let is_other = |zone: &&str| {
                    !before.contains(zone) && zones.find(zone, declared()) == Ternary::No
                };
                let mut others: Vec<&str> = names.into_iter().filter(is_other).collect();
                others.sort_unstable();
                if pool.zones.is_empty() || others.is_empty() {
                    return None;
                }
                format!(
                    "{} in zone {} ({field}), but the pool's zones are {}",
                    self.subject(),
                    named(&others),
                    pool.zones.join(", ")
                )
            }
            None if names.len() == 2 && names != before => {
                let mut names: Vec<&str> = names.into_iter().collect();
                names.sort_unstable();
                format!(
                    "{} in 2 zones: {} ({field}). AutoMQ supports one zone or three",
                    self.subject(),
                    named(&names)
                )
            }
            None => return None,
        };
        let advice = if self.declared.is_some() {
            "List only the pool's own zones; use a separate pool for other zones"
        } else {
            "List one zone, or list three zones"
        };
        Some(self.finding(fact, advice.to_owned(), field.clone()))
    }
}

fn give(taint: &Taint<'_>, field: &str) -> String {
    format!("Add the taint {taint} to {field}")
}

/// Names in a message, and how many are left out.
fn named<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMED_MAX).map(AsRef::as_ref).collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(NAMED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
