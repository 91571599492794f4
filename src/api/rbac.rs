//! The rights that PoolGuard needs at an API server, as rules of RBAC. The chart grants these rules and
//! no others. If the API server denies a request because a right is missing, PoolGuard's error names the
//! rule to add.

use std::{borrow::Cow, fmt};

use crate::{
    api::{installation::InstallationNames, reports::ReportApi},
    cluster::Kind,
    kubernetes::resource::RBAC_GROUP,
    policy::protection::NamedObject,
};

/// A rule of RBAC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRule {
    /// The scope in which the rule is needed.
    pub scope: RoleScope,
    /// API group; empty for the core group.
    pub group: Cow<'static, str>,
    /// Plural of the kind.
    pub resource: Cow<'static, str>,
    /// The verbs that the rule allows.
    pub verbs: &'static [&'static str],
    /// The names of the only objects that the rule is needed for; empty for any object.
    pub names: Vec<String>,
}

/// The role that a right belongs to: the ClusterRole, or the Role of PoolGuard's own namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleScope {
    /// All namespaces, and the objects without a namespace.
    Cluster,
    /// PoolGuard's own namespace.
    Namespace,
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
/// The API group of the webhook configurations and admission policies.
pub const ADMISSION_GROUP: &str = "admissionregistration.k8s.io";

/// The duties of a replica of an installation, besides answering requests, that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duties {
    /// Whether the replica keeps a certificate authority. A replica that is given a certificate keeps none.
    pub certifies: bool,
    /// Whether the replica creates the webhook configurations. With `registration: external`, another
    /// client creates them, and a replica writes their `caBundle` only.
    pub registers: bool,
    /// Whether the replica writes reports.
    pub reports: bool,
}

/// Returns all rights that a replica of an installation needs.
pub fn of_replica(names: &InstallationNames, duties: Duties) -> Vec<PolicyRule> {
    let certifying = if duties.certifies { certifying(names) } else { Vec::new() };
    let reporting = if duties.reports { reporting(names) } else { Vec::new() };
    let registering = if duties.registers { registering() } else { Vec::new() };
    [watching(), scanning(), joining(names), registering, certifying, reporting].concat()
}

/// Returns the rights to list and watch every kind of object that PoolGuard needs to know.
pub fn watching() -> Vec<PolicyRule> {
    Kind::ALL.into_iter().map(watch_of).collect()
}

/// Returns the right to list and watch one kind.
pub fn watch_of(kind: Kind) -> PolicyRule {
    PolicyRule {
        scope: RoleScope::Cluster,
        group: kind.resource().group.into(),
        resource: kind.resource().plural.into(),
        verbs: &["list", "watch"],
        names: Vec::new(),
    }
}

/// Returns the rights that a scan of running pods and of roles needs.
pub fn scanning() -> Vec<PolicyRule> {
    vec![listing_pods(), role("roles"), role("clusterroles")]
}

/// Returns the right to get the roles that AutoMQ's bindings refer to. The rule has no names, because the
/// names of these roles are not known in advance.
pub fn role(resource: &'static str) -> PolicyRule {
    let (scope, group) = (RoleScope::Cluster, RBAC_GROUP.into());
    PolicyRule { scope, group, resource: resource.into(), verbs: &["get"], names: Vec::new() }
}

/// Returns the rights to list the objects that the config protects by their names.
pub fn protecting<'o>(objects: impl IntoIterator<Item = &'o NamedObject>) -> Vec<PolicyRule> {
    objects.into_iter().map(protected).collect()
}

/// Returns the right to list one object that the config protects.
pub fn protected(object: &NamedObject) -> PolicyRule {
    PolicyRule {
        scope: RoleScope::Cluster,
        group: object.resource.group.clone().into(),
        resource: object.resource.resource.clone().into(),
        verbs: &["list"],
        names: vec![object.name.clone()],
    }
}

/// Returns the right to list the pods of every namespace.
pub fn listing_pods() -> PolicyRule {
    listing("", "pods")
}

/// Returns the right to list the objects of one kind in every namespace, for a check.
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

/// Returns the rights that a replica needs to be one of several replicas, to keep the webhook configurations that
/// exist, to keep the backstop, to read the owner, and to write Events.
pub fn joining(names: &InstallationNames) -> Vec<PolicyRule> {
    let mut rights = vec![leading(names)];
    rights.push(creating(RoleScope::Namespace, "coordination.k8s.io", "leases"));
    rights.extend(WEBHOOK_CONFIGURATIONS.map(|resource| configuration(resource, names)));
    rights.extend(backing(names));
    rights.extend(owner(names));
    rights.push(creating(RoleScope::Cluster, "events.k8s.io", "events"));
    rights
}

