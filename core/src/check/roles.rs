//! The objects that keep AutoMQ's roles working: identity annotations of AutoMQ's service accounts, the objects
//! that the config protects, and the roles that AutoMQ's bindings refer to.

use serde_json::Value;

use super::{
    facts::CheckFacts,
    finding::{CheckFinding, Constraint, FindingSeverity},
    words::{count, list},
};
use crate::{
    cluster::inventory::{Inventory, ObjectName},
    config::identity_annotation,
    json,
    kubernetes::{
        name::any_matches,
        object::Labels,
        resource::{
            CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, GroupResource, ROLE_BINDINGS, ROLES, Resource,
            SERVICE_ACCOUNTS,
        },
    },
    policy::{
        Policy,
        mode::RuleName,
        pod_owner::PodIdentity,
        protection::{
            Field, FieldChange, GuardedFields, KeepItem, Namespaces, Origin, Protected, Recognition,
        },
        provider::Provider,
        snapshot::ProtectedReference,
    },
};

const RULE: Constraint = Constraint::Rule(RuleName::RoleBinding);

pub(super) fn judge(facts: &CheckFacts<'_>, findings: &mut Vec<CheckFinding>) {
    let CheckFacts { policy, inventory, .. } = facts;
    identities(facts, findings);
    protected(policy, inventory, findings);
    bindings(inventory, &references(policy, inventory), findings);
}

/// Returns the findings of [`judge`] that need only a few objects: whether the objects that the config protects
/// exist, and the roles that these bindings refer to.
pub(super) fn judge_named(
    policy: &Policy,
    references: &[ProtectedReference],
    inventory: &Inventory,
) -> Vec<CheckFinding> {
    let mut findings = Vec::new();
    protected(policy, inventory, &mut findings);
    bindings(inventory, references, &mut findings);
    findings
}

/// A service account in an AutoMQ namespace.
struct Account<'a> {
    name: &'a ObjectName,
    object: Value,
    identity: Option<(&'a str, String)>,
}

fn identities(facts: &CheckFacts<'_>, findings: &mut Vec<CheckFinding>) {
    let policy = facts.policy;
    if !facts.knows(SERVICE_ACCOUNTS) {
        let fact = facts.inventory.why_unknown(SERVICE_ACCOUNTS);
        let unknown = CheckFinding::unknown(RULE, FindingSeverity::Error, fact);
        findings.push(unknown.object(SERVICE_ACCOUNTS.plural));
        return;
    }
    let accounts = accounts(facts);
    let (with, without): (Vec<&Account<'_>>, Vec<&Account<'_>>) =
        accounts.iter().partition(|account| account.identity.is_some());
    // Any of the annotations that are known does where the provider has none of its own.
    let known = policy.provider.and_then(identity_annotation);
    let key = with.first().and_then(|it| it.identity.as_ref()).map(|(key, _)| *key).or(known);
    let role = policy.pools.iter().find_map(|pool| pool.role.as_deref());
    let is_expected = role.is_some() || !with.is_empty() || names_role(&policy.protected);
    for Account { name, object, identity: _ } in &without {
        let Some(key) = key else { break };
        let is_marked = carries_mark(&policy.protected, object);
        let is_used = is_used(facts, name);
        if name.name == "default" && !is_used && !is_marked {
            continue;
        }
        let severity = if is_expected || is_marked {
            FindingSeverity::Error
        } else {
            FindingSeverity::Warning
        };
        let ObjectName { namespace, name: account } = name;
        let instance = policy.instances.iter().find(|it| it.namespace == *namespace);
        let pool = instance.and_then(|it| policy.pools.get(it.pool));
        let finding = CheckFinding::fail(
            RULE,
            severity,
            format!(
                "ServiceAccount {name} has no annotation {key}, so its pods have no cloud role"
            ),
        )
        .why("Brokers cannot reach object storage and disks, so they fail at their next start")
        .object(format!("ServiceAccount {name}"))
        .fix(format!(
            "kubectl annotate serviceaccount -n {namespace} {account} {key}=$ROLE\n# $ROLE is the cloud role of \
             this service account, not the role of the nodes\n# then restart the pods of this service account\n# or, if these pods need no cloud role, ignore this finding"
        ));
        findings.push(match pool {
            Some(pool) => finding.pool(&pool.name),
            None => finding,
        });
    }
    if without.is_empty() || with.len() == accounts.len() {
        let fact = if with.is_empty() {
            let namespaces: Vec<String> =
                policy.automq.namespaces.iter().map(ToString::to_string).collect();
            format!("AutoMQ's namespaces ({}) contain no service account", list(&namespaces))
        } else {
            let has = if with.len() == 1 { "has a" } else { "have a" };
            format!(
                "{} in AutoMQ's namespaces {has} cloud identity",
                count(with.len(), "service account")
            )
        };
        let status = if with.is_empty() { CheckFinding::unknown } else { CheckFinding::pass };
        findings.push(status(RULE, FindingSeverity::Error, fact));
    }
}

