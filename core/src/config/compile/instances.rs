//! Instances, each bound to its pool.

use super::names::{selector, unique_names};
use crate::{
    config::{collector::DiagnosticCollector, cursor::TreeCursor, raw::Raw},
    json::text::likely,
    kubernetes::name::Glob,
    policy::{pod_owner::AutoMq, pool::Instance},
};

/// Reads the instances; those that cannot be one are left out.
pub(super) fn instances(
    raw: &Raw,
    root: &TreeCursor<'_>,
    automq: &AutoMq,
    report: &mut DiagnosticCollector,
) -> Vec<Instance> {
    let at = root.key("instances");
    let list = &raw.instances;
    let names = at.items(list).filter_map(|(at, it)| Some((at.key("name"), it.name.as_ref()?)));
    unique_names("instance", names, report);
    let mut instances = Vec::new();
    for (at, instance) in at.items(list) {
        let name = instance.name.as_deref().unwrap_or_default();
        let pods = selector(&instance.pods, &at.key("pods"), report);
        if let Some(namespace) = &instance.namespace {
            instance_namespace(name, namespace, automq, (root, &at.key("namespace")), report);
        }
        let pool = instance.pool.as_ref().and_then(|pool| {
            let index = raw.pools.iter().position(|it| it.name.as_ref() == Some(pool));
            if index.is_none() {
                unknown_pool(name, pool, raw, (root, &at.key("pool")), report);
            }
            index
        });
        let (Some(namespace), Some(pool)) = (&instance.namespace, pool) else { continue };
        instances.push(Instance {
            name: name.to_owned(),
            namespace: namespace.clone(),
            pods,
            pool,
            zone_spread: instance.zone_spread.map(Into::into),
        });
    }
    instances
}

fn instance_namespace(
    name: &str,
    namespace: &str,
    automq: &AutoMq,
    (root, at): (&TreeCursor<'_>, &TreeCursor<'_>),
    report: &mut DiagnosticCollector,
) {
    if namespace.contains(['*', '?']) {
        report.push(
            at.error(format!("the namespace of instance `{name}` is a glob: `{namespace}`"))
                .with_help("write the exact namespace: an instance uses one namespace"),
        );
        return;
    }
    let namespaces = root.key("automq").key("namespaces");
    if automq.owns_namespace(namespace) || report.is_broken(namespaces.path()) {
        return;
    }
    let exact = automq.namespaces.iter().filter_map(Glob::as_exact);
    let question = likely(namespace, exact).map(|it| format!("; did you mean `{it}`?"));
    let error = at
        .error(format!(
            "instance `{name}` is in namespace `{namespace}`, but `automq.namespaces` does not \
             contain it{}",
            question.unwrap_or_default()
        ))
        .with_help(format!(
            "correct the namespace of the instance. Or, if all pods of namespace `{namespace}` may run on the pools, \
             add the namespace to `automq.namespaces`"
        ));
    report.push(if namespaces.is_present() {
        error.with_related(namespaces.focus(), "these are AutoMQ's namespaces")
    } else {
        error
    });
}

fn unknown_pool(
    name: &str,
    pool: &str,
    raw: &Raw,
    (root, at): (&TreeCursor<'_>, &TreeCursor<'_>),
    report: &mut DiagnosticCollector,
) {
    let pools = root.key("pools");
    let is_known_in_full = raw.pools.iter().all(|pool| pool.name.is_some());
    if !is_known_in_full || (raw.pools.is_empty() && report.is_broken(pools.path())) {
        return;
    }
    let error =
        at.error(format!("instance `{name}` uses pool `{pool}`, but `pools` does not declare it"));
    let names: Vec<_> =
        raw.pools.iter().filter_map(|it| it.name.as_ref()).map(|it| format!("`{it}`")).collect();
    let declared = raw.pools.iter().filter_map(|it| it.name.as_deref());
    let help = match (names.as_slice(), likely(pool, declared)) {
        ([], _) => format!("declare the pool `{pool}` under `pools`"),
        ([only], _) => format!("the only declared pool is {only}"),
        (names, None) => format!("the declared pools are {}", names.join(", ")),
        (names, Some(meant)) => {
            format!("the declared pools are {}; did you mean `{meant}`?", names.join(", "))
        }
    };
    report.push(error.with_help(help));
}
