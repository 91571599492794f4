//! What the worst requests cost: the CPU of each by its size, and the p99 of plain reviews beside it.
//!
//! All are of legal size, and as large as is read of their kind. The server runs on any core, on the large
//! cluster.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use serde_json::{Value, json};
use tokio::time::sleep_until;

use crate::{
    fixture::{self, Fixtures},
    process::{Cores, Server, Stream, spawn_poolguard},
    run::Load,
    statistics::Latency,
};

/// How long each is sent alone, and then beside plain reviews.
const PHASE: Duration = Duration::from_millis(700);
/// Time between two plain reviews.
const INTERVAL: Duration = Duration::from_millis(4);

/// What one of them cost.
pub(crate) struct Cost {
    pub(crate) what: String,
    pub(crate) kibibytes: f64,
    /// CPU of the server for one, in milliseconds.
    pub(crate) cpu: f64,
    /// Of plain reviews meanwhile.
    pub(crate) beside: Latency,
}

/// Plain reviews alone, and what each of the worst requests costs.
pub(crate) fn all(load: &Load, fixtures: &Fixtures) -> anyhow::Result<(Latency, Vec<Cost>)> {
    let server = spawn_poolguard(&fixtures.large, Cores::Any, Stream::Discarded)?;
    load.wait_until_ready(&server, &fixtures.allowed)?;
    let plain = &fixtures.allowed.request;
    let alone = plain_reviews(load, &server, plain)?;
    let costs = worst().into_iter().map(|worst| {
        let request = fixture::request(&worst.body());
        let cpu = worst_alone(load, &server, &request)?;
        let beside = worst_beside(load, &server, &request, plain)?;
        let Worst { what, size } = worst;
        let kibibytes = u32::try_from(request.len()).map(f64::from)? / 1024.0;
        Ok(Cost { what: format!("{size} {what}"), kibibytes, cpu, beside })
    });
    Ok((alone, costs.collect::<anyhow::Result<_>>()?))
}

fn worst_alone(load: &Load, server: &Server, request: &[u8]) -> anyhow::Result<f64> {
    load.runtime.block_on(async {
        let mut client = load.client(server).await?;
        client.call(request).await?;
        let (start, cpu) = (Instant::now(), server.cpu_seconds()?);
        let mut answered = 0.0;
        while start.elapsed() < PHASE {
            client.call(request).await?;
            answered += 1.0;
        }
        Ok((server.cpu_seconds()? - cpu) * 1e3 / answered)
    })
}

/// A thread of its own sends the worst requests: plain reviews must not wait for their encryption.
fn worst_beside(
    load: &Load,
    server: &Server,
    request: &[u8],
    plain: &[u8],
) -> anyhow::Result<Latency> {
    let ends = AtomicBool::new(false);
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let load = Load::new(Cores::Any)?;
            load.runtime.block_on(async {
                let mut client = load.client(server).await?;
                while !ends.load(Ordering::Relaxed) {
                    client.call(request).await?;
                }
                anyhow::Ok(())
            })
        });
        let beside = plain_reviews(load, server, plain);
        ends.store(true, Ordering::Relaxed);
        sending.join().map_err(|_| anyhow!("the thread of the worst requests panicked"))??;
        beside
    })
}

/// Latency counts from when a review is due.
fn plain_reviews(load: &Load, server: &Server, plain: &[u8]) -> anyhow::Result<Latency> {
    load.runtime.block_on(async {
        let mut client = load.client(server).await?;
        let (start, mut samples) = (Instant::now(), Vec::new());
        let mut due = start;
        while due < start + PHASE {
            sleep_until(due.into()).await;
            client.call(plain).await?;
            samples.push(due.elapsed());
            due += INTERVAL;
        }
        Ok(Latency::of(samples, 0.0))
    })
}

/// What is dear to judge, and how much of it.
#[derive(Clone, Copy)]
struct Worst {
    what: &'static str,
    size: usize,
}

const HOST: &str = "kubernetes.io/hostname";

/// Every kind of them at three sizes: a cost that is linear doubles with the size.
fn worst() -> Vec<Worst> {
    const INPUTS: [(&str, usize); 11] = [
        ("unread text, KiB", 1_750),
        ("labels", 16_000),
        ("keys of a nodeSelector", 16_000),
        ("hosts in a list", 15_000),
        ("terms with a host each", 2_000),
        ("comparisons of a host", 4_500),
        ("tolerations of the key", 8_000),
        ("groups of the user", 16_000),
        ("taints of a node replaced", 4_000),
        ("subjects of a binding replaced", 4_000),
        ("items of aws-auth reordered", 3_500),
    ];
    let sizes = |(what, size)| [1, 2, 4].map(|factor| Worst { what, size: size * factor });
    INPUTS.into_iter().flat_map(sizes).collect()
}

