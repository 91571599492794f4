//! Deletion of a namespace that holds protected objects or an instance.

use super::{Context, RULE};
use crate::policy::{
    mode::Mode,
    object::Metadata,
    protection::{Namespaces, Origin},
    verdict::{Finding, Report},
};

pub(in crate::policy::rules) fn judge(
    context: Context<'_>,
    namespace: &Metadata<'_>,
    report: &mut Report,
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
        Namespaces::Named(glob) => entry.origin == Origin::Config && glob.matches(name),
        Namespaces::Any | Namespaces::AutoMq => false,
    });
    let object = snapshot.protected().iter().find(|object| name == object.namespace.as_str());
    let why = if let Some(instance) = instance {
        format!("it is the namespace of AutoMQ instance {}", instance.name)
    } else if let Some(entry) = entry {
        format!("it holds the objects of protected entry {}", entry.name)
    } else if let Some(object) = object {
        format!("it holds {} {}, which AutoMQ's role depends on", object.resource, object.name)
    } else {
        return;
    };
    let message = format!(
        "namespace {name} may not be deleted: {why}. Remove the instance or the entry from \
         PoolGuard's config first, or add AutoMQ's console to principals.trusted"
    );
    report.violation(mode, Finding::new(RULE, message));
}
