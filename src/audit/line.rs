//! A record as a line.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use serde::Serialize;

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
    message: &'a str,
    dry_run: bool,
}

/// Most lines are shorter.
const LINE_BYTES: usize = 1024;

impl Format {
    pub(super) fn line(self, request: &Request<'_>, record: &Record) -> Vec<u8> {
        let mut line = Vec::with_capacity(LINE_BYTES);
        let time = format!("{:.3}", Timestamp::now());
        let written = match self {
            Self::Json => {
                let line_json = Line::new(&time, request, record);
                serde_json::to_writer(&mut line, &line_json).map_err(Into::into)
            }
            Self::Plain => write_plain(&mut line, &time, request, record, Style::new()),
            Self::Coloured => {
                let style = style(record.decision);
                write_plain(&mut line, &time, request, record, style)
            }
        };
        // Writing to memory does not fail, and half a line is better than none.
        drop(written);
        line.push(b'\n');
        line
    }
}

impl<'a> Line<'a> {
    fn new(time: &'a str, request: &'a Request<'_>, record: &'a Record) -> Self {
        let Record { decision, rule, mode, message, field, pool, node, exemption } = record;
        let target = &request.target;
        Self {
            time,
            uid: &request.uid,
            decision: decision.as_str(),
            rule: rule.map(RuleName::as_str),
            mode: mode.map(Mode::as_str),
            operation: target.operation.as_str(),
            resource: &target.resource,
            sub_resource: &target.sub_resource,
            namespace: &target.namespace,
            name: &target.name,
            user: &request.user.name,
            pool: pool.as_deref(),
            node: node.as_deref(),
            field: field.as_deref(),
            exempt: exemption.as_deref(),
            message,
            dry_run: request.dry_run,
        }
    }
}

fn write_plain(
    out: &mut Vec<u8>,
    time: &str,
    request: &Request<'_>,
    record: &Record,
    style: Style,
) -> std::io::Result<()> {
    let rule = record.rule.map(|rule| format!("[{rule}] ")).unwrap_or_default();
    let decision = record.decision.as_str();
    let target = &request.target;
    let (operation, resource) = (target.operation.as_str(), target.full_resource());
    write!(out, "{time} {style}{decision:<11}{style:#} {operation} {resource}")?;
    write!(out, " by {}: {rule}", request.user.name)?;
    write_visible(out, &record.message)?;
    if let Some(reason) = &record.exemption {
        write!(out, " (exempt: {reason})")?;
    }
    if request.dry_run { write!(out, " (dry run)") } else { Ok(()) }
}

/// Writes text whose control characters, which a request may have put there, reach no terminal.
fn write_visible(out: &mut Vec<u8>, text: &str) -> std::io::Result<()> {
    if !text.contains(char::is_control) {
        return out.write_all(text.as_bytes());
    }
    text.chars().try_for_each(|character| {
        if character.is_control() {
            write!(out, "{}", character.escape_default())
        } else {
            write!(out, "{character}")
        }
    })
}

fn style(decision: Decision) -> Style {
    match decision {
        Decision::Deny | Decision::BreakGlass => AnsiColor::Red.on_default().bold(),
        Decision::Warn => AnsiColor::Yellow.on_default().bold(),
        Decision::Patch => AnsiColor::Cyan.on_default(),
        Decision::Audit | Decision::Unknown | Decision::Exempt => Style::new().dimmed(),
    }
}
