//! The tallies of records. They take as much memory as there are different values, up to a limit.

use std::{cmp::Reverse, collections::BTreeMap, fmt::Write as _};

use clap::ValueEnum;
use jiff::Timestamp;

use super::{
    filter::Filter,
    record::{AuditFields, AuditLine, DECISIONS, Record, position, read},
    timeline::Timeline,
};
use crate::policy::verdict::Decision;

/// The largest number of values of a dimension that get a tally of their own: more than anybody reads.
const VALUES_MAX: usize = 50_000;
/// The largest number of break-glass uses that are kept: more than anybody reads.
const USES_MAX: usize = 1_000;

/// What records can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Dimension {
    /// The rule
    Rule,
    /// The namespace of the request
    Namespace,
    /// The user of the request
    User,
    /// The controller of the object
    Owner,
    /// The pool
    Pool,
    /// The node
    Node,
    /// The decision
    Decision,
}

/// The numbers of records by decision, and the times of the first and the last record.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    counts: [u64; DECISIONS.len()],
    span: Option<(Timestamp, Timestamp)>,
}

/// The tallies of a dimension.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    pub(super) dimension: Dimension,
    tallies: BTreeMap<String, Tally>,
    /// The tally of all values beyond the limit.
    beyond: Tally,
}

/// A record of a member of a break-glass group, as owned text.
#[derive(Clone, Debug)]
pub(super) struct BreakGlassUse {
    pub(super) time: Timestamp,
    pub(super) uid: String,
    pub(super) user: String,
    pub(super) groups: String,
    pub(super) request: String,
    pub(super) rule: Option<String>,
    pub(super) message: String,
}

/// The numbers of lines that the tallies do not count.
#[derive(Clone, Debug, Default)]
pub(super) struct LeftOut {
    pub(super) filtered: u64,
    pub(super) damaged: u64,
    /// The first damaged line, as `file:line`.
    pub(super) first_damaged: Option<String>,
    pub(super) newer: u64,
    pub(super) other: u64,
}

/// The summary of the lines that have been read so far.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    pub(super) all: Tally,
    pub(super) groups: Vec<Groups>,
    pub(super) timeline: Timeline,
    pub(super) uses: Vec<BreakGlassUse>,
    pub(super) dry_runs: u64,
    /// Records that the stream itself says are missing.
    pub(super) dropped: u64,
    pub(super) left_out: LeftOut,
}

impl Summary {
    /// Creates an empty summary by one dimension, or by the four dimensions that say most.
    pub(super) fn new(by: Option<Dimension>) -> Self {
        use Dimension::{Namespace, Owner, Rule, User};
        let dimensions = by.map_or_else(|| vec![Rule, Namespace, User, Owner], |by| vec![by]);
        Self {
            all: Tally::default(),
            groups: dimensions.into_iter().map(Groups::new).collect(),
            timeline: Timeline::default(),
            uses: Vec::new(),
            dry_runs: 0,
            dropped: 0,
            left_out: LeftOut::default(),
        }
    }

    /// Counts a line.
    pub(super) fn take(&mut self, file: &str, number: u64, line: &[u8], filter: &Filter) {
        let left_out = &mut self.left_out;
        match read(line) {
            AuditLine::Record(record) if filter.takes(&record) => self.count(&record),
            AuditLine::Record(_) => left_out.filtered += 1,
            AuditLine::Dropped(count) => self.dropped = self.dropped.saturating_add(count),
            AuditLine::Newer => left_out.newer += 1,
            AuditLine::Other => left_out.other += 1,
            AuditLine::Blank => {}
            AuditLine::Damaged => {
                left_out.damaged += 1;
                left_out.first_damaged.get_or_insert_with(|| format!("{file}:{number}"));
            }
        }
    }

    fn count(&mut self, record: &Record<'_>) {
        let Record { time, decision, fields } = record;
        self.all.add(*time, *decision);
        self.timeline.add(*time, *decision);
        self.dry_runs += u64::from(fields.dry_run);
        for groups in &mut self.groups {
            groups.add(record);
        }
        if *decision == Decision::BreakGlass && self.uses.len() < USES_MAX {
            self.uses.push(BreakGlassUse::of(record));
        }
    }

