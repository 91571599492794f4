//! Compiles the values of a file into a [`Policy`]: every meaning is checked here, and all of them in one run.
//!
//! A wrong value is reported and left out, and the rest is checked all the same. The result is only good if nothing was
//! reported.

mod identity;
mod instances;
mod names;
mod node_pools;
mod pools;
mod protected;
mod settings;
mod warnings;

use super::{
    ConfigSettings, collector::DiagnosticCollector, cursor::TreeCursor, presets::presets, raw::Raw,
};
use crate::policy::{
    Policy, pod_owner::Exemption, pool::Pool, principal::TrustedPrincipals, provider::Provider,
};

/// Makes the policy and the settings of a file.
pub(super) fn compile(
    raw: &Raw,
    root: &TreeCursor<'_>,
    detected: Option<Provider>,
    report: &mut DiagnosticCollector,
) -> (Policy, ConfigSettings) {
    let provider = raw.provider.map(Provider::from).or(detected);
    let taint = pools::default_taint(&raw.taint, &root.key("taint"), report);
    let automq = identity::automq(&raw.automq, &root.key("automq"), report);
    let pools = pools::pools(&raw.pools, &root.key("pools"), &taint, report);
    let instances = instances::instances(raw, root, &automq, report);
    let mut exempt = identity::exemptions(&raw.exempt, &root.key("exempt"), report);
    if raw.presets.exempt {
        let is_covered = |preset: &Exemption| {
            let mut configured = exempt.iter().filter(|it| it.is_by_namespace_only());
            configured.any(|it| it.namespace == preset.namespace)
        };
        let presets = identity::preset_exemptions(provider).into_iter();
        let presets: Vec<_> = presets.filter(|it| !is_covered(it)).collect();
        exempt.extend(presets);
    }
    let taints: Vec<_> =
        std::iter::once(&taint).chain(pools.iter().flat_map(Pool::all_taints)).collect();
    let at = root.key("placement");
    let placement = settings::placement(&raw.placement, provider, &at, &taints, report);
    let mut protected = protected::configured(&raw.protected, &root.key("protected"), report);
    protected.extend(protected::preset(provider, &pools));
    let node_pool_kinds = node_pools::kinds();
    protected.extend(node_pools::protected(&node_pool_kinds));
    let node_pool_objects = node_pools::configured(raw, root, &node_pool_kinds, report);
    let policy = Policy {
        provider,
        node_pool_labels: presets().node_pool_labels(provider).cloned().collect(),
        automq,
        taint,
        discovery: raw.discovery.enabled,
        pools,
        instances,
        exempt,
        protected,
        node_pool_kinds,
        node_pool_objects,
        trusted: TrustedPrincipals {
            configured: identity::trusted(
                &raw.principals.trusted,
                &root.key("principals").key("trusted"),
                report,
            ),
            preset: identity::preset_trusted(provider),
        },
        break_glass_groups: identity::break_glass(
            &raw.break_glass.groups,
            &root.key("breakGlass").key("groups"),
            report,
        ),
        placement,
        machine_types: settings::machine_types(
            &raw.catalog,
            provider,
            &root.key("catalog"),
            report,
        ),
        rules: settings::rules(&raw.rules),
        backstop: settings::backstop(raw, root, report),
    };
    let settings = settings::settings(raw, root, report);
    warnings::warn(&policy, raw, root, report);
    (policy, settings)
}
