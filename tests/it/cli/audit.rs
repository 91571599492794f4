//! `audit`: the summary of a recorded stream, whatever is around its lines.
//!
//! `audit.jsonl` is what PoolGuard wrote when it was sent the recorded reviews, some of them many times and
//! with other namespaces, users and groups. Its times, durations and replicas are made up, to show a day of
//! two replicas: nothing in it is a measurement.

use std::fs;

use poolguard::telemetry::metrics::label::AuditSink;
use serde_json::{Value, json};

use super::{Said, run, run_on, said};
use crate::{audit::schema, scenario::data_text};

const FILE: &str = "audit.jsonl";

fn audit(arguments: &[&str]) -> Said {
    let said = run(&[&["audit"], arguments].concat());
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    said.assert_plain();
    said
}

fn audit_text(text: &str, arguments: &[&str]) -> Said {
    let said = run_on(text, &[&["audit"], arguments].concat());
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    said
}

fn records() -> Vec<Value> {
    data_text(FILE).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How many records of the file are so.
fn count(is_it: impl Fn(&Value) -> bool) -> usize {
    records().iter().filter(|record| is_it(record)).count()
}

#[test]
fn the_recorded_stream_is_as_the_schema_has_it() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for record in records() {
        assert!(validator.is_valid(&record), "{record}");
    }
    assert_eq!(AuditSink::ALL.len(), 2, "docs/audit.md names them");
}

#[test]
fn the_summary_is_a_page_of_tables() {
    let page = audit(&[FILE]).out;
    assert!(page.is_ascii(), "{page}");
    for line in page.lines() {
        assert_eq!(line, line.trim_end());
    }
    insta::assert_snapshot!("audit", page);
}

#[test]
fn one_dimension_has_a_table_of_its_own() {
    for by in ["rule", "namespace", "user", "owner", "pool", "node", "decision"] {
        let page = audit(&["--by", by, FILE]).out;
        let headings = page.lines().filter(|line| line.ends_with("  LAST"));
        let headings: Vec<_> = headings.collect();
        let [heading] = headings[..] else { panic!("one table: {page}") };
        assert!(heading.starts_with(&by.to_uppercase()), "{heading}");
        assert!(!page.contains("BREAK-GLASS\n"), "{page}");
    }
    insta::assert_snapshot!("audit_by_owner", audit(&["--by", "owner", "--top", "2", FILE]).out);
}

#[test]
fn filters_leave_records_out_and_say_so() {
    let all = records().len();
    let sum = |arguments: &[&str]| {
        let answer = audit(&[&["-o", "json", FILE], arguments].concat()).json();
        let number = answer["records"].as_u64().unwrap();
        assert_eq!(answer["leftOut"]["filtered"], json!(all as u64 - number));
        usize::try_from(number).unwrap()
    };
    assert_eq!(sum(&[]), all);
    assert_eq!(sum(&["--decision", "warn"]), count(|it| it["decision"] == "warn"));
    assert_eq!(
        sum(&["--decision", "warn,deny", "--decision", "audit"]),
        count(|it| ["warn", "deny", "audit"].contains(&it["decision"].as_str().unwrap()))
    );
    assert_eq!(sum(&["--rule", "role-binding"]), count(|it| it["rule"] == "role-binding"));
    assert_eq!(
        sum(&["-n", "shop*", "--decision", "deny"]),
        count(|it| {
            it["namespace"].as_str().unwrap().starts_with("shop") && it["decision"] == "deny"
        })
    );
    assert_eq!(
        sum(&["--user", "*@example.com"]),
        count(|it| it["user"].as_str().unwrap().ends_with("@example.com"))
    );
    let (noon, one) = ("2026-11-23T12:00:00Z", "2026-11-23T13:00:00Z");
    let within = |it: &Value| (noon..one).contains(&it["time"].as_str().unwrap());
    assert_eq!(sum(&["--since", noon, "--until", "2026-11-23T14:00:00+01:00"]), count(within));
    assert_eq!(sum(&["--since", "2026-11-23"]), all);
    assert_eq!(sum(&["--until", "2026-11-23"]), 0);
    let nobody = audit(&["--user", "nobody", FILE]).out;
    assert!(nobody.contains(&format!("None of {all} records matches the filters")), "{nobody}");
}

