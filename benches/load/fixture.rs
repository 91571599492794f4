//! What is sent, and the cluster that it is judged against.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde_json::{Value, json};

/// The size of the large cluster.
pub(crate) const NODES: usize = 5_000;

/// What real nodes have, and what a kubelet lists by default.
const LABELS: usize = 20;
const IMAGES: usize = 50;

/// A review and what to call it.
pub(crate) struct Body {
    pub(crate) name: &'static str,
    /// A whole HTTP request.
    pub(crate) request: Vec<u8>,
}

/// Everything that a run reads.
pub(crate) struct Fixtures {
    pub(crate) denied: Body,
    pub(crate) allowed: Body,
    pub(crate) small: PathBuf,
    pub(crate) large: PathBuf,
}

impl Fixtures {
    /// Writes the large cluster into `folder`.
    pub(crate) fn new(folder: &Path) -> anyhow::Result<Self> {
        let large = folder.join("cluster.json");
        write_large_cluster(&data("cluster.json"), &large)?;
        Ok(Self {
            denied: body("intruder, denied", "pod-create-tolerates-and-selects-pool-a")?,
            allowed: body("plain pod, allowed", "pod-create-plain-by-replicaset-controller")?,
            small: data("cluster.json"),
            large,
        })
    }
}

/// A file of the test data.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn body(name: &'static str, review: &str) -> anyhow::Result<Body> {
    let path = data(&format!("reviews/{review}.json"));
    let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Body { name, request: request(&compact(&text)) })
}

/// A request with this body, and the header that an API server sends.
pub(crate) fn request(json: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST /validate?timeout=10s HTTP/1.1\r\nHost: poolguard.poolguard.svc:443\r\n\
         User-Agent: kube-apiserver-admission\r\nContent-Length: {}\r\n\
         Accept: application/json, */*\r\nContent-Type: application/json\r\n\
         Accept-Encoding: gzip\r\n\r\n",
        json.len()
    )
    .into_bytes();
    request.extend_from_slice(json);
    request
}

/// Without the white space between tokens. Keys keep the order in which the API server sends them,
/// which a parser and printer would not.
fn compact(json: &[u8]) -> Vec<u8> {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |byte: &&u8| {
        let kept = in_string || !byte.is_ascii_whitespace();
        if in_string && !escaped && **byte == b'\\' {
            escaped = true;
        } else {
            if **byte == b'"' && !escaped {
                in_string = !in_string;
            }
            escaped = false;
        }
        kept
    };
    json.iter().filter(keep).copied().collect()
}

/// The small cluster, its nodes repeated under new names and as full as real ones.
fn write_large_cluster(small: &Path, large: &Path) -> anyhow::Result<()> {
    let cluster: Value = serde_json::from_slice(&fs::read(small)?)?;
    let items = cluster.get("items").and_then(Value::as_array).context("a list")?;
    let (nodes, others): (Vec<_>, Vec<_>) =
        items.iter().partition(|item| item.get("kind").is_some_and(|kind| kind == "Node"));
    let mut file = BufWriter::new(File::create(large)?);
    file.write_all(br#"{"apiVersion":"v1","kind":"List","items":["#)?;
    for other in others {
        serde_json::to_writer(&mut file, other)?;
        file.write_all(b",\n")?;
    }
    for (index, node) in nodes.iter().cycle().take(NODES).enumerate() {
        if index > 0 {
            file.write_all(b",\n")?;
        }
        serde_json::to_writer(&mut file, &full_node(node, index)?)?;
    }
    file.write_all(b"]}\n")?;
    file.flush()?;
    Ok(())
}

fn full_node(template: &Value, index: usize) -> anyhow::Result<Value> {
    let mut node = template.clone();
    let name = format!("ip-10-{}-{}.ec2.internal", index / 250, index % 250);
    let metadata = node.get_mut("metadata").context("metadata")?;
    *metadata.get_mut("name").context("a name")? = json!(name);
    let labels = metadata.get_mut("labels").and_then(Value::as_object_mut).context("labels")?;
    labels.insert("kubernetes.io/hostname".to_owned(), json!(name));
    for extra in labels.len()..LABELS {
        labels.insert(format!("example.com/label-{extra}"), json!(format!("value-{extra}")));
    }
    let images: Vec<Value> = (0..IMAGES).map(image).collect();
    let status = node.get_mut("status").and_then(Value::as_object_mut).context("a status")?;
    status.insert("images".to_owned(), json!(images));
    Ok(node)
}

fn image(index: usize) -> Value {
    let repository = format!("registry.example.com/platform/component-{index}");
    let digest = format!("{index:064x}");
    json!({
        "names": [format!("{repository}@sha256:{digest}"), format!("{repository}:v1.{index}.0")],
        "sizeBytes": 40_000_000 + index,
    })
}
