//! The audit stream: what its lines hold, and what becomes of them when nobody takes them.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    collections::BTreeSet,
    fs, io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use poolguard::{
    server::{Received, Service},
    service::{AdmissionService, PolicyAndSnapshot},
    telemetry::{
        audit::{Audit, AuditOutput, AuditWriter, Format, RotatingFile},
        metrics::{
            Metrics,
            label::{AuditSink, WebhookLabel},
        },
    },
};
use serde_json::{Value, json};

use crate::{
    reviews::outcomes,
    scenario::{Scenario, data_text, recorded},
};

const INTRUDER: &str = "pod-create-job-key-exists-toleration";

/// A sink that a test can look at, and stop.
#[derive(Clone, Default)]
struct Page {
    text: Arc<Mutex<Vec<u8>>>,
    hangs: Arc<AtomicBool>,
    fails: Arc<AtomicBool>,
}

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        while self.hangs.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        if self.fails.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.text.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.text.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn records(&self) -> Vec<Value> {
        self.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A webhook without a server.
struct Webhooks {
    service: AdmissionService,
    writer: AuditWriter,
    metrics: Arc<Metrics>,
    is_stale: Arc<AtomicBool>,
}

impl Webhooks {
    fn start(sinks: Vec<(Format, Box<dyn io::Write + Send>)>, replica: Option<&str>) -> Self {
        let Scenario { policy, snapshot } = Scenario::recorded();
        let guard = Arc::new(PolicyAndSnapshot { policy: Arc::new(policy), snapshot });
        let metrics = Arc::new(Metrics::new().unwrap());
        let names = [AuditSink::Stdout, AuditSink::File];
        let sinks = sinks.into_iter().zip(names).map(|((format, out), name)| AuditOutput {
            name: name.as_str(),
            format,
            out,
            dropped: metrics.audit_dropped(name),
        });
        let (audit, writer) = Audit::start(sinks, replica.map(str::to_owned)).unwrap();
        let is_stale = Arc::<AtomicBool>::default();
        let cell = Arc::new(ArcSwapOption::from(Some(guard)));
        let service =
            AdmissionService::new(cell, Arc::clone(&metrics), audit, Arc::clone(&is_stale));
        Self { service, writer, metrics, is_stale }
    }

    fn to_page(replica: Option<&str>) -> (Self, Page) {
        let page = Page::default();
        (Self::start(vec![(Format::Json, Box::new(page.clone()))], replica), page)
    }

    fn send(&self, webhook: WebhookLabel, body: &Bytes) -> Value {
        let answer = self.service.answer(received(webhook, body)).unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    fn validate(&self, review: &Value) -> Value {
        self.send(WebhookLabel::Validate, &review.to_string().into())
    }

    fn dropped(&self, sink: AuditSink) -> u64 {
        self.metrics.audit_dropped(sink).get()
    }
}

/// A request of a client that is not authenticated.
fn received(webhook: WebhookLabel, body: &Bytes) -> Received<'_> {
    Received { webhook, body, arrived: Instant::now(), is_authenticated: false, deadline: None }
}

/// The lines of one review.
fn records_of(review: &Value) -> Vec<Value> {
    let (webhooks, page) = Webhooks::to_page(None);
    webhooks.validate(review);
    webhooks.writer.finish();
    page.records()
}

pub(crate) fn schema() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit.schema.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Every field that any of the lines has.
fn keys(lines: &[Value]) -> BTreeSet<&str> {
    lines.iter().flat_map(|line| line.as_object().unwrap().keys().map(String::as_str)).collect()
}

#[test]
fn every_line_is_as_the_schema_has_it_and_the_schema_names_every_field() {
    let (webhooks, page) = Webhooks::to_page(Some("poolguard-0"));
    for name in outcomes().keys() {
        for webhook in [WebhookLabel::Mutate, WebhookLabel::Validate] {
            webhooks.send(webhook, &data_text(&format!("reviews/{name}.json")).into());
        }
    }
    let mut review = recorded(INTRUDER);
    review["request"]["userInfo"]["groups"] = json!(["a", "poolguard:break-glass"]);
    webhooks.is_stale.store(true, Ordering::Relaxed);
    webhooks.validate(&review);
    page.hangs.store(true, Ordering::Relaxed);
    while webhooks.dropped(AuditSink::Stdout) == 0 {
        webhooks.validate(&review);
    }
    page.hangs.store(false, Ordering::Relaxed);
    webhooks.writer.finish();
    let lines = page.records();
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for line in &lines {
        let errors: Vec<_> = validator.iter_errors(line).map(|it| it.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}: {line}");
    }
    let known: BTreeSet<_> = ["/properties", "/then/properties", "/else/properties"]
        .into_iter()
        .flat_map(|path| schema.pointer(path).unwrap().as_object().unwrap().keys())
        .map(String::as_str)
        .collect();
    assert_eq!(keys(&lines), known);
    let documented = include_str!("../../docs/audit.md");
    for key in known {
        assert!(documented.contains(&format!("| `{key}` |")), "docs/audit.md has no row for {key}");
    }
}

#[test]
fn a_line_tells_who_did_what_to_which_object() {
    let [record] = &records_of(&recorded(INTRUDER))[..] else { panic!("one record") };
    let request = &recorded(INTRUDER)["request"];
    let owner = &request["object"]["metadata"]["ownerReferences"][0];
    assert_eq!(record["version"], 1);
    assert_eq!(record["uid"], request["uid"]);
    assert_eq!(record["decision"], "deny");
    assert_eq!(record["rule"], "pod-intrusion");
    assert_eq!(record["mode"], "enforce");
    assert_eq!(record["owner"], format!("Job/{}", owner["name"].as_str().unwrap()));
    assert_eq!(record["user"], request["userInfo"]["username"]);
    assert_eq!(record["pool"], "pool-a");
    assert_eq!(record["field"], "spec.tolerations[0]");
    assert!(record["durationMicros"].as_u64().unwrap() < 10_000_000);
    assert_eq!(record["authenticated"], false);
    for absent in ["replica", "groups", "staleSnapshot", "subResource"] {
        assert_eq!(record.get(absent), None, "{absent}");
    }
}

#[test]
fn records_and_metrics_tell_whether_the_client_was_authenticated() {
    let (webhooks, page) = Webhooks::to_page(None);
    let body = recorded(INTRUDER).to_string().into();
    for is_authenticated in [true, false, true] {
        let received = Received { is_authenticated, ..received(WebhookLabel::Validate, &body) };
        webhooks.service.answer(received).unwrap();
    }
    webhooks.writer.finish();
    let told: Vec<_> =
        page.records().iter().map(|record| record["authenticated"].as_bool().unwrap()).collect();
    assert_eq!(told, [true, false, true]);
    let metrics = webhooks.metrics.render().unwrap();
    for (value, count) in [("authenticated", 2), ("anonymous", 1)] {
        let line = format!("poolguard_requests_by_client_total{{client=\"{value}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line}");
    }
}

#[test]
fn a_name_to_come_ends_in_a_star() {
    let mut review = recorded(INTRUDER);
    review["request"]["name"] = json!("");
    let metadata = &mut review["request"]["object"]["metadata"];
    metadata["name"] = Value::Null;
    metadata["generateName"] = json!("report-");
    assert_eq!(records_of(&review)[0]["name"], "report-*");
}

#[test]
fn of_the_groups_only_the_one_that_broke_the_glass_is_told() {
    let mut review = recorded(INTRUDER);
    review["request"]["userInfo"]["groups"] = json!(["finance", "poolguard:break-glass"]);
    let records = records_of(&review);
    assert_eq!(records[0]["decision"], "break-glass");
    assert_eq!(records[0]["groups"], json!(["poolguard:break-glass"]));
}

#[test]
fn nothing_secret_enters_a_line() {
    const SECRET: &str = "hunter2";
    let mut review = recorded(INTRUDER);
    let request = &mut review["request"];
    request["userInfo"]["extra"] = json!({"token": [SECRET]});
    let object = &mut request["object"];
    object["metadata"]["annotations"] = json!({"token": SECRET});
    object["metadata"]["labels"]["token"] = json!(SECRET);
    let container = json!({
        "name": "main",
        "image": format!("registry/{SECRET}"),
        "command": ["run", SECRET],
        "args": [format!("--password={SECRET}")],
        "env": [
            {"name": "PASSWORD", "value": SECRET},
            {"name": SECRET, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": SECRET}}},
        ],
        "envFrom": [{"secretRef": {"name": SECRET}}],
    });
    for key in ["containers", "initContainers", "ephemeralContainers"] {
        object["spec"][key] = json!([container]);
    }
    object["spec"]["imagePullSecrets"] = json!([{"name": SECRET}]);
    object["spec"]["volumes"] = json!([{"name": "v", "secret": {"secretName": SECRET}}]);
    for format in [Format::Json, Format::Plain] {
        let page = Page::default();
        let webhooks = Webhooks::start(vec![(format, Box::new(page.clone()))], Some("replica"));
        webhooks.validate(&review);
        webhooks.writer.finish();
        let lines = page.lines();
        assert_eq!(lines.len(), 1);
        assert!(!lines[0].contains(SECRET), "{lines:?}");
    }
}

#[test]
fn a_protected_object_is_named_and_not_shown() {
    let mut review = recorded("configmap-update-aws-auth-node-role-removed-by-admin");
    review["request"]["object"]["data"]["password"] = json!("hunter2");
    let records = records_of(&review);
    assert_eq!(records[0]["name"], "aws-auth");
    assert!(records.iter().all(|it| !it.to_string().contains("hunter2")), "{records:?}");
}

const BURST: u64 = 10_000;

#[test]
fn of_a_burst_nothing_is_lost_silently() {
    let intruder = Bytes::from(recorded(INTRUDER).to_string());
    for hangs in [false, true] {
        let (webhooks, page) = Webhooks::to_page(None);
        page.hangs.store(hangs, Ordering::Relaxed);
        // An answer that waited for a sink that hangs would never come.
        for _ in 0..BURST {
            webhooks.send(WebhookLabel::Validate, &intruder);
        }
        page.hangs.store(false, Ordering::Relaxed);
        let dropped = webhooks.dropped(AuditSink::Stdout);
        assert!(!hangs || dropped > 0, "the buffer is bounded");
        webhooks.writer.finish();
        let records = page.records();
        let (drops, written): (Vec<_>, Vec<_>) =
            records.iter().partition(|it| it["decision"] == "dropped");
        let reported: u64 = drops.iter().map(|it| it["count"].as_u64().unwrap()).sum();
        assert_eq!(reported, dropped);
        assert_eq!(written.len() as u64 + reported, BURST);
    }
}

#[test]
fn a_sink_that_fails_does_not_stop_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let file = RotatingFile::open(&path, 1 << 20, 2).unwrap();
    let broken = Page::default();
    broken.fails.store(true, Ordering::Relaxed);
    let webhooks = Webhooks::start(
        vec![(Format::Plain, Box::new(broken)), (Format::Json, Box::new(file))],
        None,
    );
    let review = recorded(INTRUDER);
    for _ in 0..3 {
        webhooks.validate(&review);
    }
    let Webhooks { writer, metrics, .. } = webhooks;
    writer.finish();
    assert_eq!(fs::read_to_string(path).unwrap().lines().count(), 3);
    assert_eq!(metrics.audit_dropped(AuditSink::Stdout).get(), 3);
    assert_eq!(metrics.audit_dropped(AuditSink::File).get(), 0);
}

#[test]
fn plain_audit_lines_say_how_many_records_were_dropped() {
    let page = Page::default();
    let webhooks = Webhooks::start(vec![(Format::Plain, Box::new(page.clone()))], None);
    page.hangs.store(true, Ordering::Relaxed);
    let body = Bytes::from(data_text(&format!("reviews/{INTRUDER}.json")));
    while webhooks.dropped(AuditSink::Stdout) == 0 {
        webhooks.send(WebhookLabel::Validate, &body);
    }
    page.hangs.store(false, Ordering::Relaxed);
    webhooks.writer.finish();
    let last = page.lines().pop().unwrap();
    assert!(last.contains(" dropped     1 records since "), "{last}");
}

/// What does something to a terminal or to a line, and what a line may be forged with.
const CONTROLS: &str =
    "\0\u{7}\u{1b}[31m\r\nFORGED\u{7f}\u{9b}31m\u{61c}\u{200e}\u{2028}\u{202e}\u{2066}";

/// A request that has a text in every place that enters a line.
fn everywhere(text: &str) -> Value {
    let mut review = recorded(INTRUDER);
    let request = &mut review["request"];
    request["uid"] = json!(text);
    request["name"] = json!(text);
    request["namespace"] = json!(text);
    request["userInfo"]["username"] = json!(text);
    let object = &mut request["object"];
    object["metadata"]["ownerReferences"][0]["name"] = json!(text);
    object["spec"]["tolerations"] =
        json!([{"operator": "Exists", "key": "", "value": text}, {"operator": "Exists"}]);
    review
}

/// The lines of each format.
fn lines_of(review: &Value) -> [Vec<String>; 2] {
    [Format::Json, Format::Plain].map(|format| {
        let page = Page::default();
        let webhooks = Webhooks::start(vec![(format, Box::new(page.clone()))], None);
        // The answer does not matter, and a request that cannot be read has no line.
        let body = Bytes::from(review.to_string());
        drop(webhooks.service.answer(received(WebhookLabel::Validate, &body)));
        webhooks.writer.finish();
        page.lines()
    })
}

#[test]
fn no_control_character_of_a_request_enters_a_line() {
    for lines in lines_of(&everywhere(&format!("a{CONTROLS}b"))) {
        for line in &lines {
            assert!(!line.contains(poolguard::json::text::is_control), "{line:?}");
            assert!(!line.starts_with("FORGED"), "{line:?}");
        }
    }
    let mut review = recorded(INTRUDER);
    review["request"]["userInfo"]["username"] = json!(format!("a{CONTROLS}b"));
    let [json, plain] = lines_of(&review);
    let record: Value = serde_json::from_str(&json[0]).unwrap();
    assert_eq!(record["user"], format!("a{CONTROLS}b"), "JSON escapes and does not lose them");
    assert!(plain[0].contains("by a\\u0000\\u0007\\u001b[31m\\r\\nFORGED\\u007f"), "{}", plain[0]);
}

#[test]
fn a_plain_line_names_no_user_where_the_request_has_none() {
    let mut review = recorded(INTRUDER);
    review["request"]["userInfo"] = json!({});
    let [_, plain] = lines_of(&review);
    assert!(plain[0].contains(" CREATE pods: [pod-intrusion] "), "{}", plain[0]);
}

#[test]
fn a_line_is_bounded_whatever_the_request_holds() {
    for text in ["x".repeat(2_000_000), "\u{9b}".repeat(500_000), "\0".repeat(500_000)] {
        for lines in lines_of(&everywhere(&text)) {
            assert!(lines.iter().all(|line| line.len() < 64 << 10), "a line is too long");
        }
    }
    let mut review = recorded(INTRUDER);
    review["request"]["userInfo"]["username"] = json!("ä".repeat(100_000));
    let [json, plain] = lines_of(&review);
    let record: Value = serde_json::from_str(&json[0]).unwrap();
    let user = record["user"].as_str().unwrap();
    assert!(user.starts_with("ää") && user.ends_with("ä…") && user.len() <= 1024, "{user}");
    assert!(plain[0].contains(&format!(" by {user}: ")));
}

/// A sink that panics.
struct Broken;

impl io::Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        panic!("a bug")
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_thread_that_writes_does_not_end_unseen() {
    let page = Page::default();
    let sinks: Vec<(Format, Box<dyn io::Write + Send>)> =
        vec![(Format::Json, Box::new(page.clone())), (Format::Json, Box::new(Broken))];
    let mut webhooks = Webhooks::start(sinks, None);
    webhooks.validate(&recorded(INTRUDER));
    let ended = tokio::time::timeout(Duration::from_secs(20), webhooks.writer.ended()).await;
    assert_eq!(ended, Ok(AuditSink::File.as_str()));
}