/// Returns the rights to create the webhook configurations.
pub fn registering() -> Vec<PolicyRule> {
    let create = |resource| creating(RoleScope::Cluster, ADMISSION_GROUP, resource);
    WEBHOOK_CONFIGURATIONS.map(create).to_vec()
}

/// Returns the rights to keep a certificate authority.
pub fn certifying(names: &InstallationNames) -> Vec<PolicyRule> {
    vec![authority(names), creating(RoleScope::Namespace, "", "secrets")]
}

/// Returns the rights to write reports of both kinds.
pub fn reporting(names: &InstallationNames) -> Vec<PolicyRule> {
    let mut rights = Vec::new();
    for api in ReportApi::ALL {
        for is_namespaced in [true, false] {
            rights.push(report(api, is_namespaced, names));
            rights.push(creating(RoleScope::Cluster, api.group(), api.resource(is_namespaced)));
        }
    }
    rights
}

/// Returns the right to delete, list and update the reports of an installation, of one kind, in every namespace or
/// without a namespace. The rule is limited to their names.
pub fn report(api: ReportApi, is_namespaced: bool, names: &InstallationNames) -> PolicyRule {
    PolicyRule {
        scope: RoleScope::Cluster,
        group: api.group().into(),
        resource: api.resource(is_namespaced).into(),
        verbs: &["delete", "list", "update"],
        names: report_names(names).to_vec(),
    }
}

/// Returns the names of the reports: the first for findings, the second for denials.
pub fn report_names(names: &InstallationNames) -> [String; 2] {
    [names.release.clone(), format!("{}-denials", names.release)]
}

/// Returns the right to get and update the Lease.
pub fn leading(names: &InstallationNames) -> PolicyRule {
    PolicyRule {
        scope: RoleScope::Namespace,
        group: "coordination.k8s.io".into(),
        resource: "leases".into(),
        verbs: &["get", "update"],
        names: vec![names.release.clone()],
    }
}

/// Returns the right to list, update and watch the Secret of the certificate authority.
pub fn authority(names: &InstallationNames) -> PolicyRule {
    PolicyRule {
        scope: RoleScope::Namespace,
        group: "".into(),
        resource: "secrets".into(),
        verbs: &["list", "update", "watch"],
        names: vec![names.authority.clone()],
    }
}

/// Returns the right to list, patch and watch the webhook configuration of an installation, of one kind. The rule is
/// limited to its name.
pub fn configuration(resource: &'static str, names: &InstallationNames) -> PolicyRule {
    PolicyRule {
        scope: RoleScope::Cluster,
        group: ADMISSION_GROUP.into(),
        resource: resource.into(),
        verbs: &["list", "patch", "watch"],
        names: vec![names.release.clone()],
    }
}

/// Returns the rights to keep a backstop.
fn backing(names: &InstallationNames) -> impl Iterator<Item = PolicyRule> {
    ADMISSION_POLICIES.into_iter().flat_map(|resource| {
        [admission_policy(resource, names), creating(RoleScope::Cluster, ADMISSION_GROUP, resource)]
    })
}

/// Returns the right to delete, get, patch and update the admission policies of an installation, of one kind, or
/// their bindings. The rule is limited to their names.
pub fn admission_policy(resource: &'static str, names: &InstallationNames) -> PolicyRule {
    PolicyRule {
        scope: RoleScope::Cluster,
        group: ADMISSION_GROUP.into(),
        resource: resource.into(),
        verbs: &["delete", "get", "patch", "update"],
        names: policy_names(&names.release).to_vec(),
    }
}

/// Returns the names of the admission policies of a release. Their bindings have the same names.
pub fn policy_names(release: &str) -> [String; 3] {
    [release.to_owned(), format!("{release}-bindings"), format!("{release}-placement")]
}

/// Returns the right to get the ClusterRole that owns the objects of an installation; `None` if the
/// installation names no owner.
pub fn owner(names: &InstallationNames) -> Option<PolicyRule> {
    names.owner.as_ref().map(|owner| PolicyRule {
        scope: RoleScope::Cluster,
        group: RBAC_GROUP.into(),
        resource: "clusterroles".into(),
        verbs: &["get"],
        names: vec![owner.clone()],
    })
}

/// Returns the right to create objects of one kind. RBAC cannot limit this right to a name, because the
/// object does not exist yet.
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

/// The role that the rule belongs to.
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
        let names = InstallationNames::of("poolguard", None);
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
        let names = InstallationNames::of("poolguard", Some("poolguard".into()));
        let rights = [joining(&names), registering(), certifying(&names), reporting(&names)];
        for right in rights.concat() {
            assert!(right.names.is_empty() == (right.verbs == ["create"]), "{right}");
        }
    }

    #[test]
    fn external_registration_needs_no_right_to_create_webhook_configurations() {
        let names = InstallationNames::of("poolguard", Some("poolguard".into()));
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