/// The service accounts that AutoMQ's pods may use.
fn accounts<'a>(facts: &'a CheckFacts<'_>) -> Vec<Account<'a>> {
    let policy = facts.policy;
    let objects = facts.inventory.objects(&SERVICE_ACCOUNTS.group_resource());
    let is_meant = |name: &ObjectName| {
        let listed = &policy.automq.service_accounts;
        policy.automq.owns_namespace(&name.namespace)
            && (listed.is_empty() || any_matches(listed, &name.name))
    };
    objects
        .filter(|(name, _)| is_meant(name))
        .filter_map(|(name, text)| {
            let object: Value = serde_json::from_str(text).ok()?;
            let identity = identity(&policy.protected, &object);
            Some(Account { name, object, identity })
        })
        .collect()
}

/// The cloud identity that an object names: the first of the annotations that are guarded.
fn identity<'p>(protected: &'p [Protected], object: &Value) -> Option<(&'p str, String)> {
    let guards = protected.iter().map(|entry| &entry.guard);
    let fields = guards.filter_map(|guard| match guard {
        GuardedFields::Fields(fields) => Some(fields),
        GuardedFields::Content => None,
    });
    let once_set = fields.flatten().filter(|field| matches!(field.change, FieldChange::OnceSet));
    once_set.into_iter().find_map(|field| {
        let value = object.pointer(field.pointer.as_str())?.as_str()?;
        let key = known_annotation(field.pointer.as_str())?;
        (!value.trim().is_empty()).then(|| (key, value.to_owned()))
    })
}

/// The annotation of a pointer, if it is a cloud identity.
fn known_annotation(pointer: &str) -> Option<&'static str> {
    let keys = Provider::ALL.into_iter().filter_map(identity_annotation);
    keys.into_iter().find(|key| pointer.ends_with(&key.replace('/', "~1")))
}

/// Whether the config says elsewhere that a cloud role is in use.
fn names_role(protected: &[Protected]) -> bool {
    protected.iter().any(|entry| match &entry.guard {
        GuardedFields::Fields(fields) => {
            fields.iter().any(|field| matches!(field.change, FieldChange::Items(_)))
        }
        GuardedFields::Content => false,
    })
}

/// Whether an object carries one of the labels that AutoMQ gives its own.
fn carries_mark(protected: &[Protected], object: &Value) -> bool {
    let marks = protected.iter().filter_map(|entry| match &entry.recognition {
        Recognition::AutoMqBinding { labels } => Some(labels),
        Recognition::Always | Recognition::HoldsAField | Recognition::NodePool(_) => None,
    });
    marks.flatten().any(|mark| {
        let label = object.pointer("/metadata/labels").and_then(|labels| labels.get(&mark.key));
        let label = label.and_then(Value::as_str);
        label.is_some() && mark.value.as_deref().is_none_or(|value| label == Some(value))
    })
}

/// Whether an AutoMQ pod runs as this service account.
fn is_used(facts: &CheckFacts<'_>, name: &ObjectName) -> bool {
    facts.pods.iter().any(|resident| {
        let pod = &resident.pod;
        let account = match pod.spec.service_account() {
            "" => "default",
            account => account,
        };
        let identity = PodIdentity::<Labels<'_>> {
            namespace: &pod.metadata.namespace,
            labels: &pod.metadata.labels,
            service_account: account,
            daemon_set: None,
        };
        account == name.name
            && pod.metadata.namespace == name.namespace.as_str()
            && facts.policy.automq.owns_pod(&identity)
    })
}

