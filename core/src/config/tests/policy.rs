//! What comes out of a config without mistakes.

use super::*;
use crate::{
    kubernetes::{
        object::Labels,
        taint::{ComparisonOperators, Taint},
    },
    policy::{
        mode::{JoinMode, Mode, RuleModes},
        pod_owner::PodIdentity,
        pool::ZoneSpread,
        protection::{FieldChange, GuardedFields, Origin, Recognition},
        provider::EntryAuthority,
    },
};

#[test]
fn an_empty_config_has_the_defaults() {
    let loaded = load("config.yaml", "", None).unwrap();
    let policy = &loaded.policy;
    assert_eq!(policy.provider, None);
    assert_eq!(policy.taint.to_string(), "dedicated=automq:NoSchedule");
    assert!(policy.automq.owns_namespace("automq") && policy.automq.is_by_namespace_only());
    assert!(policy.discovery && policy.pools.is_empty() && policy.instances.is_empty());
    assert_eq!(policy.break_glass_groups, ["poolguard:break-glass"]);
    assert_eq!(policy.placement.comparison_operators, ComparisonOperators::Off);
    // While the provider is not known, the taints of every provider come and go.
    for key in ["node.kubernetes.io/not-ready", "remediator.kubernetes.azure.com/unschedulable"] {
        assert!(policy.is_transient(&Taint { key: key.into(), ..Taint::default() }), "{key}");
    }
    assert_eq!(policy.rules, RuleModes::default());
    assert!(policy.machine_types.names.is_empty());
    assert_eq!(
        loaded.settings,
        ConfigSettings {
            snapshot_max_age: Duration::from_mins(10),
            scan: ScanSettings { enabled: true, interval: Duration::from_mins(10) },
            registration: RegistrationMode::Managed,
        }
    );
}

#[test]
fn the_defaults_of_the_schema_are_the_defaults_of_the_code() {
    let mut spelt = defaults(schema(), schema());
    spelt["apiVersion"] = "poolguard.io/v1alpha1".into();
    spelt["kind"] = "PoolGuardConfig".into();
    for key in ["taint", "automq", "breakGlass", "scan", "rules"] {
        assert!(spelt.get(key).is_some(), "no default for {key} in {spelt}");
    }
    let spelt = load("config.json", &spelt.to_string(), None).unwrap();
    let empty = load("config.yaml", "", None).unwrap();
    assert_eq!(format!("{:?}", empty.policy), format!("{:?}", spelt.policy));
    assert_eq!(empty.settings, spelt.settings);
}

/// What a schema says that keys are when they are left out.
fn defaults(root: &serde_json::Value, schema: &serde_json::Value) -> serde_json::Value {
    let target = schema.get("$ref").and_then(|target| target.as_str());
    let resolved = target.and_then(|it| root.pointer(&it[1..])).unwrap_or(schema);
    let mut object = serde_json::Map::new();
    for (key, below) in resolved["properties"].as_object().into_iter().flatten() {
        let default = below.get("default").cloned().unwrap_or_else(|| defaults(root, below));
        if default.as_object().is_none_or(|object| !object.is_empty()) {
            object.insert(key.clone(), default);
        }
    }
    object.into()
}

#[test]
fn the_configs_provider_counts_for_more_than_the_nodes() {
    let provider = |body: &str, detected| {
        load("config.yaml", &format!("{HEAD}{body}"), detected).unwrap().policy.provider
    };
    assert_eq!(provider("provider: gcp", Some(Provider::Aws)), Some(Provider::Gcp));
    assert_eq!(provider("", Some(Provider::Aws)), Some(Provider::Aws));
    assert_eq!(provider("", None), None);
}

#[test]
fn a_pools_taint_overrides_the_parts_that_it_names() {
    let policy = policy_of(
        "\
taint: {value: kafka}
pools:
- {name: a, nodes: {matchLabels: {pool: a}}}
- {name: b, nodes: {matchLabels: {pool: b}}, taint: {value: connect, effect: NoExecute}}
- {name: c, nodes: {matchLabels: {pool: c}}, taint: {key: other}}
- {name: d, nodes: {matchLabels: {pool: d}}, taint: {}}
",
    );
    let taints: Vec<_> = policy.pools.iter().map(|pool| pool.taint.to_string()).collect();
    assert_eq!(
        taints,
        [
            "dedicated=kafka:NoSchedule",
            "dedicated=connect:NoExecute",
            "other=kafka:NoSchedule",
            "dedicated=kafka:NoSchedule"
        ]
    );
}

