//! Changes of cloud roles in a plan: what they grant, and who has them.

use super::{Action, Change, values::scalar};

/// A change of a resource that gives a role its rights, or nodes their role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRoleChange {
    /// The address in Terraform: `aws_iam_role_policy_attachment.s3`.
    pub address: String,
    /// The roles that the resource is about, by name or identifier.
    pub roles: Vec<String>,
    /// The permission that the resource grants, if it grants any: a policy, or a role on a project.
    pub grant: Option<String>,
    /// The effect of the plan on the resource.
    pub outcome: RoleOutcome,
}

/// The effect of a plan on a resource of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleOutcome {
    /// The plan deletes the resource.
    Deleted,
    /// The plan replaces the resource: it deletes the old one and makes a new one.
    Replaced,
    /// The plan changes this attribute.
    Changed(&'static str),
}

/// A kind of resource that is about a role.
struct RoleResource {
    name: &'static str,
    /// Attributes that name the role, each one text or a list.
    roles: &'static [&'static str],
    grant: Option<&'static str>,
    /// Attributes whose change takes something away.
    kept: &'static [&'static str],
}

const fn role(
    name: &'static str,
    roles: &'static [&'static str],
    grant: Option<&'static str>,
    kept: &'static [&'static str],
) -> RoleResource {
    RoleResource { name, roles, grant, kept }
}

const RESOURCES: [RoleResource; 16] = [
    role("alicloud_ram_role", &["role_name", "name", "arn"], None, &[]),
    role("alicloud_ram_role_policy_attachment", &["role_name"], Some("policy_name"), &[]),
    role(
        "aws_eks_access_entry",
        &["principal_arn"],
        None,
        &["kubernetes_groups", "type", "user_name"],
    ),
    role("aws_eks_access_policy_association", &["principal_arn"], Some("policy_arn"), &[]),
    role("aws_eks_pod_identity_association", &["role_arn"], None, &["role_arn"]),
    role("aws_iam_instance_profile", &["role", "name"], None, &["role"]),
    role("aws_iam_policy_attachment", &["roles"], Some("policy_arn"), &["roles"]),
    role("aws_iam_role", &["name", "arn"], None, &["assume_role_policy", "permissions_boundary"]),
    role("aws_iam_role_policy", &["role"], Some("name"), &["policy"]),
    role("aws_iam_role_policy_attachment", &["role"], Some("policy_arn"), &[]),
    role("aws_iam_role_policy_attachments_exclusive", &["role_name"], None, &["policy_arns"]),
    role("google_project_iam_member", &["member"], Some("role"), &[]),
    role("google_service_account", &["email", "member"], None, &["disabled"]),
    role("google_storage_bucket_iam_member", &["member"], Some("role"), &[]),
    role("tencentcloud_cam_role", &["name"], None, &[]),
    role(
        "tencentcloud_cam_role_policy_attachment",
        &["role_name", "role_id"],
        Some("policy_name"),
        &[],
    ),
];

impl PlannedRoleChange {
    /// Reads a change of a role; `None` for another resource, for one that is new, and for one of which nothing
    /// is taken away.
    pub(super) fn of(change: &Change<'_>) -> Option<Self> {
        let resource = RESOURCES.iter().find(|it| it.name == change.kind)?;
        let before = change.text.pointer("/change/before").filter(|it| it.is_object())?;
        let outcome = match change.action {
            Action::Delete => RoleOutcome::Deleted,
            Action::Replace | Action::Renew => RoleOutcome::Replaced,
            Action::Keep => {
                let after = change.text.pointer("/change/after")?;
                let is_changed = |key: &&&str| before.get(**key) != after.get(**key);
                RoleOutcome::Changed(resource.kept.iter().find(is_changed)?)
            }
        };
        let named = resource.roles.iter().filter_map(|key| before.get(*key));
        // One role, or a list of them.
        let roles = named.flat_map(|value| {
            value.as_array().map_or_else(|| std::slice::from_ref(value), Vec::as_slice)
        });
        Some(Self {
            address: change.address.to_owned(),
            roles: roles.filter_map(scalar).collect(),
            grant: resource.grant.and_then(|key| before.get(key)).and_then(scalar),
            outcome,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::terraform::Plan;

    #[test]
    fn what_takes_something_from_a_role_is_read() {
        let change = |kind: &str, actions: &Value, before: &Value, after: &Value| {
            let plan = json!({"format_version": "1.2", "resource_changes": [{
                "address": format!("{kind}.it"), "mode": "managed", "type": kind, "name": "it",
                "change": {"actions": actions, "before": before, "after": after},
            }]});
            let found =
                Plan::read(&plan.to_string()).map(|plan| plan.role_changes).unwrap_or_default();
            found.into_iter().map(|it| (it.roles.join(" "), it.grant, it.outcome)).next()
        };
        let attached = json!({"role": "automq-node", "policy_arn": "arn:p"});
        let kind = "aws_iam_role_policy_attachment";
        let said = |outcome| Some(("automq-node".to_owned(), Some("arn:p".to_owned()), outcome));
        assert_eq!(
            change(kind, &json!(["delete"]), &attached, &json!(null)),
            said(RoleOutcome::Deleted)
        );
        let replaced = change(kind, &json!(["delete", "create"]), &attached, &attached);
        assert_eq!(replaced, said(RoleOutcome::Replaced));
        assert_eq!(change(kind, &json!(["no-op"]), &attached, &attached), None);
        assert_eq!(change(kind, &json!(["create"]), &json!(null), &attached), None);
        let entry =
            |groups: &[&str]| json!({"principal_arn": "arn:r", "kubernetes_groups": groups});
        let changed =
            change("aws_eks_access_entry", &json!(["update"]), &entry(&["a"]), &entry(&[]));
        let outcome = RoleOutcome::Changed("kubernetes_groups");
        assert_eq!(changed, Some(("arn:r".to_owned(), None, outcome)));
    }
}