fn protected(policy: &Policy, inventory: &Inventory, findings: &mut Vec<CheckFinding>) {
    let configured = policy.protected.iter().filter(|it| it.origin == Origin::Config);
    for entry in configured {
        // A glob may stand for nothing.
        let names: Vec<&str> = entry.names.iter().filter_map(|name| name.as_exact()).collect();
        if names.is_empty() {
            continue;
        }
        let resource = &entry.resource;
        if inventory.is_absent(resource) {
            findings.push(absent(entry));
            continue;
        }
        if !inventory.knows(resource) {
            let fact = match inventory.gap(resource) {
                Some(why) => format!("{resource} could not be read: {why}"),
                None => format!(
                    "The input contains no {resource}, so PoolGuard cannot check that {} \
                     (protected entry {}) {}",
                    list(&names),
                    entry.name,
                    if names.len() == 1 { "exists" } else { "exist" },
                ),
            };
            let unknown = CheckFinding::unknown(RULE, FindingSeverity::Error, fact);
            findings.push(unknown.object(objects(entry, &names)));
            continue;
        }
        let before = findings.len();
        for name in &names {
            match found(policy, inventory, entry, name) {
                None => findings.push(missing(entry, name)),
                Some((name, text)) => findings.extend(lost_items(policy, entry, name, text)),
            }
        }
        if findings.len() == before {
            let exist = if names.len() == 1 { "exists" } else { "exist" };
            let fact = format!("{} of protected entry {} {exist}", list(&names), entry.name);
            let pass = CheckFinding::pass(RULE, FindingSeverity::Error, fact);
            findings.push(pass.object(objects(entry, &names)));
        }
    }
}

/// The objects of an entry, as findings name them.
fn objects(entry: &Protected, names: &[&str]) -> String {
    let place = match &entry.namespaces {
        Namespaces::Named(glob) => format!("{glob}/"),
        Namespaces::Any | Namespaces::AutoMq => String::new(),
    };
    format!("{} {place}{}", entry.resource, names.join(","))
}

/// Returns the finding about a resource that the API server does not have.
fn absent(entry: &Protected) -> CheckFinding {
    let Protected { name, resource, .. } = entry;
    let fact = format!(
        "The API server has no resource {resource}, so entry {name} of `protected` protects nothing"
    );
    CheckFinding::fail(RULE, FindingSeverity::Error, fact).object(resource.to_string()).fix(
        "# correct the resource in PoolGuard's config (`kubectl api-resources` lists all), or remove the entry",
    )
}

fn found<'a>(
    policy: &Policy,
    inventory: &'a Inventory,
    entry: &Protected,
    name: &str,
) -> Option<(&'a ObjectName, &'a str)> {
    let is_meant = |namespace: &str| match &entry.namespaces {
        Namespaces::Any => true,
        Namespaces::Named(glob) => glob.matches(namespace),
        Namespaces::AutoMq => policy.automq.owns_namespace(namespace),
    };
    let mut objects = inventory.objects(&entry.resource);
    objects.find(|(it, _)| it.name == name && is_meant(&it.namespace))
}

fn missing(entry: &Protected, name: &str) -> CheckFinding {
    let object = objects(entry, &[name]);
    let fact = format!("{object} does not exist, but entry {} of `protected` names it", entry.name);
    CheckFinding::fail(RULE, FindingSeverity::Error, fact)
        .why("AutoMQ's permissions depend on this object. Without it, brokers or their nodes lose access")
        .object(object)
        .fix(
            "# create the object again. Or, if AutoMQ does not use it, remove it from `protected` in PoolGuard's \
         config",
        )
}