#[test]
fn instances_point_at_their_pools() {
    let policy = policy_of(
        "\
automq: {namespaces: [kf-1, kf-2]}
pools: [{name: a, nodes: {matchLabels: {pool: a}}}, {name: b, nodes: {matchLabels: {pool: b}}, zones: [x, y, z]}]
instances: [{name: i, namespace: kf-1, pool: b, zoneSpread: ScheduleAnyway}, {name: j, namespace: kf-2, pool: a}]
",
    );
    let instances: Vec<_> = policy.instances.iter().map(|it| (it.pool, it.zone_spread)).collect();
    assert_eq!(instances, [(1, Some(ZoneSpread::ScheduleAnyway)), (0, None)]);
}

#[test]
fn exemptions_are_those_of_the_config_and_of_the_presets_beside_them() {
    let namespaces = |body: &str| -> Vec<String> {
        let exempt = policy_of(body).exempt;
        let whole = exempt.iter().filter(|it| it.is_by_namespace_only());
        whole.map(|it| it.namespace.to_string()).collect()
    };
    assert_eq!(namespaces(""), ["kube-system"]);
    assert_eq!(namespaces("provider: azure"), ["kube-system", "calico-system", "tigera-operator"]);
    let own = "provider: aws\nexempt: [{namespace: m, reason: r}]";
    assert_eq!(namespaces(own), ["m", "kube-system"]);
    assert_eq!(namespaces(&format!("{own}\npresets: {{exempt: false}}")), ["m"]);
    let same = policy_of("exempt: [{namespace: kube-system, reason: r}]").exempt;
    let whole = same.iter().filter(|it| it.is_by_namespace_only());
    assert_eq!(whole.map(|it| it.reason.as_str()).collect::<Vec<_>>(), ["r"]);
}

#[test]
fn agents_of_the_provider_are_exempt_as_pods_of_their_daemon_sets_only() {
    let exempt = policy_of("provider: gcp").exempt;
    let covers = |namespace: &str, daemon_set: Option<&str>| {
        let labels = Labels::default();
        let pod = PodIdentity { namespace, labels: &labels, service_account: "", daemon_set };
        exempt.iter().any(|it| it.covers(&pod))
    };
    assert!(covers("gmp-system", Some("collector")));
    assert!(covers("gke-managed-lustrecsi", Some("lustre-csi-node")));
    assert!(!covers("gmp-system", None), "a pod that no DaemonSet controls");
    assert!(!covers("gmp-system", Some("miner")));
    assert!(!covers("shop", Some("collector")), "anyone can call a DaemonSet so");
}

#[test]
fn daemon_sets_follow_the_mode_of_their_rule() {
    let modes = |rule: &str| {
        let rules = policy_of(&format!("rules: {{pod-intrusion: {rule}}}")).rules;
        (rules.pod_intrusion, rules.daemon_set_intrusion)
    };
    assert_eq!(modes("{}"), (Mode::Enforce, Mode::Enforce));
    assert_eq!(modes("{mode: warn}"), (Mode::Warn, Mode::Warn));
    assert_eq!(modes("{daemonSets: audit}"), (Mode::Enforce, Mode::Audit));
    assert_eq!(modes("{mode: off, daemonSets: warn}"), (Mode::Off, Mode::Warn));
}

#[test]
fn join_rules_take_deny_join() {
    let rules = policy_of("rules: {node-zone: {mode: enforce, denyJoin: true}}").rules;
    assert_eq!(rules.node_zone, JoinMode { mode: Mode::Enforce, deny_join: true });
    assert_eq!(rules.node_machine_type, RuleModes::default().node_machine_type);
}