#[test]
fn durations_count_back_from_now() {
    let now = poolguard_time(0);
    let before = poolguard_time(3 * 3600);
    let first = data_text(FILE).lines().next().unwrap().to_owned();
    let old = serde_json::from_str::<Value>(&first).unwrap()["time"].as_str().unwrap().to_owned();
    let text = format!("{}\n{}\n", first.replace(&old, &now), first.replace(&old, &before));
    let sum = |arguments: &[&str]| {
        audit_text(&text, &[&["-o", "json"], arguments].concat()).json()["records"].clone()
    };
    assert_eq!(sum(&["--since", "2h"]), 1);
    assert_eq!(sum(&["--until", "2h"]), 1);
    assert_eq!(sum(&["--since", "1d"]), 2);
}

fn poolguard_time(seconds_ago: i64) -> String {
    let time = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds_ago);
    format!("{time:.3}")
}

#[test]
fn lines_are_found_among_others_and_behind_prefixes() {
    let expected = audit(&["-o", "json", FILE]).json();
    let surround = |(index, line): (usize, &str)| {
        let prefix = match index % 4 {
            0 => "",
            1 => "[pod/poolguard-7c9f5d-x2x4k/poolguard] ",
            2 => "2026-11-23T18:27:15.498123456Z ",
            _ => "2026-11-23T18:27:15.498123456Z stdout F ",
        };
        format!("{prefix}{line}\n{{\"level\":\"INFO\",\"message\":\"reloaded\"}}\n\n")
    };
    let text: String = data_text(FILE).lines().enumerate().map(surround).collect();
    let mut found = audit_text(&text, &["-o", "json"]).json();
    assert_eq!(found["leftOut"]["other"], records().len());
    found["leftOut"]["other"] = json!(0);
    assert_eq!(found, expected);
}

#[test]
fn damaged_lines_and_drops_are_told_at_the_end() {
    let text = data_text(FILE);
    let dropped = "{\"version\":1,\"time\":\"2026-11-23T12:00:00.000Z\",\"decision\":\"dropped\",\
                   \"count\":412,\"since\":\"2026-11-23T11:59:58.000Z\"}";
    let newer = text.lines().next().unwrap().replace("\"version\":1", "\"version\":2");
    let second = text.find('\n').unwrap() + 1;
    let (head, tail) = text.split_at(second + 30);
    let damaged = format!("{head}\n{dropped}\n{newer}\n{tail}\n");
    let page = audit_text(&damaged, &[]).out;
    assert!(page.starts_with(&format!("{} records, ", records().len() - 1)), "{page}");
    let end: Vec<_> = page.lines().rev().take(4).collect();
    assert_eq!(
        end,
        [
            "1 record ignored: unknown version",
            "2 damaged lines ignored; the first one: standard input:2",
            "too slow or the disk was full",
            "412 records missing: PoolGuard dropped them because the reader of the stream was",
        ]
    );
    let answer = audit_text(&damaged, &["-o", "json"]).json();
    assert_eq!(answer["dropped"], 412);
    assert_eq!(answer["leftOut"]["damaged"], 2);
    assert_eq!(answer["leftOut"]["newer"], 1);
}

#[test]
fn rotated_files_are_one_stream() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let lines: Vec<_> = data_text(FILE).lines().map(|line| format!("{line}\n")).collect();
    let names = ["a.jsonl.10", "a.jsonl.2", "a.jsonl.1", "a.jsonl"].map(path);
    for (name, part) in names.iter().zip(lines.chunks(lines.len() / 4 + 1)) {
        fs::write(name, part.concat()).unwrap();
    }
    // As a shell expands `a.jsonl*`.
    let [ten, two, one, zero] = &names;
    assert_eq!(audit(&[zero, one, ten, two]).out, audit(&[FILE]).out);
}

#[test]
fn what_cannot_be_read_is_exit_code_2_and_does_not_stop_the_others() {
    let partly = run(&["audit", "no-such.jsonl", FILE, "reviews"]);
    assert_eq!(partly.code, 2);
    assert!(partly.out.starts_with(&format!("{} records", records().len())), "{}", partly.out);
    for name in ["no-such.jsonl", "reviews"] {
        assert!(partly.err.contains(&format!("error: cannot read {name}: ")), "{}", partly.err);
    }
}

