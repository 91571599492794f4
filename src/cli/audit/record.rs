//! Reading a record from a line that may contain other text.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;

use crate::{policy::verdict::Decision, telemetry::audit::VERSION};

/// The content of a line.
#[derive(Debug)]
pub(super) enum AuditLine<'l> {
    /// A record.
    Record(Box<Record<'l>>),
    /// A note that this number of records is missing here.
    Dropped(u64),
    /// A record that broke, or that something else was written into.
    Damaged,
    /// A record of a version that PoolGuard does not know.
    Newer,
    /// Anything else that a log may hold.
    Other,
    /// An empty line.
    Blank,
}

/// A record, with the parts of it that the summary counts.
#[derive(Debug)]
pub(super) struct Record<'l> {
    pub(super) time: Timestamp,
    pub(super) decision: Decision,
    pub(super) fields: AuditFields<'l>,
}

/// The fields of a line that the summary uses. A text field that is absent is empty.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuditFields<'l> {
    version: u64,
    #[serde(borrow)]
    time: Cow<'l, str>,
    #[serde(borrow)]
    decision: Cow<'l, str>,
    #[serde(borrow, default)]
    pub(super) uid: Cow<'l, str>,
    pub(super) rule: Option<Cow<'l, str>>,
    #[serde(borrow, default)]
    pub(super) operation: Cow<'l, str>,
    #[serde(borrow, default)]
    pub(super) resource: Cow<'l, str>,
    #[serde(borrow, default)]
    pub(super) namespace: Cow<'l, str>,
    #[serde(borrow, default)]
    pub(super) name: Cow<'l, str>,
    pub(super) owner: Option<Cow<'l, str>>,
    #[serde(borrow, default)]
    pub(super) user: Cow<'l, str>,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    pub(super) pool: Option<Cow<'l, str>>,
    pub(super) node: Option<Cow<'l, str>>,
    #[serde(borrow, default)]
    pub(super) message: Cow<'l, str>,
    #[serde(default)]
    pub(super) dry_run: bool,
    count: Option<u64>,
}

/// Every decision, the gravest first.
pub(super) const DECISIONS: [Decision; 7] = [
    Decision::Deny,
    Decision::BreakGlass,
    Decision::Warn,
    Decision::Audit,
    Decision::Unknown,
    Decision::Patch,
    Decision::Exempt,
];

/// Returns the index of a decision in [`DECISIONS`].
pub(super) fn position(decision: Decision) -> usize {
    DECISIONS.iter().position(|it| *it == decision).unwrap_or(0)
}

/// The beginning of every record, which tells a broken record from the line of another log.
const BEGINNING: &str = "{\"version\":";
/// The text that only a record contains.
const MARK: &str = "\"decision\":\"";

/// Reads a line. Before the record there may be what `kubectl logs` or a container runtime puts there.
pub(super) fn read(line: &[u8]) -> AuditLine<'_> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return AuditLine::Blank;
    }
    let Ok(text) = str::from_utf8(line) else {
        let is_record = contains(line, BEGINNING) || contains(line, MARK);
        return if is_record { AuditLine::Damaged } else { AuditLine::Other };
    };
    let start = text.find(BEGINNING).or_else(|| text.find('{'));
    let read = start.and_then(|start| parse(text.get(start..)?));
    read.unwrap_or_else(|| {
        // A crash may have left half a record before a whole one.
        let last = text.rfind(BEGINNING).filter(|last| Some(*last) != start);
        let rest = last.and_then(|last| parse(text.get(last..)?));
        let is_broken = || {
            let is_begun = !text.is_empty() && BEGINNING.starts_with(text);
            is_begun || text.contains(BEGINNING) || text.contains(MARK)
        };
        rest.unwrap_or_else(|| if is_broken() { AuditLine::Damaged } else { AuditLine::Other })
    })
}

/// Reads a record or a note about missing records; returns `None` if the text is neither.
fn parse(text: &str) -> Option<AuditLine<'_>> {
    let fields: AuditFields<'_> = serde_json::from_str(text).ok()?;
    if fields.version != u64::from(VERSION) {
        return Some(AuditLine::Newer);
    }
    let time = fields.time.parse().ok()?;
    if let ("dropped", Some(count)) = (&*fields.decision, fields.count) {
        return Some(AuditLine::Dropped(count));
    }
    let decision = DECISIONS.into_iter().find(|it| it.as_str() == fields.decision)?;
    Some(AuditLine::Record(Box::new(Record { time, decision, fields })))
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECORD: &str = r#"{"version":1,"time":"2026-11-23T18:27:15.498Z","uid":"1","decision":"deny","rule":"pod-intrusion","namespace":"shop","name":"p","user":"a\"b","pool":null,"later":{"a":[1]}}"#;

    fn word(line: &str) -> &'static str {
        match read(line.as_bytes()) {
            AuditLine::Record(_) => "record",
            AuditLine::Dropped(_) => "dropped",
            AuditLine::Damaged => "damaged",
            AuditLine::Newer => "newer",
            AuditLine::Other => "other",
            AuditLine::Blank => "blank",
        }
    }

    #[test]
    fn a_record_is_found_behind_whatever_a_log_puts_before_it() {
        for prefix in [
            "",
            "  ",
            "[pod/poolguard-7c9f-x2x4k/poolguard] ",
            "2026-11-23T18:27:15.498123456Z ",
            "2026-11-23T18:27:15.498123456Z stdout F ",
            "poolguard-0 | {x} ",
        ] {
            let line = format!("{prefix}{RECORD}\r");
            let AuditLine::Record(record) = read(line.as_bytes()) else { panic!("{line}") };
            assert_eq!(record.decision, Decision::Deny);
            assert_eq!(record.fields.user, "a\"b");
            assert_eq!(record.fields.rule.as_deref(), Some("pod-intrusion"));
        }
    }

    #[test]
    fn lines_are_told_apart() {
        let cut = &RECORD[..100];
        let merged = format!("{cut}{RECORD}");
        for (line, expected) in [
            ("", "blank"),
            (" \t", "blank"),
            (cut, "damaged"),
            ("{\"vers", "damaged"),
            (&RECORD[30..], "damaged"),
            (&merged, "record"),
            (&RECORD.replace("deny", "denied"), "damaged"),
            (&RECORD.replace("18:27", "25:99"), "damaged"),
            (&RECORD.replace("\"version\":1", "\"version\":2"), "newer"),
            ("{\"timestamp\":\"…\",\"level\":\"INFO\",\"message\":\"ready\"}", "other"),
            ("{}", "other"),
            ("I1123 18:27:15 started {a: b}", "other"),
            (
                "{\"version\":1,\"time\":\"2026-11-23T18:27:15Z\",\"decision\":\"dropped\",\"count\":7}",
                "dropped",
            ),
        ] {
            assert_eq!(word(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_text_is_no_record() {
        let mut line = RECORD.as_bytes().to_vec();
        line[60] = 0xff;
        assert!(matches!(read(&line), AuditLine::Damaged));
        assert!(matches!(read(b"\xff\xfe"), AuditLine::Other));
    }

    proptest! {
        #[test]
        fn no_line_is_a_panic(line in any::<Vec<u8>>(), text in ".{0,200}") {
            read(&line);
            read(text.as_bytes());
        }

        #[test]
        fn no_damage_to_a_record_is_a_panic(
            at in 0..RECORD.len(), byte in any::<u8>(), cut in 0..RECORD.len()
        ) {
            let mut line = RECORD.as_bytes().to_vec();
            line[at] = byte;
            read(&line);
            read(&line[cut..]);
            read(&line[..cut]);
        }
    }
}
