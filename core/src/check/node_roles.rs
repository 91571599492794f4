//! Judges whether the ConfigMap `kube-system/aws-auth` maps the cloud roles of the pools to nodes. An EKS
//! access entry can do so instead, and no object of Kubernetes shows access entries: what the ConfigMap does
//! not show is unknown.

use super::{
    draft::aws_auth,
    facts::CheckFacts,
    finding::{CheckFinding, Constraint, FindingSeverity},
    words::named,
};
use crate::{
    cluster::inventory::Inventory,
    json,
    kubernetes::resource::CONFIG_MAPS,
    policy::{
        Policy,
        mode::RuleName,
        protection::{FieldChange, GuardedFields, KeepItem, Origin, Protected},
    },
};

const RULE: Constraint = Constraint::Rule(RuleName::RoleBinding);
/// The name of the ConfigMap in messages.
const TITLE: &str = "ConfigMap kube-system/aws-auth";

/// Whether a check of this policy reads `aws-auth`.
pub(super) fn are_mapped(policy: &Policy) -> bool {
    mapping_entries(policy, Origin::Preset).next().is_some()
}

pub(super) fn judge(facts: &CheckFacts<'_>, findings: &mut Vec<CheckFinding>) {
    let CheckFacts { policy, inventory, .. } = facts;
    for (entry, role) in mapping_entries(policy, Origin::Preset) {
        // What the config itself protects is judged with its entry.
        let mut configured = mapping_entries(policy, Origin::Config);
        if !configured.any(|(other, it)| other.resource == entry.resource && it == role) {
            findings.push(mapping(policy, inventory, entry, role).object(TITLE));
        }
    }
}

/// The roles that a list of an object must map, each with its entry.
fn mapping_entries(
    policy: &Policy,
    origin: Origin,
) -> impl Iterator<Item = (&Protected, &KeepItem)> {
    policy.protected.iter().filter(move |it| it.origin == origin).flat_map(|entry| {
        let fields = match &entry.guard {
            GuardedFields::Fields(fields) => fields.as_slice(),
            GuardedFields::Content => &[],
        };
        let items = fields.iter().flat_map(|field| match &field.change {
            FieldChange::Items(items) => items.as_slice(),
            FieldChange::Any | FieldChange::OnceSet => &[],
        });
        items.map(move |item| (entry, item))
    })
}

fn mapping(
    policy: &Policy,
    inventory: &Inventory,
    entry: &Protected,
    KeepItem { value: role, .. }: &KeepItem,
) -> CheckFinding {
    let object = aws_auth();
    let pools = policy.pools.iter().filter(|pool| pool.role.as_ref() == Some(role));
    let pools: Vec<&str> = pools.map(|pool| &*pool.name).collect();
    let whose = format!("role {role} of {}", named("pool", &pools));
    let unknown = |fact: String| CheckFinding::unknown(RULE, FindingSeverity::Error, fact);
    if !inventory.knows(&object.resource) {
        return unknown(match inventory.gap(&object.resource) {
            Some(_) => inventory.why_unknown(CONFIG_MAPS),
            None => format!(
                "The input does not contain {TITLE}, so PoolGuard cannot check that it maps {whose}"
            ),
        })
        .fix("# this command reads the ConfigMap, too:\npoolguard dump -o cluster.json");
    }
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let text = inventory.get(&object.resource, namespace, &object.name);
    let Some(config_map) = text.and_then(|text| json::from_str(text).ok()) else {
        return not_mapped(role, &format!("{TITLE} does not exist"), &whose);
    };
    if let Some(why) = policy.unreadable_map_roles(&config_map) {
        return unknown(format!(
            "PoolGuard cannot read mapRoles of {TITLE} ({why}), so it cannot check that it maps {whose}"
        ));
    }
    let missing = policy.missing_items(entry, namespace, &object.name, &config_map);
    if missing.iter().any(|(_, item)| item.value == *role) {
        return not_mapped(role, &format!("{TITLE} does not map {whose}"), "the role");
    }
    CheckFinding::pass(RULE, FindingSeverity::Error, format!("{TITLE} maps {whose}"))
}

/// The finding about a role that only an access entry can map.
fn not_mapped(role: &str, what: &str, whose: &str) -> CheckFinding {
    let fact = format!("{what}. PoolGuard cannot see if an EKS access entry maps {whose}");
    CheckFinding::unknown(RULE, FindingSeverity::Error, fact).fix(format!(
        "# if this command finds an access entry, all is well:\naws eks describe-access-entry --cluster-name $CLUSTER \
         --principal-arn {role}\n# otherwise, if the nodes have another role: correct `role` of the pool in PoolGuard's \
         config\n# otherwise, add the role to mapRoles of {TITLE}"
    ))
}
