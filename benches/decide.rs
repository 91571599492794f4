//! What one decision costs: `cargo bench --bench decide`.
//!
//! `decide` is the decision on a request that has been read; `answer` is everything between the
//! bytes of a request and those of its answer. Both against a small cluster and a large one.

use std::{fmt, fs, hint::black_box, io, path::PathBuf, time::Duration};

use divan::Bencher;
use poolguard::{
    admission::review,
    cluster::Index,
    config,
    policy::{Phase, Policy, decide, snapshot::Snapshot},
    telemetry::audit::{Audit, AuditOutput, Circumstances, Format},
};
use prometheus::IntCounter;
use serde_json::{Value, json};

fn main() {
    divan::main();
}

fn data(path: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/data", path].iter().collect();
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A cluster of this many nodes, three of four in the declared pools.
#[derive(Clone, Copy)]
struct Nodes(usize);

const CLUSTERS: [Nodes; 2] = [Nodes(10), Nodes(5_000)];

impl fmt::Display for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} nodes", self.0)
    }
}

struct Guard {
    policy: Policy,
    snapshot: Snapshot,
}

impl Nodes {
    fn guard(self) -> Guard {
        let items: Vec<Value> = (0..self.0).map(node).collect();
        let dump = json!({ "kind": "List", "items": items }).to_string();
        let index = Index::read_dump(&dump).unwrap_or_else(|error| panic!("{error}"));
        let loaded = config::load("config.yaml", &data("config.yaml"), index.provider())
            .unwrap_or_else(|error| panic!("{error}"));
        let snapshot = index.snapshot(&loaded.policy);
        Guard { policy: loaded.policy, snapshot }
    }
}

fn node(index: usize) -> Value {
    let (group, zone, machine_type) = match index % 4 {
        0 => ("automq-a", "us-east-1a", "r6in.large"),
        1 => ("automq-b", "us-east-1b", "r6in.large"),
        2 => {
            ("automq-abc", ["us-east-1a", "us-east-1b", "us-east-1c"][index / 4 % 3], "r6in.xlarge")
        }
        _ => ("system", "us-east-1a", "m5.large"),
    };
    let taints = if group == "system" {
        json!([])
    } else {
        json!([{ "key": "dedicated", "value": "automq", "effect": "NoSchedule" }])
    };
    json!({
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {
            "name": format!("ip-{index}.ec2.internal"),
            "labels": {
                "eks.amazonaws.com/nodegroup": group,
                "kubernetes.io/hostname": format!("ip-{index}.ec2.internal"),
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": machine_type,
                "topology.kubernetes.io/zone": zone,
            },
        },
        "spec": { "taints": taints, "providerID": format!("aws:///{zone}/i-{index}") },
    })
}

/// The compact body of a recorded review, as the API server sends it.
fn body(name: &str) -> Vec<u8> {
    let review: Value = serde_json::from_str(&data(&format!("reviews/{name}.json")))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    // Not through a map: the order of the fields is part of the measurement.
    let text = data(&format!("reviews/{name}.json"));
    assert_eq!(review["kind"], "AdmissionReview");
    compact(&text)
}

/// JSON without the white space between its tokens.
fn compact(text: &str) -> Vec<u8> {
    let mut compact = Vec::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for &byte in text.as_bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_string = byte == b'"';
        }
        compact.push(byte);
    }
    compact
}

const REVIEWS: [&str; 5] = [
    "pod-create-plain-by-replicaset-controller",
    "pod-create-tolerates-and-selects-pool-a",
    "pod-create-daemonset-log-agent-for-system-node",
    "mutate-pod-create-automq-broker",
    "node-update-cordon-by-admin",
];

fn phase(review: &str) -> Phase {
    if review.starts_with("mutate-") { Phase::Mutate } else { Phase::Validate }
}

/// The decision alone.
#[divan::bench_group]
mod decision {
    use super::{Bencher, CLUSTERS, Guard, Nodes, REVIEWS, black_box, body, decide, phase, review};

    #[divan::bench(args = CLUSTERS)]
    fn plain_pod(bencher: Bencher<'_, '_>, nodes: Nodes) {
        bench(bencher, nodes, REVIEWS[0]);
    }