#[test]
fn where_no_file_can_be_read_there_is_only_the_error() {
    let said = run(&["audit", "no-such.jsonl"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
}

#[test]
fn nothing_to_sum_up_is_said_kindly() {
    for (text, words) in [
        ("", "The input has no lines"),
        ("\n\n", "The input has no lines"),
        ("2026-11-23T18:27:15.498Z deny CREATE pods by admin: no\n", "--log-format json"),
    ] {
        let said = audit_text(text, &[]);
        assert!(said.out.contains(words), "{text:?}: {}", said.out);
        let answer = audit_text(text, &["-o", "json"]).json();
        assert_eq!((&answer["records"], &answer["timeline"]), (&json!(0), &Value::Null));
    }
}

#[test]
fn json_has_the_documented_shape() {
    let answer = audit(&["-o", "json", "--top", "1", FILE]).json();
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(
        keys(&answer),
        [
            "breakGlass",
            "by",
            "decisions",
            "dropped",
            "dryRuns",
            "first",
            "last",
            "leftOut",
            "records",
            "timeline",
        ]
    );
    assert_eq!(keys(&answer["by"]), ["namespace", "owner", "rule", "user"]);
    let owner = &answer["by"]["owner"][0];
    assert_eq!(keys(owner), ["decisions", "first", "last", "records", "value"]);
    assert_eq!(owner["value"], "DaemonSet monitoring/log-agent");
    assert_eq!(answer["by"]["owner"].as_array().unwrap().len(), 1);
    let deny: u64 = answer["timeline"]["columns"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|column| column["decisions"]["deny"].as_u64())
        .sum();
    assert_eq!(answer["decisions"]["deny"], deny);
    assert_eq!(
        keys(&answer["breakGlass"][0]),
        ["groups", "message", "request", "rule", "time", "uid", "user"]
    );
}

#[test]
fn nothing_that_a_request_wrote_reaches_a_terminal_as_it_is() {
    let controls = "\\u001b]0;x\\u0007\\u009b\\u202e";
    let text = data_text(FILE).replace("monitoring", &format!("{controls}monitoring"));
    let said = audit_text(&text, &[]);
    assert!(said.out.contains(&format!("{controls}monitoring")), "{}", said.out);
    said.assert_plain();
    let said = audit_text(&text, &["-o", "json"]);
    assert!(said.out.contains(&format!("{controls}monitoring")), "{}", said.out);
    said.assert_plain();
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_without_an_error_text() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = super::poolguard(&["audit", FILE]);
    let output = command.stdout(writer).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(141), "as a process that ends by SIGPIPE");
    assert_eq!(said(&mut super::poolguard(&["audit", FILE])).code, 0);
}

/// A record of the file with other values.
fn changed(record: usize, changes: &[(&str, &str)]) -> String {
    let mut record = records()[record].clone();
    for (key, value) in changes {
        record[key] = json!(value);
    }
    format!("{record}\n")
}

#[test]
fn every_line_fits_80_columns() {
    // Long names, two days, and every decision that there is.
    let user = format!("system:serviceaccount:{}:{}", "n".repeat(63), "s".repeat(63));
    let decisions = ["deny", "break-glass", "warn", "audit", "patch", "exempt", "unknown"];
    let lines = decisions.iter().enumerate().map(|(day, decision)| {
        let time = format!("2026-11-2{day}T10:00:00.000Z");
        changed(0, &[("decision", decision), ("time", &time), ("user", &user)])
    });
    let text = [data_text(FILE), lines.collect()].concat();
    for arguments in [&[][..], &["--by", "user"], &["--by", "owner"], &["--by", "decision"]] {
        let page = audit_text(&text, arguments).out;
        for line in page.lines().filter(|line| line.trim() != user) {
            assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
        }
        // No name is cut.
        assert!(!arguments.contains(&"user") || page.contains(&user), "{page}");
    }
}

#[test]
fn break_glass_is_listed_in_the_order_of_time() {
    // As `kubectl logs` prints two replicas: one after the other.
    let at = |time: &str, uid: &str, name: &str| {
        let time = format!("2026-11-23T{time}Z");
        changed(0, &[("decision", "break-glass"), ("time", &time), ("uid", uid), ("user", name)])
    };
    let first = at("10:00:00.000", "a", "one") + &at("12:00:00.000", "c", "three");
    let second = at("11:00:00.000", "b", "two") + &at("12:00:00.000", "d", "four");
    let text = first + &second + &at("12:00:00.001", "c", "three");
    let page = audit_text(&text, &[]).out;
    let list = page.split("BREAK-GLASS\n").last().unwrap();
    let requests = list.lines().filter(|line| !line.starts_with(' '));
    let users: Vec<_> = requests.map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(users, ["one", "two", "three", "four"], "{list}");
    let answer = audit_text(&text, &["-o", "json"]).json();
    let uids: Vec<_> =
        answer["breakGlass"].as_array().unwrap().iter().map(|it| &it["uid"]).collect();
    assert_eq!(uids, ["a", "b", "c", "c", "d"]);
}
