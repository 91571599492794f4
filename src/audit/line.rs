//! A record as a line.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use serde::{Serialize, Serializer};

use crate::policy::{
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    time: &'a str,
    uid: &'a str,
    decision: &'static str,
    rule: Option<&'static str>,
    mode: Option<&'static str>,
    operation: &'static str,
    resource: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    sub_resource: &'a str,
    namespace: &'a str,
    name: &'a str,
    user: &'a str,
    pool: Option<&'a str>,
    node: Option<&'a str>,
    field: Option<&'a str>,
    exempt: Option<&'a str>,
    #[serde(serialize_with = "message")]
    message: &'a Record,
    dry_run: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale_snapshot: bool,
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
                let line = Line::new(time, request, record, is_stale);
                serde_json::to_writer(&mut *lines, &line).map_err(Into::into)
            }
            Self::Plain => write_plain(lines, time, request, record, Style::new()),
            Self::Coloured => write_plain(lines, time, request, record, style(record.decision)),
        };
        // Writing to memory does not fail, and half a line is better than none.
        drop(written);
        lines.push(b'\n');
    }
}

impl<'a> Line<'a> {
    fn new(time: &'a str, request: &'a Request<'_>, record: &'a Record, is_stale: bool) -> Self {
        let target = &request.target;
        Self {
            time,
            uid: &request.uid,
            decision: record.decision.as_str(),
            rule: record.rule().map(RuleName::as_str),
            mode: record.mode.map(Mode::as_str),
            operation: target.operation.as_str(),
            resource: &target.resource,
            sub_resource: &target.sub_resource,
            namespace: &target.namespace,
            name: &target.name,
            user: &request.user.name,
            pool: record.pool(),
            node: record.node(),
            field: record.field(),
            exempt: record.exemption.as_deref(),
            message: record,
            dry_run: request.dry_run,
            stale_snapshot: is_stale,
        }
    }
}

fn message<S: Serializer>(record: &Record, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&record.message())
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
