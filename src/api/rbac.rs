//! What PoolGuard asks of an API server, as rules of RBAC: the chart grants these and no others, and
//! a request that is refused names the rule that is missing.

use std::{borrow::Cow, fmt};

use crate::{
    api::reports::Api, check::NamedObject, cluster::Kind, kubernetes::resource::RBAC_GROUP,
};

/// A rule of RBAC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRule {
    /// Where it is needed.
    pub scope: RoleScope,
    /// API group; empty for the core group.
    pub group: Cow<'static, str>,
    /// Plural of the kind.
    pub resource: Cow<'static, str>,
    /// What is done with it.
    pub verbs: &'static [&'static str],
    /// The only objects that it is needed for; empty: any.
    pub names: Vec<String>,
}

/// Whether a right belongs into the ClusterRole, or into the Role of PoolGuard's own namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleScope {
    /// Every namespace, and what has none.
    Cluster,
    /// PoolGuard's own namespace.
    Namespace,
}

/// What the objects of an installation are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The webhook configurations, both of them; the Lease, too.
    pub release: String,
    /// The Secret of the certificate authority.
    pub authority: String,
    /// The ClusterRole that owns the webhook configurations.
    pub owner: Option<String>,
}

impl Names {
    /// The names of a release.
    pub fn of(release: &str, owner: Option<String>) -> Self {
        Self { release: release.to_owned(), authority: format!("{release}-ca"), owner }
    }
}

/// Plurals of the two kinds of webhook configurations.
pub const WEBHOOK_CONFIGURATIONS: [&str; 2] =
    ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"];
/// Plurals of the kinds of admission policies and of their bindings.
pub const ADMISSION_POLICIES: [&str; 4] = [
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
];
/// Their API group.
pub const ADMISSION_GROUP: &str = "admissionregistration.k8s.io";

/// What a replica of an installation does beside answering, where it may be told not to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duties {
    /// Keeping a certificate authority; with a certificate that is given to it, it keeps none.
    pub certifies: bool,
    /// Creating the webhook configurations; with `registration: external` another client creates them, and a replica
    /// writes their `caBundle` only.
    pub registers: bool,
    /// Writing reports.
    pub reports: bool,
}

/// Everything that a replica of an installation asks for.
pub fn of_replica(names: &Names, duties: Duties) -> Vec<PolicyRule> {
    let certifying = if duties.certifies { certifying(names) } else { Vec::new() };
    let reporting = if duties.reports { reporting(names) } else { Vec::new() };
    let registering = if duties.registers { registering() } else { Vec::new() };
    [watching(), scanning(), joining(names), registering, certifying, reporting].concat()
}

/// What is asked for to learn the cluster.
pub fn watching() -> Vec<PolicyRule> {
    Kind::ALL.into_iter().map(watch_of).collect()
}

/// What is asked for to learn of one kind.
pub fn watch_of(kind: Kind) -> PolicyRule {
    PolicyRule {
        scope: RoleScope::Cluster,
        group: kind.resource().group.into(),
        resource: kind.resource().plural.into(),
        verbs: &["list", "watch"],
        names: Vec::new(),
    }
}

/// What is asked for to look at what runs already.
pub fn scanning() -> Vec<PolicyRule> {
    vec![listing_pods(), role("roles"), role("clusterroles")]
}

/// The roles that AutoMQ's bindings refer to: which ones is not known before.
pub fn role(resource: &'static str) -> PolicyRule {
    let (scope, group) = (RoleScope::Cluster, RBAC_GROUP.into());
    PolicyRule { scope, group, resource: resource.into(), verbs: &["get"], names: Vec::new() }
}

/// The objects that the config protects by their names.
pub fn protecting<'o>(objects: impl IntoIterator<Item = &'o NamedObject>) -> Vec<PolicyRule> {
    objects.into_iter().map(protected).collect()
}

/// An object that the config protects.
pub fn protected(object: &NamedObject) -> PolicyRule {
    PolicyRule {
        scope: RoleScope::Cluster,
        group: object.resource.group.clone().into(),
        resource: object.resource.resource.clone().into(),
        verbs: &["list"],
        names: vec![object.name.clone()],
    }
}

/// The pods of every namespace.
pub fn listing_pods() -> PolicyRule {
    listing("", "pods")
}

/// The objects of one kind in every namespace, for a check.
pub fn listing(
    group: impl Into<Cow<'static, str>>,
    resource: impl Into<Cow<'static, str>>,
) -> PolicyRule {
    PolicyRule {
        scope: RoleScope::Cluster,
        group: group.into(),
        resource: resource.into(),
        verbs: &["list"],
        names: Vec::new(),
    }
}

/// What is asked for to be one of several replicas, and to keep the webhook configurations that exist.
pub fn joining(names: &Names) -> Vec<PolicyRule> {
    let mut rights = vec![leading(names)];
    rights.push(creating(RoleScope::Namespace, "coordination.k8s.io", "leases"));
    rights.extend(WEBHOOK_CONFIGURATIONS.map(|resource| configuration(resource, names)));
    rights.extend(backing(names));
    rights.extend(owner(names));
    rights.push(creating(RoleScope::Cluster, "events.k8s.io", "events"));
    rights
}

/// What is asked for to create the webhook configurations.
pub fn registering() -> Vec<PolicyRule> {
    let create = |resource| creating(RoleScope::Cluster, ADMISSION_GROUP, resource);
    WEBHOOK_CONFIGURATIONS.map(create).to_vec()
}

/// What is asked for to keep a certificate authority.
pub fn certifying(names: &Names) -> Vec<PolicyRule> {
    vec![authority(names), creating(RoleScope::Namespace, "", "secrets")]
}

