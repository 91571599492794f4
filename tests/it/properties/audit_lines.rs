//! What holds of every audit line, and of every page that is made of lines. The fuzz targets include this
//! file.

use std::{
    io,
    sync::{Arc, Mutex},
};

use poolguard::{
    cli::audit::summarize,
    telemetry::audit::{Audit, AuditOutput, Format},
};
use prometheus::IntCounter;
use serde_json::Value;

use super::invariants::WORLDS;

/// The size of the longest line, its end included.
const LINE_MAX: usize = (64 << 10) + 1;

/// A sink in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// No control character of a review leaves through an audit line, and none of a line leaves through the page
/// that sums lines up. The bytes are taken as a review, and as lines.
pub(crate) fn check_audit(bytes: &[u8]) {
    let (machines, people) = (Memory::default(), Memory::default());
    let sink = |format, memory: &Memory| {
        let dropped = IntCounter::new("dropped", "Lines without room").expect("a good name");
        AuditOutput { name: "memory", format, out: Box::new(memory.clone()), dropped }
    };
    let sinks = [sink(Format::Json, &machines), sink(Format::Plain, &people)];
    let (audit, writer) = Audit::start(sinks, Some("one".to_owned())).expect("threads can start");
    for world in &*WORLDS {
        world.audit(bytes, &audit);
    }
    writer.finish();
    let text = |memory: &Memory| {
        let bytes = memory.0.lock().expect("no writer panics").clone();
        String::from_utf8(bytes).expect("a line is text")
    };
    let (machines, people) = (text(&machines), text(&people));
    for lines in [&machines, &people] {
        assert_no_controls(lines);
        assert!(lines.is_empty() || lines.ends_with('\n'), "the last line is not whole");
        assert!(lines.lines().all(|line| line.len() < LINE_MAX), "a line is too long");
    }
    assert_eq!(machines.lines().count(), people.lines().count());
    for line in machines.lines() {
        let record: Value = serde_json::from_str(line).expect("a line is one JSON object");
        assert_eq!(record["version"], 1);
    }
    for lines in [machines.as_bytes(), bytes] {
        let [page, object] = summarize(lines).expect("memory can be read");
        // The page has colours of its own, which are taken off where they are not shown.
        assert_no_controls(&without_styles(&page));
        assert_no_controls(&object);
        serde_json::from_str::<Value>(&object).expect("the summary is one JSON object");
    }
}

/// C0 but the line feed, DEL, C1, the separators of lines, and what turns the direction of text.
#[track_caller]
fn assert_no_controls(text: &str) {
    let is_control = |character: char| {
        (character.is_control() && character != '\n')
            || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.contains(is_control), "a control character is left in {text:?}");
}

/// The text without the colours that pages have: digits and semicolons between `ESC [` and `m`.
fn without_styles(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('m') {
            Some((style, rest)) if style.bytes().all(|it| it.is_ascii_digit() || it == b';') => {
                plain.push_str(rest);
            }
            _ => {
                plain.push('\u{1b}');
                plain.push_str(part);
            }
        }
    }
    plain
}
