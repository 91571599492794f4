//! Placement: against the answers of Kubernetes' own functions, and by properties.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

pub(crate) mod properties;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::PathBuf,
};

use poolguard::{
    json::{self, Read},
    kubernetes::{
        object::{Labels, PodSpec},
        selector::LabelSet,
        taint::{ComparisonOperators, Taint, tolerates_all},
    },
    policy::{
        placement::{Constraints, check_term},
        snapshot::NodeRecord,
    },
};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Case<'a> {
    #[serde(rename = "case")]
    name: String,
    /// A pod and a node are read as those of a request are.
    #[serde(borrow)]
    pod: &'a RawValue,
    #[serde(borrow)]
    node: RawNode<'a>,
    expect: Expect,
}

#[derive(Deserialize)]
struct RawNode<'a> {
    name: String,
    #[serde(borrow)]
    labels: Option<&'a RawValue>,
    #[serde(borrow)]
    taints: Option<&'a RawValue>,
}

struct Node<'a> {
    name: &'a str,
    labels: Labels<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expect {
    tolerates_all_taints: bool,
    tolerates_all_taints_with_comparison_operators: bool,
    matches_node_affinity: bool,
    affinity_error: Option<String>,
}

fn folder() -> PathBuf {
    std::env::var_os("PLACEMENT_VECTORS").map_or_else(
        || concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/vectors").into(),
        PathBuf::from,
    )
}

/// The lines of every file of vectors.
fn lines() -> Vec<String> {
    let folder = folder();
    let entries = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("placement vectors in {}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    lines.filter(|line| !line.trim().is_empty()).collect()
}

/// A vector as a request and a cluster.
pub(crate) struct Vector {
    pub(crate) name: String,
    /// `spec` of the pod.
    pub(crate) pod: String,
    pub(crate) node: NodeRecord,
}

/// The vectors, with this label on each node.
pub(crate) fn vectors(label: (&str, &str)) -> Vec<Vector> {
    let vector = |line: String| {
        let Case { name, pod, node, expect: _ } = serde_json::from_str(&line).unwrap();
        let labels: BTreeMap<String, String> =
            node.labels.map(|raw| serde_json::from_str(raw.get()).unwrap()).unwrap_or_default();
        let labels = labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let mut labels: Vec<_> =
            labels.chain([label]).map(|(key, value)| (key.into(), value.into())).collect();
        labels.sort();
        let taints: Vec<Taint<'_>> = optional(node.taints).unwrap_or_default();
        let taints = taints.iter().map(Taint::to_static).collect();
        let node =
            NodeRecord { name: node.name.into(), labels, taints, cordoned: false, ready: true };
        Vector { name, pod: pod.get().to_owned(), node }
    };
    lines().into_iter().map(vector).collect()
}

#[test]
fn placement_agrees_with_kubernetes_on_every_vector() {
    let folder = folder();
    let lines = lines();
    let cases = lines.len();
    for line in &lines {
        check(&serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    }
    assert!(cases > 0, "no placement vectors in {}", folder.display());
    // Past the capture of the test harness, so that the number is always seen.
    writeln!(
        io::stderr(),
        "placement: {cases} cases in {} agree with Kubernetes",
        folder.display()
    )
    .unwrap();
}

fn optional<'a, T: Read<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    raw.map(|raw| json::from_str(raw.get()).unwrap())
}

#[track_caller]
fn check(case: &Case<'_>) {
    let Case { name, pod, node, expect } = case;
    let pod: &PodSpec<'_> = &json::from_str(pod.get()).unwrap();
    let taints: Vec<Taint<'_>> = optional(node.taints).unwrap_or_default();
    let labels = optional(node.labels).unwrap_or_default();
    let node = &Node { name: &node.name, labels };
    let tolerates = |comparison| tolerates_all(pod.tolerations(), taints.iter(), comparison);
    assert_eq!(tolerates(ComparisonOperators::Off), expect.tolerates_all_taints, "{name}: taints");
    assert_eq!(
        tolerates(ComparisonOperators::On),
        expect.tolerates_all_taints_with_comparison_operators,
        "{name}: taints with comparison operators"
    );
    let affinity = Constraints::compile(pod).matches(|key| node.labels.value(key), node.name);
    assert_eq!(affinity, expect.matches_node_affinity, "{name}: affinity");
    if expect.affinity_error.is_some() {
        let terms = &pod.required_node_affinity().unwrap().node_selector_terms;
        let unreadable = terms.iter().any(|term| check_term(term).is_err());
        assert!(unreadable, "{name}: every term was read");
    }
}