/// What is asked for to write reports of both kinds.
pub fn reporting(names: &Names) -> Vec<PolicyRule> {
    let mut rights = Vec::new();
    for api in Api::ALL {
        for is_namespaced in [true, false] {
            rights.push(report(api, is_namespaced, names));
            rights.push(creating(RoleScope::Cluster, api.group(), api.resource(is_namespaced)));
        }
    }
    rights
}

/// The reports of one kind, in every namespace or without one.
pub fn report(api: Api, is_namespaced: bool, names: &Names) -> PolicyRule {
    PolicyRule {
        scope: RoleScope::Cluster,
        group: api.group().into(),
        resource: api.resource(is_namespaced).into(),
        verbs: &["delete", "list", "update"],
        names: report_names(names).to_vec(),
    }
}

/// What reports of findings are called, and those of denials.
pub fn report_names(names: &Names) -> [String; 2] {
    [names.release.clone(), format!("{}-denials", names.release)]
}

/// The Lease.
pub fn leading(names: &Names) -> PolicyRule {
    PolicyRule {
        scope: RoleScope::Namespace,
        group: "coordination.k8s.io".into(),
        resource: "leases".into(),
        verbs: &["get", "update"],
        names: vec![names.release.clone()],
    }
}

/// The Secret of the certificate authority.
pub fn authority(names: &Names) -> PolicyRule {
    PolicyRule {
        scope: RoleScope::Namespace,
        group: "".into(),
        resource: "secrets".into(),
        verbs: &["list", "update", "watch"],
        names: vec![names.authority.clone()],
    }
}

/// The webhook configurations of one kind.
pub fn configuration(resource: &'static str, names: &Names) -> PolicyRule {
    PolicyRule {
        scope: RoleScope::Cluster,
        group: ADMISSION_GROUP.into(),
        resource: resource.into(),
        verbs: &["list", "patch", "watch"],
        names: vec![names.release.clone()],
    }
}

/// What is asked for to keep a backstop.
fn backing(names: &Names) -> impl Iterator<Item = PolicyRule> {
    ADMISSION_POLICIES.into_iter().flat_map(|resource| {
        [admission_policy(resource, names), creating(RoleScope::Cluster, ADMISSION_GROUP, resource)]
    })
}

/// The admission policies of one kind.
pub fn admission_policy(resource: &'static str, names: &Names) -> PolicyRule {
    PolicyRule {
        scope: RoleScope::Cluster,
        group: ADMISSION_GROUP.into(),
        resource: resource.into(),
        verbs: &["delete", "get", "patch", "update"],
        names: policy_names(&names.release).to_vec(),
    }
}

/// What the admission policies of a release are called, and their bindings alike.
pub fn policy_names(release: &str) -> [String; 3] {
    [release.to_owned(), format!("{release}-bindings"), format!("{release}-placement")]
}

/// The ClusterRole that owns them.
pub fn owner(names: &Names) -> Option<PolicyRule> {
    names.owner.as_ref().map(|owner| PolicyRule {
        scope: RoleScope::Cluster,
        group: RBAC_GROUP.into(),
        resource: "clusterroles".into(),
        verbs: &["get"],
        names: vec![owner.clone()],
    })
}

/// What cannot be limited to a name, since the object is not there yet.
pub fn creating(scope: RoleScope, group: &'static str, resource: &'static str) -> PolicyRule {
    PolicyRule {
        scope,
        group: group.into(),
        resource: resource.into(),
        verbs: &["create"],
        names: Vec::new(),
    }
}

/// The rule as a role has it.
impl fmt::Display for PolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope: _, group, resource, verbs, names } = self;
        write!(f, "{{apiGroups: [{group:?}], resources: [{resource}]")?;
        if !names.is_empty() {
            write!(f, ", resourceNames: [{}]", names.join(", "))?;
        }
        write!(f, ", verbs: [{}]}}", verbs.join(", "))
    }
}

/// Where the rule belongs.
impl fmt::Display for RoleScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "ClusterRole of this user",
            Self::Namespace => "Role of this user in PoolGuard's own namespace",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_reads_as_the_rule_to_add() {
        let names = Names::of("poolguard", None);
        assert_eq!(
            watch_of(Kind::Node).to_string(),
            r#"{apiGroups: [""], resources: [nodes], verbs: [list, watch]}"#
        );
        assert_eq!(
            leading(&names).to_string(),
            r#"{apiGroups: ["coordination.k8s.io"], resources: [leases], resourceNames: [poolguard], verbs: [get, update]}"#
        );
    }

    #[test]
    fn whatever_can_be_limited_to_a_name_is() {
        let names = Names::of("poolguard", Some("poolguard".into()));
        let rights = [joining(&names), registering(), certifying(&names), reporting(&names)];
        for right in rights.concat() {
            assert!(right.names.is_empty() == (right.verbs == ["create"]), "{right}");
        }
    }

    #[test]
    fn external_registration_needs_no_right_to_create_webhook_configurations() {
        let names = Names::of("poolguard", Some("poolguard".into()));
        let of = |registers| {
            let rights = of_replica(&names, Duties { certifies: true, registers, reports: true });
            let is_of_webhooks = |it: &PolicyRule| WEBHOOK_CONFIGURATIONS.contains(&&*it.resource);
            let verbs = rights.into_iter().filter(is_of_webhooks).flat_map(|it| it.verbs);
            verbs.copied().collect::<Vec<_>>()
        };
        assert!(of(true).contains(&"create"));
        assert!(!of(false).contains(&"create"));
        assert!(of(false).contains(&"patch"));
    }
}
