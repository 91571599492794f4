//! The summary as JSON, for machines.

use serde_json::{Map, Value, json};

use super::{
    record::{DECISIONS, position},
    tally::{BreakGlassUse, Dimension, Groups, LeftOut, Summary, Tally},
    timeline::Columns,
};
use crate::json::text::without_controls;

/// The largest number of columns of the timeline.
const COLUMNS: usize = 100;

/// Renders the summary as one JSON object. `top` limits the values of each dimension.
pub(super) fn render(summary: &Summary, top: Option<usize>) -> Result<String, serde_json::Error> {
    let Summary { all, groups, timeline, uses: _, dry_runs, dropped, left_out } = summary;
    let LeftOut { filtered, damaged, first_damaged, newer, other } = left_out;
    let by: Map<String, Value> =
        groups.iter().map(|it| (name(it.dimension).to_owned(), values(it, top))).collect();
    let timeline = timeline.columns(COLUMNS).map(|Columns { start, seconds, counts }| {
        let time = |index: usize| {
            let at = i64::try_from(index).unwrap_or(0) * seconds + start;
            jiff::Timestamp::from_second(at).map(|time| time.to_string()).ok()
        };
        let columns = counts.iter().enumerate().filter(|(_, it)| it.iter().any(|count| *count > 0));
        let columns = columns.map(|(index, counts)| {
            let of = |decision| counts.get(position(decision)).copied().unwrap_or(0);
            let counted = DECISIONS.into_iter().filter(|it| of(*it) > 0);
            let counts: Map<_, _> =
                counted.map(|it| (it.as_str().to_owned(), of(it).into())).collect();
            json!({"time": time(index), "decisions": counts})
        });
        json!({"seconds": seconds, "columns": columns.collect::<Vec<_>>()})
    });
    let uses = summary.uses_by_time();
    let uses = uses.into_iter().map(
        |BreakGlassUse { time, uid, user, groups, request, rule, message }| {
            json!({
                "time": time.to_string(),
                "uid": uid,
                "user": user,
                "groups": groups,
                "request": request,
                "rule": rule,
                "message": message,
            })
        },
    );
    let mut text = tally(all);
    let fields = json!({
        "dryRuns": dry_runs,
        "dropped": dropped,
        "leftOut": {
            "filtered": filtered,
            "damaged": damaged,
            "firstDamaged": first_damaged,
            "newer": newer,
            "other": other,
        },
        "by": by,
        "breakGlass": uses.collect::<Vec<_>>(),
        "timeline": timeline,
    });
    if let (Value::Object(text), Value::Object(fields)) = (&mut text, fields) {
        text.extend(fields);
    }
    let text = serde_json::to_string_pretty(&text)?;
    // What is left of control characters between its lines is in strings, where escapes mean the same.
    Ok(text.lines().map(without_controls).collect::<Vec<_>>().join("\n"))
}

fn values(groups: &Groups, top: Option<usize>) -> Value {
    let ranked = groups.ranked().into_iter().take(top.unwrap_or(usize::MAX));
    ranked
        .map(|(key, it)| {
            let mut value = tally(it);
            value["value"] = key.into();
            value
        })
        .collect()
}

fn tally(tally: &Tally) -> Value {
    let known = DECISIONS.into_iter().filter(|it| tally.of(*it) > 0);
    let decisions: Map<_, _> =
        known.map(|it| (it.as_str().to_owned(), tally.of(it).into())).collect();
    let (first, last) = tally.span().unzip();
    json!({
        "records": tally.total(),
        "decisions": decisions,
        "first": first.map(|it| it.to_string()),
        "last": last.map(|it| it.to_string()),
    })
}

fn name(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Rule => "rule",
        Dimension::Namespace => "namespace",
        Dimension::User => "user",
        Dimension::Owner => "owner",
        Dimension::Pool => "pool",
        Dimension::Node => "node",
        Dimension::Decision => "decision",
    }
}
