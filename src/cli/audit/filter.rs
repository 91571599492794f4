//! The filters that select the records of a summary.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::record::{DECISIONS, Record};
use crate::{
    kubernetes::duration::parse_duration,
    kubernetes::name::{Glob, any_matches},
    policy::{mode::RuleName, verdict::Decision},
};

/// The flags that select records. If a flag has several values, a record must match one of them.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(super) struct Filters {
    /// Only records since this time (2026-11-23T18:00:00Z or 2026-11-23), or of this last period (90m, 2h, 7d)
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    since: Option<TimeFlag>,

    /// Only records before this time, in the form of --since: `2h` means older than 2 hours
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    until: Option<TimeFlag>,

    /// Only this rule; repeat the flag or use commas for several
    #[arg(
        long = "rule",
        value_name = "RULE",
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(RuleName::ALL.map(RuleName::as_str))
    )]
    rules: Vec<String>,

    /// Only this decision; repeat the flag or use commas for several. `deny`: denied. The other values mean that PoolGuard
    /// allowed the request: `audit` (only recorded), `unknown` (a fact was missing), `patch` (changed), `warn`, `exempt` and `break-glass`
    #[arg(
        long = "decision",
        value_name = "DECISION",
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(DECISIONS.map(Decision::as_str))
    )]
    decisions: Vec<String>,

    /// Only this namespace, or the namespaces that match a glob such as 'shop-*'; you can repeat it
    #[arg(short, long = "namespace", value_name = "NAMESPACE", value_parser = parse_glob)]
    namespaces: Vec<Glob>,

    /// Only this user, or the users that match a glob such as 'system:serviceaccount:*'; you can repeat it
    #[arg(long = "user", value_name = "USER", value_parser = parse_glob)]
    users: Vec<Glob>,
}

/// A point in time as a flag names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeFlag {
    At(Timestamp),
    Ago(Duration),
}

/// The filters with their times made absolute.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    filters: Filters,
    since: Timestamp,
    until: Timestamp,
}

impl Filters {
    pub(super) fn at(self, now: Timestamp) -> Filter {
        let at = |moment, otherwise| match moment {
            None => otherwise,
            Some(TimeFlag::At(at)) => at,
            Some(TimeFlag::Ago(ago)) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
        };
        let (since, until) = (at(self.since, Timestamp::MIN), at(self.until, Timestamp::MAX));
        Filter { filters: self, since, until }
    }
}

impl Filter {
    /// Whether a record matches the filters.
    pub(super) fn takes(&self, record: &Record<'_>) -> bool {
        let Filters { since: _, until: _, rules, decisions, namespaces, users } = &self.filters;
        let Record { time, decision, fields } = record;
        let rule = fields.rule.as_deref();
        (self.since..self.until).contains(time)
            && (rules.is_empty() || rules.iter().any(|it| Some(it.as_str()) == rule))
            && (decisions.is_empty() || decisions.iter().any(|it| it == decision.as_str()))
            && (namespaces.is_empty() || any_matches(namespaces, &fields.namespace))
            && (users.is_empty() || any_matches(users, &fields.user))
    }
}

fn parse_glob(text: &str) -> Result<Glob, &'static str> {
    Glob::parse(text)
}

const MOMENT: &str = "is not a time such as 2026-11-23T18:00:00Z, a day such as 2026-11-23, or a \
 duration such as 90m, 2h or 7d";

fn parse_moment(text: &str) -> Result<TimeFlag, &'static str> {
    if let Ok(at) = text.parse() {
        return Ok(TimeFlag::At(at));
    }
    if text.contains('-') {
        let day = text.parse::<Date>().and_then(|day| day.to_zoned(TimeZone::UTC));
        return day.map(|day| TimeFlag::At(day.timestamp())).map_err(|_| MOMENT);
    }
    let (days, rest) = text.split_once('d').unwrap_or(("0", text));
    let days: u64 = days.parse().map_err(|_| MOMENT)?;
    let days = days.checked_mul(24 * 3600).map(Duration::from_secs).ok_or(MOMENT)?;
    let rest = if rest.is_empty() && text.ends_with('d') { "0" } else { rest };
    let rest = parse_duration(rest).map_err(|_| MOMENT)?;
    days.checked_add(rest).map(TimeFlag::Ago).ok_or(MOMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_times_days_and_durations() {
        let at = |text: &str| Ok(TimeFlag::At(text.parse().unwrap()));
        let hours = |hours| Ok(TimeFlag::Ago(Duration::from_hours(hours)));
        for (text, expected) in [
            ("2026-11-23T18:00:00Z", at("2026-11-23T18:00:00Z")),
            ("2026-11-23T18:00:00+01:00", at("2026-11-23T17:00:00Z")),
            ("2026-11-23", at("2026-11-23T00:00:00Z")),
            ("2h", hours(2)),
            ("90m", Ok(TimeFlag::Ago(Duration::from_mins(90)))),
            ("7d", hours(168)),
            ("1d12h", hours(36)),
            ("0", hours(0)),
            ("", Err(MOMENT)),
            ("d", Err(MOMENT)),
            ("-2h", Err(MOMENT)),
            ("2", Err(MOMENT)),
            ("yesterday", Err(MOMENT)),
            ("2026-13-01", Err(MOMENT)),
            ("99999999999999999999d", Err(MOMENT)),
            ("9999999999999999d", Err(MOMENT)),
        ] {
            assert_eq!(parse_moment(text), expected, "{text}");
        }
    }
}
