//! The chart grants exactly the rights that the code asks for.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::BTreeSet, fs, path::Path};

use poolguard::{
    documents,
    rights::{self, Names, Right, Scope},
};
use serde_json::Value;

/// One verb on one resource of one name; the least that can be granted.
type Grant = (String, String, String, String, Option<String>);

/// What is installed for a set of values, as `make test-chart` has Helm render it.
struct Installation(Vec<Value>);

fn rendered(values: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("tests/chart/golden").join(values).with_extension("yaml");
    documents::read(&fs::read_to_string(path).unwrap()).unwrap()
}

impl Installation {
    /// The objects of the set, and those that are as in the defaults.
    fn with(values: &str) -> Self {
        Self(rendered(values).into_iter().chain(rendered("defaults")).collect())
    }

    fn object(&self, kind: &str, name: &str) -> &Value {
        let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
        self.0.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    /// The names that the replicas are told.
    fn names(&self) -> Names {
        let arguments =
            self.0.iter().find(|object| object["kind"] == "Deployment").map(|deployment| {
                deployment["spec"]["template"]["spec"]["containers"][0]["args"].clone()
            });
        let arguments: Vec<String> = serde_json::from_value(arguments.unwrap()).unwrap();
        let flag = |flag: &str| arguments.iter().find_map(|it| it.strip_prefix(flag));
        Names::of(flag("--name=").unwrap(), flag("--owner=").map(str::to_owned))
    }

    fn granted(&self) -> BTreeSet<Grant> {
        let release = self.names().release;
        ["ClusterRole", "Role"]
            .into_iter()
            .flat_map(|kind| {
                let rules = self.object(kind, &release)["rules"].as_array().unwrap();
                rules.iter().flat_map(move |rule| grants_of_rule(kind, rule))
            })
            .collect()
    }
}

fn texts(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

fn grants(
    kind: &str,
    group: &str,
    resource: &str,
    verbs: &[String],
    names: Vec<String>,
) -> Vec<Grant> {
    let names: Vec<Option<String>> =
        if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
    let verbs = verbs.iter().flat_map(|verb| names.iter().map(move |name| (verb, name)));
    verbs
        .map(|(verb, name)| {
            (kind.into(), group.into(), resource.into(), verb.clone(), name.clone())
        })
        .collect()
}

fn grants_of_rule(kind: &str, rule: &Value) -> Vec<Grant> {
    let (groups, resources) = (texts(&rule["apiGroups"]), texts(&rule["resources"]));
    let pairs = groups.iter().flat_map(|group| resources.iter().map(move |it| (group, it)));
    pairs
        .flat_map(|(group, resource)| {
            let (verbs, names) = (texts(&rule["verbs"]), texts(&rule["resourceNames"]));
            grants(kind, group, resource, &verbs, names)
        })
        .collect()
}

fn grants_of_right(right: Right) -> Vec<Grant> {
    let Right { scope, group, resource, verbs, names } = right;
    let kind = match scope {
        Scope::Cluster => "ClusterRole",
        Scope::Namespace => "Role",
    };
    let verbs: Vec<String> = verbs.iter().map(|&verb| verb.to_owned()).collect();
    grants(kind, group, resource, &verbs, names)
}

#[test]
fn a_replica_with_its_own_authority_gets_what_it_asks_for() {
    for values in ["defaults", "everything"] {
        let installation = Installation::with(values);
        let asked = rights::of_replica(&installation.names(), true);
        let asked = asked.into_iter().flat_map(grants_of_right).collect();
        assert_eq!(installation.granted(), asked, "{values}");
    }
}

#[test]
fn a_replica_with_given_files_gets_no_right_to_secrets() {
    for values in ["cert-manager", "files"] {
        let installation = Installation::with(values);
        let asked = rights::of_replica(&installation.names(), false);
        let asked = asked.into_iter().flat_map(grants_of_right).collect();
        assert_eq!(installation.granted(), asked, "{values}");
    }
}
