//! A record as a line.

use std::{borrow::Cow, io::Write};

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;

use super::{Circumstances, queue::Drops};
use crate::{
    json::{
        ObjectFields,
        text::{cut, escape_controls},
        write_object,
    },
    kubernetes::object::OwnerReference,
    policy::{
        mode::{Mode, RuleName},
        request::Request,
        verdict::{Decision, Record},
    },
};

/// The size of the longest line: collectors of logs cut longer ones, and then they are no JSON.
const LINE_MAX: usize = 64 << 10;

/// The largest number of bytes of a request's text in a line. This limit and the one of a message are far
/// more than Kubernetes lets names have.
const TEXT_MAX: usize = 1 << 10;
const MESSAGE_MAX: usize = 8 << 10;

/// The factor by which the texts are cut shorter when they do not fit into a line, because escapes are
/// longer than what they stand for.
const SHORTER: usize = 8;

/// The format of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, for machines.
    Json,
    /// Text for people, without colours.
    Plain,
    /// Text for people at a terminal, with colours.
    Coloured,
}

/// The version of the lines. Within a version, fields may be added, but no field changes or goes.
pub const VERSION: u16 = 1;

/// A record with what is known of its request.
#[derive(Clone, Copy)]
pub(super) struct RecordInContext<'e> {
    pub(super) request: &'e Request<'e>,
    pub(super) record: &'e Record,
    pub(super) circumstances: Circumstances,
    pub(super) replica: Option<&'e str>,
}

impl Format {
    /// Appends the line of a record. Texts that are too long are cut, and end in `…`.
    pub(super) fn write(self, lines: &mut Vec<u8>, time: &str, entry: &RecordInContext<'_>) {
        let start = lines.len();
        self.write_within(lines, time, entry, Bounds { text: TEXT_MAX, message: MESSAGE_MAX });
        if lines.len() - start >= LINE_MAX {
            lines.truncate(start);
            let bounds = Bounds { text: TEXT_MAX / SHORTER, message: MESSAGE_MAX / SHORTER };
            self.write_within(lines, time, entry, bounds);
        }
        lines.push(b'\n');
    }

    fn write_within(
        self,
        out: &mut Vec<u8>,
        time: &str,
        entry: &RecordInContext<'_>,
        bounds: Bounds,
    ) {
        let written = match self {
            Self::Json => {
                write_json(out, time, entry, bounds);
                Ok(())
            }
            Self::Plain => write_plain(out, time, entry, bounds, Style::new()),
            Self::Coloured => write_plain(out, time, entry, bounds, style(entry.record.decision)),
        };
        // Writing to memory does not fail, and half a line is better than none.
        drop(written);
    }

    /// Appends the line that tells of records which there was no room for.
    pub(super) fn write_drops(
        self,
        lines: &mut Vec<u8>,
        now: Timestamp,
        drops: Drops,
        replica: Option<&str>,
    ) {
        let Drops { count, since } = drops;
        match self {
            Self::Json => write_object(lines, |line| {
                line.number("version", VERSION);
                line.display("time", format_args!("{now:.3}"));
                line.name("decision", DROPPED);
                line.number("count", count);
                line.display("since", format_args!("{since:.3}"));
                if let Some(replica) = replica {
                    line.text("replica", replica);
                }
            }),
            Self::Plain | Self::Coloured => {
                let style = if self == Self::Coloured { WARNING } else { Style::new() };
                let text = format!(
                    "{now:.3} {style}{DROPPED:<11}{style:#} {count} records since {since:.3}: the \
                     reader of this stream was too slow"
                );
                lines.extend_from_slice(text.as_bytes());
            }
        }
        lines.push(b'\n');
    }
}

/// The word in place of a decision in the line that tells of drops.
const DROPPED: &str = "dropped";

/// The largest lengths of the texts of a line.
#[derive(Clone, Copy)]
struct Bounds {
    text: usize,
    message: usize,
}

/// Returns as much of a text as fits.
fn fitting(text: &str, bytes: usize) -> Cow<'_, str> {
    if text.len() <= bytes {
        return Cow::Borrowed(text);
    }
    // One character more than fits: what is copied is not much longer than what stays.
    let head = text.get(..text.floor_char_boundary(bytes + 4)).unwrap_or_default();
    Cow::Owned(cut(head.to_owned(), bytes))
}