impl Worst {
    fn body(self) -> Vec<u8> {
        let Self { what, size } = self;
        let each = |of: &dyn Fn(usize) -> Value| (0..size).map(of).collect::<Vec<Value>>();
        let named = |prefix: &str| -> serde_json::Map<String, Value> {
            (0..size).map(|index| (format!("{prefix}{index}"), json!("x"))).collect()
        };
        let requirement = |operator: &str, values: Value| json!({ "key": HOST, "operator": operator, "values": values });
        let terms = |terms: Vec<Value>| json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms } } });
        let mut pod = json!({
            "metadata": { "name": "web-0", "namespace": "shop" },
            "spec": { "tolerations": [{ "operator": "Exists" }] },
        });
        let mut groups = vec![json!("system:authenticated")];
        let spec = &mut pod["spec"];
        match what {
            "labels" => pod["metadata"]["labels"] = named("l").into(),
            "keys of a nodeSelector" => spec["nodeSelector"] = named("l").into(),
            "hosts in a list" => {
                let hosts = each(&|index| json!(format!("h{index}")));
                spec["affinity"] =
                    terms(vec![json!({ "matchExpressions": [requirement("In", hosts.into())] })]);
            }
            "terms with a host each" => {
                let term = |index| json!({ "matchExpressions": [requirement("In", json!([format!("h{index}")]))] });
                spec["affinity"] = terms(each(&term));
            }
            "comparisons of a host" => {
                let all = each(&|_| requirement("Gt", json!(["5"])));
                spec["affinity"] = terms(vec![json!({ "matchExpressions": all })]);
            }
            "tolerations of the key" => {
                spec["tolerations"] =
                    each(&|index| json!({ "key": "dedicated", "value": index.to_string() })).into();
            }
            "groups of the user" => groups = each(&|index| json!(format!("g{index}"))),
            "taints of a node replaced" => {
                let node = |prefix: &str| {
                    let taint = |index| json!({ "key": format!("{prefix}{index}"), "effect": "NoSchedule" });
                    json!({
                        "metadata": { "name": "ip-0.ec2.internal", "labels": { "eks.amazonaws.com/nodegroup": "automq-a" } },
                        "spec": { "taints": each(&taint) },
                    })
                };
                return update(["", "nodes"], ["", "ip-0.ec2.internal"], &node("a"), &node("b"));
            }
            "subjects of a binding replaced" => {
                let binding = |prefix: &str| {
                    let user =
                        |index| json!({ "kind": "User", "name": format!("{prefix}{index}") });
                    json!({ "metadata": { "name": "automq-nodepool", "namespace": "automq" }, "subjects": each(&user) })
                };
                let resource = ["rbac.authorization.k8s.io", "rolebindings"];
                return update(
                    resource,
                    ["automq", "automq-nodepool"],
                    &binding("a"),
                    &binding("b"),
                );
            }
            "items of aws-auth reordered" => {
                let item = |index| {
                    format!(
                        "- rolearn: arn:aws:iam::111122223333:role/automq-node\n  username: a{index}\n"
                    )
                };
                let map = |text: String| json!({ "metadata": { "name": "aws-auth", "namespace": "kube-system" }, "data": { "mapRoles": text } });
                let (old, new) =
                    ((0..size).map(item).collect(), (0..size).rev().map(item).collect());
                return update(
                    ["", "configmaps"],
                    ["kube-system", "aws-auth"],
                    &map(old),
                    &map(new),
                );
            }
            _ => spec["x"] = "x".repeat(size << 10).into(),
        }
        let user = json!({ "username": "alice", "groups": groups });
        request(["", "pods"], ["shop", "web-0"], "CREATE", &user, &pod, &Value::Null)
    }
}

fn update(resource: [&str; 2], name: [&str; 2], old: &Value, new: &Value) -> Vec<u8> {
    let user = json!({ "username": "alice", "groups": ["system:authenticated"] });
    request(resource, name, "UPDATE", &user, new, old)
}

/// The body of a review, with operation and resource before the objects, as the API server writes it.
fn request(
    [group, resource]: [&str; 2],
    [namespace, name]: [&str; 2],
    operation: &str,
    user: &Value,
    new: &Value,
    old: &Value,
) -> Vec<u8> {
    format!(
        "{{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{{\"uid\":\"u\",\
         \"resource\":{{\"group\":\"{group}\",\"version\":\"v1\",\"resource\":\"{resource}\"}},\
         \"namespace\":\"{namespace}\",\"name\":\"{name}\",\"operation\":\"{operation}\",\"userInfo\":{user},\
         \"object\":{new},\"oldObject\":{old}}}}}"
    )
    .into_bytes()
}