    #[divan::bench(args = CLUSTERS)]
    fn intruder(bencher: Bencher<'_, '_>, nodes: Nodes) {
        bench(bencher, nodes, REVIEWS[1]);
    }

    #[divan::bench(args = CLUSTERS)]
    fn daemon_set_pod(bencher: Bencher<'_, '_>, nodes: Nodes) {
        bench(bencher, nodes, REVIEWS[2]);
    }

    #[divan::bench(args = CLUSTERS)]
    fn broker_to_place(bencher: Bencher<'_, '_>, nodes: Nodes) {
        bench(bencher, nodes, REVIEWS[3]);
    }

    #[divan::bench(args = CLUSTERS)]
    fn node_update(bencher: Bencher<'_, '_>, nodes: Nodes) {
        bench(bencher, nodes, REVIEWS[4]);
    }

    fn bench(bencher: Bencher<'_, '_>, nodes: Nodes, name: &str) {
        let Guard { policy, snapshot } = nodes.guard();
        let (body, phase) = (body(name), phase(name));
        let request = review::parse(&body, |target| policy.reads(&snapshot, phase, target))
            .unwrap_or_else(|error| panic!("{error}"));
        bencher.bench_local(|| decide(&policy, &snapshot, phase, black_box(&request)));
    }
}

/// From the bytes of a request to the bytes of its answer.
#[divan::bench(args = REVIEWS)]
fn answer(bencher: Bencher<'_, '_>, name: &str) {
    let Guard { policy, snapshot } = Nodes(5_000).guard();
    let (body, phase) = (body(name), phase(name));
    bencher.bench_local(|| {
        let request =
            review::parse(black_box(&body), |target| policy.reads(&snapshot, phase, target))
                .unwrap_or_else(|error| panic!("{error}"));
        let verdict = decide(&policy, &snapshot, phase, &request);
        review::render(&request, &verdict).unwrap_or_else(|error| panic!("{error}"))
    });
}

/// Records of a denial, for standard output and a file beside it, both of which take everything.
#[divan::bench(args = [1, 2])]
fn record(bencher: Bencher<'_, '_>, sinks: usize) {
    let Guard { policy, snapshot } = Nodes(5_000).guard();
    let (body, phase) = (body(REVIEWS[1]), phase(REVIEWS[1]));
    let request = review::parse(&body, |target| policy.reads(&snapshot, phase, target))
        .unwrap_or_else(|error| panic!("{error}"));
    let verdict = decide(&policy, &snapshot, phase, &request);
    let dropped =
        IntCounter::new("dropped", "No line may be").unwrap_or_else(|error| panic!("{error}"));
    let sink = |_| AuditOutput {
        name: "nowhere",
        format: Format::Json,
        out: Box::new(io::sink()),
        dropped: dropped.clone(),
    };
    let (audit, writer) =
        Audit::start((0..sinks).map(sink), None).unwrap_or_else(|error| panic!("{error}"));
    let circumstances =
        Circumstances { duration: Duration::ZERO, is_authenticated: false, is_stale: false };
    bencher.bench_local(|| audit.record(&request, black_box(&verdict), circumstances));
    writer.finish();
    assert_eq!(dropped.get(), 0);
}

/// Reading alone: what a skip over the body costs, and what the view costs.
#[divan::bench_group]
mod reading {
    use serde::de::IgnoredAny;

    use super::{Bencher, Guard, Nodes, REVIEWS, black_box, body, phase, review};

    #[divan::bench]
    fn skip(bencher: Bencher<'_, '_>) {
        let body = body(REVIEWS[1]);
        bencher.bench_local(|| serde_json::from_slice::<IgnoredAny>(black_box(&body)).is_ok());
    }

    #[divan::bench]
    fn view(bencher: Bencher<'_, '_>) {
        let Guard { policy, snapshot } = Nodes(10).guard();
        let (body, phase) = (body(REVIEWS[1]), phase(REVIEWS[1]));
        bencher.bench_local(|| {
            review::parse(black_box(&body), |target| policy.reads(&snapshot, phase, target)).is_ok()
        });
    }
}
