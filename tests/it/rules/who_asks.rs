//! Trusted principals, break-glass, and modes.

use poolguard::policy::mode::RuleName;
use serde_json::{Value, json};

use crate::scenario::{Scenario, by, line, pod, recorded};

fn guarded() -> [(RuleName, Value); 3] {
    let relabelled = {
        let mut review = recorded("node-update-cordon-by-admin");
        review["request"]["object"]["metadata"]["labels"] = json!({});
        review
    };
    [
        (RuleName::NodeTaint, recorded("node-update-dedicated-taint-removed-by-admin")),
        (RuleName::NodeIdentity, relabelled),
        (RuleName::RoleBinding, recorded("rolebinding-delete-by-admin")),
    ]
}

#[test]
fn trusted_principals_pass_the_rules_that_guard_nodes_and_roles() {
    let scenario = Scenario::with(
        "principals: {trusted: {users: [\"arn:aws:sts::*:assumed-role/automq-byoc-service-role-*/*\"], \
         groups: [platform], serviceAccounts: [automq/operator-*]}}",
    );
    let trusted = [
        ("arn:aws:sts::1:assumed-role/automq-byoc-service-role-x/y", ""),
        ("alice", "platform"),
        ("system:serviceaccount:automq:operator-7", ""),
    ];
    for (rule, review) in guarded() {
        assert!(!scenario.validate(&review).is_allowed(), "{rule}");
        for (user, group) in trusted {
            let review = by(review.clone(), user, &[group]);
            assert!(scenario.validate(&review).is_allowed(), "{rule} {user}");
        }
        let other = by(review, "system:serviceaccount:shop:operator-7", &[]);
        assert!(!scenario.validate(&other).is_allowed(), "{rule}");
    }
}

#[test]
fn trusted_principals_pass_nothing_else() {
    let scenario = Scenario::with("principals: {trusted: {users: [alice]}}");
    let review = pod("{tolerations: [{operator: Exists}]}");
    assert!(!scenario.validate(&review).is_allowed());
}

#[test]
fn break_glass_is_allowed_recorded_and_told_what_it_broke() {
    let scenario = Scenario::recorded();
    let review = by(recorded("rolebinding-delete-by-admin"), "root", &["poolguard:break-glass"]);
    let verdict = scenario.validate(&review);
    assert!(verdict.is_allowed());
    assert_eq!(line(&verdict), "break-glass role-binding");
    let idle = by(pod("{}"), "root", &["poolguard:break-glass"]);
    assert_eq!(line(&scenario.validate(&idle)), "break-glass");
}

#[test]
fn every_rule_obeys_its_mode() {
    let mut denied = guarded().to_vec();
    denied.push((RuleName::PodIntrusion, pod("{tolerations: [{operator: Exists}]}")));
    for (rule, review) in denied {
        for (mode, expected) in [("warn", "warn"), ("audit", "audit"), ("off", "allow")] {
            let scenario = Scenario::with(&format!("rules: {{{rule}: {{mode: {mode}}}}}"));
            let verdict = line(&scenario.validate(&review));
            assert!(verdict.starts_with(expected), "{rule} {mode}: {verdict}");
            assert!(scenario.validate(&review).is_allowed(), "{rule} {mode}");
        }
    }
}