#[test]
fn the_catalog_is_extended_or_replaced() {
    let types = |body: &str| -> Vec<(String, String, EntryAuthority)> {
        policy_of(body)
            .machine_types
            .names
            .into_iter()
            .map(|it| (it.name, it.size, it.strength))
            .collect()
    };
    let mine = |name: &str, size: &str| (name.to_owned(), size.to_owned(), EntryAuthority::Config);
    let extended = types("provider: tencent\ncatalog: {machineTypes: {medium: [SA5.2XLARGE32]}}");
    assert_eq!(
        extended,
        [
            ("SA5.LARGE16".to_owned(), "small".to_owned(), EntryAuthority::VendorDefault),
            mine("SA5.2XLARGE32", "medium")
        ]
    );
    let replaced = types("provider: gcp\ncatalog: {mode: replace, machineTypes: {small: [x]}}");
    assert_eq!(replaced, [mine("x", "small")]);
    let known = types("provider: tencent\ncatalog: {machineTypes: {small: [SA5.LARGE16]}}");
    assert_eq!(known, [mine("SA5.LARGE16", "small")]);
}

#[test]
fn protected_entries_guard_content_fields_or_items() {
    let policy = policy_of(
        "\
protected:
- {name: content, resource: configmaps, namespace: 'a*', names: ['*']}
- {name: fields, resource: configmaps, names: [a], fields: [/data/a, /data/b~1c]}
- {name: items, resource: configmaps, names: [a], fields: [/data/a], mustKeepItems: [{by: k, value: v}]}
",
    );
    let own: Vec<_> = policy
        .protected
        .iter()
        .filter(|it| it.origin == Origin::Config)
        .map(|it| &it.guard)
        .collect();
    let [GuardedFields::Content, GuardedFields::Fields(fields), GuardedFields::Fields(items)] =
        own.as_slice()
    else {
        panic!("{own:?}")
    };
    assert!(fields.iter().all(|field| matches!(field.change, FieldChange::Any)));
    assert_eq!(fields[1].pointer.as_str(), "/data/b~1c");
    assert!(matches!(&items[0].change, FieldChange::Items(items) if items[0].value == "v"));
}

#[test]
fn presets_follow_the_configs_entries() {
    let names = |body: &str| -> Vec<String> {
        let mut names: Vec<_> = policy_of(body).protected.into_iter().map(|it| it.name).collect();
        names.dedup();
        names
    };
    let always =
        ["service-account-identity", "role-bindings", "cluster-role-bindings", "node-pool-roles"];
    assert_eq!(names(""), always);
    assert_eq!(names("protected: [{name: p, resource: configmaps, names: [a]}]")[0], "p");
    let roles = "\
pools:
- {name: a, nodes: {matchLabels: {pool: a}}, role: 'arn:aws:iam::1:role/a'}
- {name: b, nodes: {matchLabels: {pool: b}}, role: 'arn:aws:iam::1:role/a'}
- {name: c, nodes: {matchLabels: {pool: c}}, role: 'arn:aws:iam::1:role/c'}
";
    assert_eq!(names(roles), always, "only EKS has aws-auth");
    let aws = policy_of(&format!("provider: aws\n{roles}"));
    let entry = aws.protected.iter().find(|entry| entry.name == "aws-auth").unwrap();
    let GuardedFields::Fields(fields) = &entry.guard else { panic!("no fields") };
    let FieldChange::Items(items) = &fields[0].change else { panic!("no items") };
    let values: Vec<_> = items.iter().map(|item| item.value.as_str()).collect();
    assert_eq!(values, ["arn:aws:iam::1:role/a", "arn:aws:iam::1:role/c"]);
    let bindings = &aws.protected[1];
    assert!(
        matches!(&bindings.recognition, Recognition::AutoMqBinding { labels } if labels.len() == 4)
    );
}

#[test]
fn names_of_people_may_have_any_characters() {
    let text = format!(
        "{HEAD}principals: {{trusted: {{users: ['Jo Doe [ops]', 'arn:aws:sts::1:assumed-role/x/*']}}}}\n"
    );
    let trusted = load("config.yaml", &text, None).unwrap().policy.trusted.configured;
    assert!(trusted.users[0].matches("Jo Doe [ops]"));
    assert!(trusted.users[1].matches("arn:aws:sts::1:assumed-role/x/session"));
}

#[test]
fn the_clouds_own_controllers_are_trusted_by_exact_name() {
    let preset = policy_of("provider: aws").trusted.preset;
    assert_eq!(preset.users[0].as_exact(), Some("eks:node-manager"));
    assert!(policy_of("").trusted.preset.is_empty());
}
