//! Objects that make a pool's nodes, such as Karpenter's `NodePool`.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Policy,
    membership::Membership,
    protection::{Protected, Recognition},
    request::Target,
};
use crate::kubernetes::{
    object::{NodePool, NodePoolKind, RawObject},
    resource::GroupResource,
    selector::{LabelSelector, Operator},
};

impl Policy {
    /// The kind of the objects that a request is about, if they make nodes.
    pub fn node_pool_kind(&self, target: &Target<'_>) -> Option<&Arc<NodePoolKind>> {
        let is_meant = |kind: &&Arc<NodePoolKind>| {
            kind.resource.group == target.group.as_str()
                && kind.resource.resource == target.resource.as_str()
        };
        self.node_pool_kinds.iter().find(is_meant)
    }

    /// The pool whose nodes an object makes, as far as the object tells. Their labels are not all known, so that a
    /// selector counts only if it asks for one.
    pub fn node_pool_membership(&self, made: &NodePool<'_>) -> Membership<'_> {
        let selects = |nodes: &LabelSelector| asks_for_a_label(nodes) && nodes.matches(made);
        match self.pools.iter().position(|pool| selects(&pool.nodes)) {
            Some(index) => Membership::Declared(index),
            None => self.tainted_membership(made, &made.taints),
        }
    }

    /// Whether an object shows by itself that it gives nodes of a pool their role.
    pub fn gives_pool_role(&self, kind: &NodePoolKind, object: &RawObject<'_>) -> bool {
        let names_role = || {
            kind.roles.iter().any(|pointer| {
                let text = object.text_at(pointer.as_str());
                self.pool_roles().contains(text.as_str())
            })
        };
        self.node_pool_membership(&kind.read(object)) != Membership::Elsewhere || names_role()
    }

    /// The policy with those node-pool objects alone that the config names or, if it names none, that are found in
    /// the cluster.
    #[must_use]
    pub fn with_node_pool_objects(&self, found: &BTreeSet<GroupResource>) -> Self {
        let is_meant = |resource: &GroupResource| match &self.node_pool_objects {
            Some(configured) => configured.contains(resource),
            None => found.contains(resource),
        };
        let mut policy = self.clone();
        policy.node_pool_kinds.retain(|kind| is_meant(&kind.resource));
        let is_node_pool =
            |entry: &Protected| matches!(entry.recognition, Recognition::NodePool(_));
        policy.protected.retain(|entry| !is_node_pool(entry) || is_meant(&entry.resource));
        policy
    }

    /// The roles of the pools in every spelling that objects have: the whole, the last part of an ARN, and of a
    /// service account of Google its name and it as a member.
    pub fn pool_roles(&self) -> BTreeSet<String> {
        let roles = self.pools.iter().filter_map(|pool| pool.role.as_deref());
        let spellings = roles.flat_map(|role| {
            let last = role.rsplit_once('/').map(|(_, last)| last.to_owned());
            let account = role.split_once('@').map(|(name, _)| name.to_owned());
            let member = account.as_ref().map(|_| format!("serviceAccount:{role}"));
            [Some(role.to_owned()), last, account, member].into_iter().flatten()
        });
        spellings.filter(|spelling| !spelling.is_empty()).collect()
    }
}

/// Whether a selector matches no node without labels.
pub fn asks_for_a_label(nodes: &LabelSelector) -> bool {
    let asks = |operator| matches!(operator, Operator::In | Operator::Exists);
    nodes.requirements().iter().any(|requirement| asks(requirement.operator))
}
