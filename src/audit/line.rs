//! A record as a line.

use std::io::Write;

use anstyle::{AnsiColor, Style};

use crate::policy::{
    json::write_object,
    mode::{Mode, RuleName},
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

impl Format {
    /// Appends the line of a record.
    pub(super) fn write(
        self,
        lines: &mut Vec<u8>,
        time: &str,
        request: &Request<'_>,
        record: &Record,
        is_stale: bool,
    ) {
        let written = match self {
            Self::Json => {
                write_json(lines, time, request, record, is_stale);
                Ok(())
            }
            Self::Plain => write_plain(lines, time, request, record, Style::new()),
            Self::Coloured => write_plain(lines, time, request, record, style(record.decision)),
        };
        // Writing to memory does not fail, and half a line is better than none.
        drop(written);
        lines.push(b'\n');
    }
}

fn write_json(
    out: &mut Vec<u8>,
    time: &str,
    request: &Request<'_>,
    record: &Record,
    is_stale: bool,
) {
    let target = &request.target;
    write_object(out, |line| {
        line.text("time", time);
        line.text("uid", &request.uid);
        line.text("decision", record.decision.as_str());
        line.text_or_null("rule", record.rule().map(RuleName::as_str));
        line.text_or_null("mode", record.mode.map(Mode::as_str));
        line.text("operation", target.operation.as_str());
        line.text("resource", &target.resource);
        if !target.sub_resource.is_empty() {
            line.text("subResource", &target.sub_resource);
        }
        line.text("namespace", &target.namespace);
        line.text("name", &target.name);
        line.text("user", &request.user.name);
        line.text_or_null("pool", record.pool());
        line.text_or_null("node", record.node());
        line.text_or_null("field", record.field());
        line.text_or_null("exempt", record.exemption.as_deref());
        line.display("message", record.message());
        line.bool("dryRun", request.dry_run);
        if is_stale {
            line.bool("staleSnapshot", true);
        }
    });
}

fn write_plain(
    out: &mut Vec<u8>,
    time: &str,
    request: &Request<'_>,
    record: &Record,
    style: Style,
) -> std::io::Result<()> {
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
    write!(out, "{}", record.message())?;
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

fn style(decision: Decision) -> Style {
    match decision {
        Decision::Deny | Decision::BreakGlass => AnsiColor::Red.on_default().bold(),
        Decision::Warn => AnsiColor::Yellow.on_default().bold(),
        Decision::Patch => AnsiColor::Cyan.on_default(),
        Decision::Audit | Decision::Unknown | Decision::Exempt => Style::new().dimmed(),
    }
}
