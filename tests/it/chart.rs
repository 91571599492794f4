//! The chart grants exactly the rights that the code asks for, and docs/cluster.md lists them.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::BTreeSet, fs, path::Path};

use poolguard::{
    api::{
        installation::InstallationNames,
        rbac::{self, Duties, PolicyRule, RoleScope},
    },
    check::named,
    config,
    policy::Policy,
};
use serde_json::{Value, json};

use crate::scenario::documents_of;

/// One verb on one resource of one name; the least that can be granted.
type Grant = (String, String, String, String, Option<String>);

/// What is installed for a set of values, as `make test-chart` has Helm render it.
struct Installation(Vec<Value>);

fn rendered(values: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("tests/chart/golden").join(values).with_extension("yaml");
    documents_of(&fs::read_to_string(path).unwrap())
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
    fn names(&self) -> InstallationNames {
        let arguments =
            self.0.iter().find(|object| object["kind"] == "Deployment").map(|deployment| {
                deployment["spec"]["template"]["spec"]["containers"][0]["args"].clone()
            });
        let arguments: Vec<String> = serde_json::from_value(arguments.unwrap()).unwrap();
        let flag = |flag: &str| arguments.iter().find_map(|it| it.strip_prefix(flag));
        InstallationNames::of(flag("--name=").unwrap(), flag("--owner=").map(str::to_owned))
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

fn grants_of_right(right: PolicyRule) -> Vec<Grant> {
    let PolicyRule { scope, group, resource, verbs, names } = right;
    let kind = match scope {
        RoleScope::Cluster => "ClusterRole",
        RoleScope::Namespace => "Role",
    };
    let verbs: Vec<String> = verbs.iter().map(|&verb| verb.to_owned()).collect();
    grants(kind, &group, &resource, &verbs, names)
}

/// What is asked for with these values.
fn asked(values: &str, names: &InstallationNames, duties: Duties) -> BTreeSet<Grant> {
    let mut asked = rbac::of_replica(names, duties);
    asked.extend(rbac::protecting(&named(&policy(values))));
    asked.into_iter().flat_map(grants_of_right).collect()
}

/// The policy of a set of values.
fn policy(values: &str) -> Policy {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("tests/chart/values").join(values).with_extension("yaml");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let values = documents_of(&text);
    let mut config = json!({"apiVersion": "poolguard.io/v1alpha1", "kind": "PoolGuardConfig"});
    if let Some(given) = values.first().and_then(|it| it["config"].as_object()) {
        config.as_object_mut().unwrap().extend(given.clone());
    }
    config::load("values", &config.to_string(), None).unwrap().policy
}

const EVERY: Duties = Duties { certifies: true, registers: true, reports: true };

#[test]
fn a_replica_gets_what_it_asks_for_and_nothing_else() {
    for (values, duties) in [
        ("defaults", EVERY),
        ("everything", EVERY),
        ("aws", EVERY),
        ("no-reports", Duties { reports: false, ..EVERY }),
        ("cert-manager", Duties { certifies: false, ..EVERY }),
        ("files", Duties { certifies: false, ..EVERY }),
        ("external", Duties { registers: false, ..EVERY }),
    ] {
        let installation = Installation::with(values);
        let asked = asked(values, &installation.names(), duties);
        assert_eq!(installation.granted(), asked, "{values}");
    }
}

#[test]
fn what_the_config_protects_by_name_may_be_looked_for() {
    let granted = Installation::with("aws").granted();
    let binding = Some("automq-operator".to_owned());
    assert!(granted.iter().any(|(_, _, resource, verb, name)| {
        resource == "clusterrolebindings" && verb == "list" && *name == binding
    }));
}

/// What is in backquotes.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The rights of the table in docs/cluster.md, where each row has all its verbs on all its resources.
fn documented() -> Vec<Grant> {
    let page = include_str!("../../docs/cluster.md");
    let (_, section) = page.split_once("\n## Rights\n").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix('|'));
    let mut kind = "";
    let mut found = Vec::new();
    for row in rows.skip(1) {
        let [scope, groups, resources, verbs, names, _] =
            row.split('|').map(str::trim).collect::<Vec<_>>()[..]
        else {
            panic!("{row}")
        };
        kind = if scope.is_empty() { kind } else { scope };
        for (group, resource) in quoted(groups).iter().flat_map(|group| {
            quoted(resources).into_iter().map(move |resource| (group.trim_matches('"'), resource))
        }) {
            found.extend(grants(kind, group, &resource, &quoted(verbs), quoted(names)));
        }
    }
    found
}

#[test]
fn the_page_of_a_replica_lists_the_rights() {
    let names = InstallationNames::of("poolguard", Some("poolguard".to_owned()));
    let asked = rbac::of_replica(&names, EVERY).into_iter().flat_map(grants_of_right);
    let documented = documented();
    let set: BTreeSet<Grant> = documented.iter().cloned().collect();
    assert_eq!(set, asked.collect());
    assert_eq!(set.len(), documented.len(), "a row repeats another one");
}