/// Returns the findings about items that a protected list must hold, and does not.
fn lost_items(
    policy: &Policy,
    entry: &Protected,
    name: &ObjectName,
    text: &str,
) -> Vec<CheckFinding> {
    let Ok(object) = json::from_str(text) else { return Vec::new() };
    let missing = policy.missing_items(entry, &name.namespace, &name.name, &object);
    let finding = |(field, item): (&Field, &KeepItem)| {
        let (resource, pointer) = (&entry.resource, &field.pointer);
        let fact =
            format!("{resource} {name} has no item with {}: {} in {pointer}", item.by, item.value);
        CheckFinding::fail(RULE, FindingSeverity::Error, fact)
            .why("Nodes with this role cannot join the cluster, or lose their permissions")
            .object(format!("{resource} {name}"))
            .fix(format!("{}\n# {}", edit(resource, name), addition(item)))
    };
    missing.into_iter().map(finding).collect()
}

/// Returns the remedy for a list that lacks an item.
fn addition(item: &KeepItem) -> String {
    let KeepItem { by, value } = item;
    if by == "rolearn" {
        format!(
            "add to mapRoles: {{rolearn: {value}, username: 'system:node:{{{{EC2PrivateDNSName}}}}', groups: \
             ['system:bootstrappers', 'system:nodes']}}"
        )
    } else {
        format!("add the item with {by}: {value}")
    }
}

fn edit(resource: &GroupResource, name: &ObjectName) -> String {
    let ObjectName { namespace, name } = name;
    if namespace.is_empty() {
        format!("kubectl edit {resource} {name}")
    } else {
        format!("kubectl edit {resource} -n {namespace} {name}")
    }
}

/// AutoMQ's bindings, and the roles that they refer to.
fn references(policy: &Policy, inventory: &Inventory) -> Vec<ProtectedReference> {
    let mut references = Vec::new();
    for bindings in [ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS] {
        let resource = bindings.group_resource();
        references.extend(inventory.objects(&resource).filter_map(|(_, text)| {
            policy.protected_reference(&resource, &json::from_str(text).ok()?)
        }));
    }
    references
}

fn bindings(
    inventory: &Inventory,
    references: &[ProtectedReference],
    findings: &mut Vec<CheckFinding>,
) {
    let (mut intact, mut unknown) = (0, None);
    let before = findings.len();
    for reference in references {
        let Some(role) = &reference.role else { continue };
        let (kind, namespace) = match role.kind.as_str() {
            "Role" => (ROLES, reference.namespace.as_str()),
            _ => (CLUSTER_ROLES, ""),
        };
        if !inventory.knows(&kind.group_resource()) {
            unknown = Some(kind);
        } else if inventory.has(&kind.group_resource(), namespace, &role.name) {
            intact += 1;
        } else {
            findings.push(without_role(reference, kind, &role.name));
        }
    }
    if let Some(kind) = unknown {
        let fact = format!(
            "{}, so PoolGuard cannot check that the roles of AutoMQ's bindings exist",
            inventory.why_unknown(kind)
        );
        let unknown = CheckFinding::unknown(RULE, FindingSeverity::Error, fact);
        findings.push(unknown.object(kind.group_resource().to_string()));
    }
    if intact > 0 && findings.len() == before {
        let refer =
            if intact == 1 { "refers to a role that exists" } else { "refer to roles that exist" };
        let fact = format!("{} {refer}", count(intact, "AutoMQ binding"));
        findings.push(CheckFinding::pass(RULE, FindingSeverity::Error, fact));
    }
}

fn without_role(binding: &ProtectedReference, role: Resource, role_name: &str) -> CheckFinding {
    let ProtectedReference { resource, namespace, name, .. } = binding;
    let bindings = if *resource == ROLE_BINDINGS.group_resource() {
        ROLE_BINDINGS
    } else {
        CLUSTER_ROLE_BINDINGS
    };
    let name = ObjectName { namespace: namespace.clone(), name: name.clone() };
    let binding = format!("{} {name}", bindings.kind);
    let fact = format!("{binding} refers to {} {role_name}, which does not exist", role.kind);
    CheckFinding::fail(RULE, FindingSeverity::Error, fact)
        .why("The binding grants nothing, so AutoMQ's service accounts lack these permissions")
        .object(binding)
        .fix(format!("# create {} {role_name} again from AutoMQ's Helm chart", role.kind))
}
