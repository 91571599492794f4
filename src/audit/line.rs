//! A record as a line.

use std::{io::Write, time::Duration};

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;

use super::queue::Drops;
use crate::policy::{
    json::write_object,
    mode::{Mode, RuleName},
    object::OwnerReference,
    request::Request,
    verdict::{Decision, Record},
};

/// What lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For machines: one JSON object a line.
    Json,
    /// For people, without colours.
    Plain,
    /// For people at a terminal.
    Coloured,
}

/// The version of the lines: fields are added within one, and neither change nor go.
pub const VERSION: u16 = 1;

/// A record with what is known of its request.
#[derive(Clone, Copy)]
pub(super) struct Entry<'e> {
    pub(super) request: &'e Request<'e>,
    pub(super) record: &'e Record,
    /// From the request's arrival to the decision.
    pub(super) duration: Duration,
    pub(super) replica: Option<&'e str>,
    pub(super) is_stale: bool,
}

impl Format {
    /// Appends the line of a record.
    pub(super) fn write(self, lines: &mut Vec<u8>, time: &str, entry: &Entry<'_>) {
        let written = match self {
            Self::Json => {
                write_json(lines, time, entry);
                Ok(())
            }
            Self::Plain => write_plain(lines, time, entry, Style::new()),
            Self::Coloured => write_plain(lines, time, entry, style(entry.record.decision)),
        };
        // Writing to memory does not fail, and half a line is better than none.
        drop(written);
        lines.push(b'\n');
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
                    "{now:.3} {style}{DROPPED:<11}{style:#} {count} records since {since:.3}: nobody took them in time"
                );
                lines.extend_from_slice(text.as_bytes());
            }
        }
        lines.push(b'\n');
    }
}

/// What stands for a decision in the line that tells of drops.
const DROPPED: &str = "dropped";

fn write_json(out: &mut Vec<u8>, time: &str, entry: &Entry<'_>) {
    let Entry { request, record, duration, replica, is_stale } = *entry;
    let target = &request.target;
    write_object(out, |line| {
        line.number("version", VERSION);
        line.text("time", time);
        line.text("uid", &request.uid);
        line.name("decision", record.decision.as_str());
        line.name_or_null("rule", record.rule().map(RuleName::as_str));
        line.name_or_null("mode", record.mode.map(Mode::as_str));
        line.name("operation", target.operation.as_str());
        line.text("resource", &target.resource);
        if !target.sub_resource.is_empty() {
            line.text("subResource", &target.sub_resource);
        }
        line.text("namespace", &target.namespace);
        line.parts("name", request.name_parts());
        if let Some(OwnerReference { kind, name, .. }) = request.controller() {
            line.parts("owner", [kind.as_str(), "/", name]);
        }
        line.text("user", &request.user.name);
        if let Some(group) = &record.break_glass {
            line.texts("groups", [group]);
        }
        line.text_or_null("pool", record.pool());
        line.text_or_null("node", record.node());
        line.text_or_null("field", record.field());
        line.text_or_null("exempt", record.exemption.as_deref());
        line.parts("message", record.message_parts());
        line.bool("dryRun", request.dry_run);
        line.number("durationMicros", u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
        if let Some(replica) = replica {
            line.text("replica", replica);
        }
        if is_stale {
            line.bool("staleSnapshot", true);
        }
    });
}

fn write_plain(
    out: &mut Vec<u8>,
    time: &str,
    entry: &Entry<'_>,
    style: Style,
) -> std::io::Result<()> {
    let Entry { request, record, .. } = *entry;
    let decision = record.decision.as_str();
    let target = &request.target;
    let (operation, resource) = (target.operation.as_str(), &target.resource);
    write!(out, "{time} {style}{decision:<11}{style:#} {operation} {resource}")?;
    if !target.sub_resource.is_empty() {
        write!(out, "/{}", target.sub_resource)?;
    }
    write!(out, " by {}: ", request.user.name)?;
    if let Some(rule) = record.rule() {
        write!(out, "[{rule}] ")?;
    }
    let start = out.len();
    out.extend_from_slice(record.message().as_bytes());
    escape_controls(out, start);
    if let Some(reason) = &record.exemption {
        write!(out, " (exempt: {reason})")?;
    }
    if request.dry_run { write!(out, " (dry run)") } else { Ok(()) }
}

/// Escapes control characters, which a request may have put there, so that none reaches a terminal.
fn escape_controls(out: &mut Vec<u8>, start: usize) {
    let is_control = |byte: &u8| byte.is_ascii_control();
    if !out.get(start..).is_some_and(|text| text.iter().any(is_control)) {
        return;
    }
    for byte in out.split_off(start) {
        if byte.is_ascii_control() {
            out.extend(byte.escape_ascii());
        } else {
            out.push(byte);
        }
    }
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