/// Writes the parts of a text, or as much of them as fits.
fn write_parts<const COUNT: usize>(
    line: &mut ObjectFields<'_>,
    key: &'static str,
    parts: [&str; COUNT],
    bytes: usize,
) {
    if parts.iter().map(|part| part.len()).sum::<usize>() <= bytes {
        line.parts(key, parts);
    } else {
        line.text(key, &cut(parts.map(|part| fitting(part, bytes)).concat(), bytes));
    }
}

fn write_json(out: &mut Vec<u8>, time: &str, entry: &RecordInContext<'_>, bounds: Bounds) {
    let RecordInContext { request, record, circumstances, replica } = *entry;
    let Circumstances { duration, is_authenticated, is_stale } = circumstances;
    let target = &request.target;
    let start = out.len();
    let text = |text| fitting(text, bounds.text);
    write_object(out, |line| {
        line.number("version", VERSION);
        line.text("time", time);
        line.text("uid", &text(&request.uid));
        line.name("decision", record.decision.as_str());
        line.name_or_null("rule", record.rule().map(RuleName::as_str));
        line.name_or_null("mode", record.mode.map(Mode::as_str));
        line.name("operation", target.operation.as_str());
        line.text("resource", &text(&target.resource));
        if !target.sub_resource.is_empty() {
            line.text("subResource", &text(&target.sub_resource));
        }
        line.text("namespace", &text(&target.namespace));
        write_parts(line, "name", request.name_parts(), bounds.text);
        if let Some(OwnerReference { kind, name, .. }) = request.controller() {
            write_parts(line, "owner", [kind.as_str(), "/", name], bounds.text);
        }
        line.text("user", &text(&request.user.name));
        if let Some(group) = &record.break_glass {
            line.texts("groups", [text(group)]);
        }
        line.text_or_null("pool", record.pool().map(text).as_deref());
        line.text_or_null("node", record.node().map(text).as_deref());
        line.text_or_null("field", record.field().map(text).as_deref());
        line.text_or_null("exempt", record.exemption.as_deref().map(text).as_deref());
        write_parts(line, "message", record.message_parts(), bounds.message);
        line.bool("dryRun", request.dry_run);
        line.number("durationMicros", u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
        line.bool("authenticated", is_authenticated);
        if let Some(replica) = replica {
            line.text("replica", replica);
        }
        if is_stale {
            line.bool("staleSnapshot", true);
        }
    });
    // All that is left of them is in texts: JSON asks for the escape of some of them only.
    escape_controls(out, start);
}

fn write_plain(
    out: &mut Vec<u8>,
    time: &str,
    entry: &RecordInContext<'_>,
    bounds: Bounds,
    style: Style,
) -> std::io::Result<()> {
    let RecordInContext { request, record, .. } = *entry;
    let decision = record.decision.as_str();
    let target = &request.target;
    let text = |text| fitting(text, bounds.text);
    let (operation, resource) = (target.operation.as_str(), text(&target.resource));
    write!(out, "{time} {style}{decision:<11}{style:#} ")?;
    let start = out.len();
    write!(out, "{operation} {resource}")?;
    if !target.sub_resource.is_empty() {
        write!(out, "/{}", text(&target.sub_resource))?;
    }
    if !request.user.name.is_empty() {
        write!(out, " by {}", text(&request.user.name))?;
    }
    write!(out, ": ")?;
    if let Some(rule) = record.rule() {
        write!(out, "[{rule}] ")?;
    }
    out.extend_from_slice(fitting(&record.message(), bounds.message).as_bytes());
    if let Some(reason) = &record.exemption {
        write!(out, " (exempt: {})", text(reason))?;
    }
    if request.dry_run {
        write!(out, " (dry run)")?;
    }
    // A request may have put them there: none reaches a terminal, or begins a line.
    escape_controls(out, start);
    Ok(())
}

const WARNING: Style = AnsiColor::Yellow.on_default().bold();

fn style(decision: Decision) -> Style {
    match decision {
        Decision::Deny | Decision::BreakGlass => AnsiColor::Red.on_default().bold(),
        Decision::Warn => WARNING,
        Decision::Patch => AnsiColor::Cyan.on_default(),
        Decision::Audit | Decision::Unknown | Decision::Exempt => Style::new().dimmed(),
    }
}
