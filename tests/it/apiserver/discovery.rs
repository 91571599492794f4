//! What the server says of itself: its version, its groups and their resources.

use serde_json::{Value, json};

use super::{
    resources::{Resource, TABLE},
    store::State,
};

fn served(state: &State) -> impl Iterator<Item = &'static Resource> {
    TABLE.iter().filter(|row| !state.absent.contains(row.group))
}

/// The answer to a path, or `None` when there is nothing there.
pub(crate) fn answer(state: &State, path: &str) -> Option<Value> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match &parts[..] {
        ["version"] => Some(json!({
            "major": "1",
            "minor": "35",
            "gitVersion": "v1.35.0",
            "gitCommit": "0",
            "gitTreeState": "clean",
            "buildDate": "2026-01-01T00:00:00Z",
            "goVersion": "go1.25",
            "compiler": "gc",
            "platform": "linux/amd64",
        })),
        ["api"] => Some(json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [],
        })),
        ["apis"] => {
            let mut groups: Vec<Value> = Vec::new();
            for row in served(state).filter(|row| !row.group.is_empty()) {
                let group = group(row);
                if !groups.contains(&group) {
                    groups.push(group);
                }
            }
            Some(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }))
        }
        ["apis", name] => {
            let mut found = group(served(state).find(|row| row.group == *name)?);
            found["kind"] = json!("APIGroup");
            found["apiVersion"] = json!("v1");
            Some(found)
        }
        ["api", version] => resources(state, "", version),
        ["apis", group, version] => resources(state, group, version),
        _ => None,
    }
}

fn group(row: &Resource) -> Value {
    let version = json!({ "groupVersion": row.api_version(), "version": row.version });
    json!({ "name": row.group, "versions": [version], "preferredVersion": version })
}

fn resources(state: &State, group: &str, version: &str) -> Option<Value> {
    let rows: Vec<&Resource> =
        served(state).filter(|row| row.group == group && row.version == version).collect();
    let api_version = rows.first()?.api_version();
    let resources: Vec<Value> = rows.into_iter().flat_map(entries).collect();
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version,
        "resources": resources,
    }))
}

fn entries(row: &Resource) -> Vec<Value> {
    let entry = |name: String, verbs: &[&str]| {
        json!({
            "name": name,
            "singularName": row.kind.to_lowercase(),
            "namespaced": row.namespaced,
            "kind": row.kind,
            "verbs": verbs,
        })
    };
    let all = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    let mut entries = vec![entry(row.plural.to_owned(), &all)];
    if row.status {
        entries.push(entry(format!("{}/status", row.plural), &["get", "patch", "update"]));
    }
    entries
}
