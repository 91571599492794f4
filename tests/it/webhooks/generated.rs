//! Generated requests, made as an API server would let them through: every phase that has something
//! to say is asked, once.

use std::sync::LazyLock;

use poolguard::policy::Phase;
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::{api_server, api_server::ApiServer, assert_sent, assert_sent_once, variants::variants};
use crate::{
    generate::pod_spec,
    properties::reviews::wholesome_review,
    scenario::{Scenario, pod_in},
};

struct World {
    name: &'static str,
    scenario: Scenario,
    server: ApiServer,
}

// Compiling conditions takes longer than evaluating them.
thread_local! {
    static WORLDS: LazyLock<Vec<World>> = const { LazyLock::new(|| {
        let worlds = variants().into_iter().map(|variant| World {
            name: variant.name,
            server: api_server(&variant.scenario),
            scenario: variant.scenario,
        });
        worlds.collect()
    }) };
}

/// A third of the configs at a time.
const THIRDS: std::ops::Range<usize> = 0..3;

fn of_third(worlds: &[World], third: usize) -> impl Iterator<Item = &World> {
    worlds.iter().skip(third).step_by(THIRDS.end)
}

/// What the API server itself sees to before it asks anybody.
fn admitted(mut review: Value) -> Option<Value> {
    let request = review["request"].as_object_mut().unwrap();
    let name = match request["name"].as_str() {
        Some("") | None => "p".to_owned(),
        Some(name) => name.to_owned(),
    };
    let namespace = request["namespace"].as_str().unwrap_or_default().to_owned();
    let resource = request["resource"]["resource"].as_str().unwrap_or_default().to_owned();
    let cluster_scoped =
        ["nodes", "namespaces", "clusterroles", "clusterrolebindings"].contains(&resource.as_str());
    if namespace.is_empty() != cluster_scoped || resource == "leases" {
        if !cluster_scoped {
            return None;
        }
        request.insert("namespace".to_owned(), json!(""));
    }
    request.insert("name".to_owned(), json!(name));
    let user = request["userInfo"].as_object_mut().unwrap();
    user.retain(|_, value| !value.is_null());
    let namespace = request["namespace"].clone();
    for side in ["object", "oldObject"] {
        let object = &mut request[side];
        if object.is_null() {
            continue;
        }
        // A name is there, a name and a namespace are those of the request, and one owner controls.
        object["metadata"]["name"] = json!(name);
        object["metadata"]["namespace"] = namespace.clone();
        if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
            owners.truncate(1);
        }
    }
    if request["operation"] == "UPDATE" && resource == "pods" && request["subResource"] == "" {
        // What a pod is bound to, and who it runs as, cannot be changed.
        for field in ["nodeName", "serviceAccountName"] {
            let old = request["oldObject"]["spec"][field].take();
            let spec = request["object"]["spec"].as_object_mut().unwrap();
            spec.remove(field);
            let old_spec = request["oldObject"]["spec"].as_object_mut().unwrap();
            old_spec.remove(field);
            if !old.is_null() {
                request["object"]["spec"][field] = old.clone();
                request["oldObject"]["spec"][field] = old;
            }
        }
    }
    Some(review)
}

/// What is left out on purpose, whatever a rule would say.
fn is_left_out(review: &Value) -> bool {
    let request = &review["request"];
    let user = request["userInfo"]["username"].as_str().unwrap_or_default();
    let resource = request["resource"]["resource"].as_str().unwrap_or_default();
    let is_pod_like =
        !matches!(resource, "nodes" | "configmaps" | "serviceaccounts" | "rolebindings");
    // Its pods have a label that generated ones have not, and none of it changes a taint in a way
    // that matters to a zone.
    user.ends_with(":daemon-set-controller")
        || (resource == "nodes"
            && (user.ends_with(":node-controller") || user == "system:apiserver"))
        || (is_pod_like && request["namespace"] == "kube-system")
}

proptest! {
    #[test]
    fn whatever_is_denied_warned_about_or_patched_is_sent_once(review in wholesome_review(), third in THIRDS) {
        let Some(review) = admitted(review) else { return Ok(()) };
        WORLDS.with(|worlds| {
            for World { name, scenario, server } in of_third(worlds, third) {
                assert_sent_once(server, &review, name);
                if !is_left_out(&review) {
                    assert_sent(server, scenario, &review, name);
                }
            }
        });
    }

    #[test]
    fn a_pod_that_is_denied_is_sent(
        spec in pod_spec(),
        namespace in select(&["shop", "monitoring", "automq", "automq-instance-1", "default"][..]),
        third in THIRDS,
    ) {
        let review = pod_in(namespace, &spec.to_string());
        WORLDS.with(|worlds| {
            for World { name, scenario, server } in of_third(worlds, third) {
                assert_sent(server, scenario, &review, name);
                assert_sent_once(server, &review, name);
            }
        });
    }

    #[test]
    fn break_glass_never_meets_a_closed_door(mut review in wholesome_review(), third in THIRDS) {
        review["request"]["userInfo"]["groups"] = json!(["poolguard:break-glass"]);
        let Some(review) = admitted(review) else { return Ok(()) };
        WORLDS.with(|worlds| {
            let has_that_group = |world: &&World| !world.name.contains("break-glass group");
            for World { name, scenario, server } in of_third(worlds, third).filter(has_that_group) {
                let called = server.called(&review);
                assert!(!called.iter().any(|it| it.fails_closed()), "{name}\n{review:#}");
                assert!(scenario.decide(Phase::Validate, &review).is_allowed(), "{name}");
            }
        });
    }
}
