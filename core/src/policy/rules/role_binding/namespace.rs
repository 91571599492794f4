//! Deletion of a namespace that holds protected objects or an instance.

use super::{Context, RULE};
use crate::{
    kubernetes::object::Metadata,
    policy::{
        mode::Mode,
        protection::{Namespaces, Origin},
        verdict::{Finding, FindingCollector},
    },
};

pub(in crate::policy::rules) fn judge(
    context: Context<'_>,
    namespace: &Metadata<'_>,
    report: &mut FindingCollector,
) {
    let Context { policy, snapshot, request } = context;
    let mode = policy.rules.role_binding;
    // Once a namespace terminates, a second deletion changes nothing.
    let is_going = namespace.deletion_timestamp.is_some();
    if mode == Mode::Off || is_going || context.is_trusted() {
        return;
    }
    let target = &request.target;
    let name = if target.name.is_empty() { &namespace.name } else { &target.name };
    let instance = policy.instances.iter().find(|instance| name == instance.namespace.as_str());
    let entry = policy.protected.iter().find(|entry| match &entry.namespaces {
        // A glob names no namespace: what is in it is known from the snapshot.
        Namespaces::Named(glob) => {
            entry.origin == Origin::Config && glob.as_exact() == Some(name.as_str())
        }
        Namespaces::Any | Namespaces::AutoMq => false,
    });
    let object = snapshot.protected().iter().find(|object| name == object.namespace.as_str());
    let trust = "If AutoMQ's console deletes the namespace, ask your platform team to add its user to \
         principals.trusted.users in PoolGuard's config instead";
    let (why, advice) = if let Some(instance) = instance {
        let why = format!("it is the namespace of AutoMQ instance {}", instance.name);
        (
            why,
            format!(
                "Ask your platform team to remove the instance from PoolGuard's config first. {trust}"
            ),
        )
    } else if let Some(entry) = entry {
        let why = format!("it contains the objects of protected entry {}", entry.name);
        (
            why,
            format!(
                "Ask your platform team to remove the entry from PoolGuard's config first. {trust}"
            ),
        )
    } else if let Some(object) = object {
        let why = format!(
            "it contains {} {}, and AutoMQ needs the permissions of this object",
            object.resource, object.name
        );
        (
            why,
            format!(
                "Ask a user from principals.trusted in PoolGuard's config to delete this object first. {trust}"
            ),
        )
    } else {
        return;
    };
    let fact = format!("Deleting namespace {name} would break AutoMQ: {why}");
    report.violation(mode, Finding::new(RULE, fact).advice(advice));
}