    /// The break-glass uses in the order of time. Records of one request stay together, in the order in which its rules
    /// wrote them.
    pub(super) fn uses_by_time(&self) -> Vec<&BreakGlassUse> {
        let mut starts: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for it in &self.uses {
            let start = starts.entry(&it.uid).or_insert(it.time);
            *start = it.time.min(*start);
        }
        let mut uses: Vec<&BreakGlassUse> = self.uses.iter().collect();
        uses.sort_by_key(|it| (starts.get(it.uid.as_str()).copied(), &it.uid));
        uses
    }

    /// Returns the number of lines that were read, except empty lines and notes about missing records.
    pub(super) fn lines(&self) -> u64 {
        let LeftOut { filtered, damaged, first_damaged: _, newer, other } = &self.left_out;
        self.all.total() + filtered + damaged + newer + other
    }
}

impl Groups {
    fn new(dimension: Dimension) -> Self {
        Self { dimension, tallies: BTreeMap::new(), beyond: Tally::default() }
    }

    fn add(&mut self, record: &Record<'_>) {
        let Record { time, decision, fields } = record;
        let mut owner = String::new();
        let key = match self.dimension {
            Dimension::Rule => fields.rule.as_deref().unwrap_or(NONE),
            Dimension::Namespace if fields.namespace.is_empty() => CLUSTER,
            Dimension::Namespace => &fields.namespace,
            Dimension::User => &fields.user,
            Dimension::Owner => {
                // What has no controller is nobody's who would try again.
                let Some((kind, name)) = fields.owner.as_deref().and_then(|it| it.split_once('/'))
                else {
                    return;
                };
                // Writing to a string does not fail.
                let _ = write!(owner, "{kind} {}/{name}", fields.namespace);
                &owner
            }
            Dimension::Pool => fields.pool.as_deref().unwrap_or(NONE),
            Dimension::Node => fields.node.as_deref().unwrap_or(NONE),
            Dimension::Decision => decision.as_str(),
        };
        let tally = if let Some(tally) = self.tallies.get_mut(key) {
            tally
        } else if self.tallies.len() < VALUES_MAX {
            self.tallies.entry(key.to_owned()).or_default()
        } else {
            &mut self.beyond
        };
        tally.add(*time, *decision);
    }

    /// Returns the values with their tallies, those with the most denials first: one denial weighs more than
    /// any number of warnings.
    pub(super) fn ranked(&self) -> Vec<(&str, &Tally)> {
        let mut ranked: Vec<_> = self.tallies.iter().map(|(key, it)| (key.as_str(), it)).collect();
        ranked.sort_by_key(|(_, tally)| Reverse(tally.counts));
        if self.beyond.total() > 0 {
            ranked.push(("(others)", &self.beyond));
        }
        ranked
    }
}

/// The value of a record that does not name one.
const NONE: &str = "(none)";
/// The value in place of the namespace for a record without a namespace.
const CLUSTER: &str = "(cluster)";

impl Tally {
    fn add(&mut self, time: Timestamp, decision: Decision) {
        if let Some(count) = self.counts.get_mut(position(decision)) {
            *count += 1;
        }
        let (first, last) = self.span.unwrap_or((time, time));
        self.span = Some((first.min(time), last.max(time)));
    }

    pub(super) fn of(&self, decision: Decision) -> u64 {
        self.counts.get(position(decision)).copied().unwrap_or(0)
    }

    pub(super) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the times of the first and the last record.
    pub(super) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        self.span
    }

    /// The number of records that need attention.
    pub(super) fn attention(&self) -> u64 {
        DECISIONS.into_iter().filter(|it| !FINE.contains(it)).map(|it| self.of(it)).sum()
    }
}

/// The decisions that need no attention.
pub(super) const FINE: [Decision; 2] = [Decision::Patch, Decision::Exempt];

impl BreakGlassUse {
    fn of(record: &Record<'_>) -> Self {
        let Record { time, decision: _, fields } = record;
        Self {
            time: *time,
            uid: fields.uid.to_string(),
            user: fields.user.to_string(),
            groups: fields.groups.join(", "),
            request: request(fields),
            rule: fields.rule.as_deref().map(str::to_owned),
            message: fields.message.to_string(),
        }
    }
}

/// Returns the request of a record as text, for example `DELETE rolebindings automq/automq-nodepool`.
fn request(fields: &AuditFields<'_>) -> String {
    let AuditFields { operation, resource, namespace, name, .. } = fields;
    let slash = if namespace.is_empty() { "" } else { "/" };
    format!("{operation} {resource} {namespace}{slash}{name}")
}
