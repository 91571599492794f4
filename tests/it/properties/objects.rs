//! What holds of every object in a review that is as it should be. The fuzz targets include this file.
//!
//! A fuzzer that changes the bytes of a whole review spends its time on the envelope. Here the envelope is
//! made, and only what clients choose is in the input.
#![allow(dead_code, reason = "each of the fuzz targets calls one of the functions")]

use poolguard::policy::Phase;
use serde_json::{Value, json};

use super::invariants::WORLDS;

/// The groups that a user is in, by name: the break-glass group is one of them.
const GROUPS: &str = r#"["system:authenticated","poolguard:break-glass"]"#;

/// The review of a text in three lines: what is asked, the object, and the object before it.
///
/// The first line has up to five words, `RESOURCE OPERATION NAMESPACE USER NAME`. A resource is
/// `apps/deployments`, or `pods:binding` for a sub-resource; `-` is an empty word; a user with `!` before
/// the name is in the break-glass group.
pub(crate) fn review(text: &str) -> String {
    let mut lines = text.splitn(3, '\n');
    let head = lines.next().unwrap_or_default();
    let [object, old] = [lines.next(), lines.next()];
    let mut words = head.split(' ').map(|word| if word == "-" { "" } else { word });
    let mut word = || Value::from(words.next().unwrap_or_default());
    let [resource, operation, namespace, user, name] = [word(), word(), word(), word(), word()];
    let resource = resource.as_str().unwrap_or_default();
    let (resource, sub_resource) = resource.split_once(':').unwrap_or((resource, ""));
    let (group, resource) = resource.split_once('/').unwrap_or(("", resource));
    let (group, resource, sub_resource) =
        (Value::from(group), Value::from(resource), Value::from(sub_resource));
    let user = user.as_str().unwrap_or_default();
    let (user, groups) = user.strip_prefix('!').map_or((user, "[]"), |user| (user, GROUPS));
    let user = Value::from(user);
    let present = |text: Option<&str>| match text {
        None | Some("") => "null".to_owned(),
        Some(text) => text.to_owned(),
    };
    let (object, old) = (present(object), present(old));
    format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"1","resource":{{"group":{group},"version":"v1","resource":{resource}}},"subResource":{sub_resource},"name":{name},"namespace":{namespace},"operation":{operation},"userInfo":{{"username":{user},"groups":{groups}}},"object":{object},"oldObject":{old}}}}}"#
    )
}

/// Any object of any resource is decided in both phases, under every config.
pub(crate) fn check_object(text: &str) {
    let review = review(text);
    for world in &*WORLDS {
        world.check_decisions(review.as_bytes());
    }
}

/// A patch applies, and what it makes is decided without another one. The first line is the namespace of a
/// pod, or `nodes`; the second is the object.
pub(crate) fn check_placed(text: &str) {
    let (place, object) = text.split_once('\n').unwrap_or_default();
    let Ok(object) = serde_json::from_str::<Value>(object) else { return };
    let (resource, namespace, user) = match place {
        "nodes" => ("nodes", "", "system:node:ip-10-0-0-1.ec2.internal"),
        namespace => ("pods", namespace, "system:serviceaccount:kube-system:replicaset-controller"),
    };
    let name = object.pointer("/metadata/name").cloned().unwrap_or_default();
    let review = json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "1",
            "resource": {"group": "", "version": "v1", "resource": resource},
            "name": name,
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": {"username": user, "groups": ["system:nodes"]},
            "object": object,
        },
    });
    for world in &*WORLDS {
        world.check_patch(review.clone());
    }
}

/// The text between the old and the new lists of `aws-auth`.
pub(crate) const CHANGED_TO: &str = "\n=======\n";

/// Lists of `aws-auth` are compared without a panic, and equal ones always pass. The text is the old list,
/// [`CHANGED_TO`], and the new one.
pub(crate) fn check_map_roles(text: &str) {
    let (old, new) = text.split_once(CHANGED_TO).unwrap_or((text, text));
    for (old, new) in [(old, new), (old, old), (new, new)] {
        let object =
            |list: &str| json!({"metadata": {"name": "aws-auth"}, "data": {"mapRoles": list}});
        let head = "configmaps UPDATE kube-system admin aws-auth";
        let review = review(&format!("{head}\n{}\n{}", object(new), object(old)));
        // Only this world's config guards the ConfigMap.
        let decided = WORLDS[0].decide(Phase::Validate, review.as_bytes());
        let is_allowed = decided.is_ok_and(|decided| decided.verdict.is_allowed());
        assert!(is_allowed || old != new, "a list that does not change is denied: {old:?}");
    }
}
