//! What is counted, in as much memory as there are different values, up to a limit.

use std::{cmp::Reverse, collections::BTreeMap, fmt::Write as _};

use clap::ValueEnum;
use jiff::Timestamp;

use super::{
    filter::Filter,
    record::{AuditFields, AuditLine, DECISIONS, Record, read},
    timeline::Timeline,
};
use crate::policy::verdict::Decision;

/// So many values of a dimension are told apart, and so many break-glass uses are kept: more than anybody
/// reads.
const VALUES_MAX: usize = 50_000;
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

/// Numbers of records by decision, and when they were.
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
    /// Values beyond the limit.
    beyond: Tally,
}

/// A record of a member of a break-glass group, as text of its own.
#[derive(Clone, Debug)]
pub(super) struct Use {
    pub(super) time: Timestamp,
    pub(super) uid: String,
    pub(super) user: String,
    pub(super) groups: String,
    pub(super) request: String,
    pub(super) rule: Option<String>,
    pub(super) message: String,
}

/// Lines that are no record that counts.
#[derive(Clone, Debug, Default)]
pub(super) struct LeftOut {
    pub(super) filtered: u64,
    pub(super) damaged: u64,
    /// The first damaged line, as `file:line`.
    pub(super) first_damaged: Option<String>,
    pub(super) newer: u64,
    pub(super) other: u64,
}

/// All that is known of the lines so far.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    pub(super) all: Tally,
    pub(super) groups: Vec<Groups>,
    pub(super) timeline: Timeline,
    pub(super) uses: Vec<Use>,
    pub(super) dry_runs: u64,
    /// Records that the stream itself says are missing.
    pub(super) dropped: u64,
    pub(super) left_out: LeftOut,
}

impl Summary {
    /// Of nothing yet: by one dimension, or by those that say most.
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
            self.uses.push(Use::of(record));
        }
    }

    /// The break-glass uses in the order of time. Records of one request stay together, in the order in which its rules
    /// wrote them.
    pub(super) fn uses_by_time(&self) -> Vec<&Use> {
        let mut starts: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for it in &self.uses {
            let start = starts.entry(&it.uid).or_insert(it.time);
            *start = it.time.min(*start);
        }
        let mut uses: Vec<&Use> = self.uses.iter().collect();
        uses.sort_by_key(|it| (starts.get(it.uid.as_str()).copied(), &it.uid));
        uses
    }

    /// How many lines of any kind were read, empty ones aside.
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

    /// Values and their tallies, those with the most denials first: one weighs more than any number of
    /// warnings.
    pub(super) fn ranked(&self) -> Vec<(&str, &Tally)> {
        let mut ranked: Vec<_> = self.tallies.iter().map(|(key, it)| (key.as_str(), it)).collect();
        ranked.sort_by_key(|(_, tally)| Reverse(tally.counts));
        if self.beyond.total() > 0 {
            ranked.push(("(others)", &self.beyond));
        }
        ranked
    }
}

/// Stands for what a record does not name.
const NONE: &str = "(none)";
/// Stands for the namespace of what has none.
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

    /// The first and the last.
    pub(super) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        self.span
    }

    /// The number of records that need attention.
    pub(super) fn attention(&self) -> u64 {
        DECISIONS.into_iter().filter(|it| !FINE.contains(it)).map(|it| self.of(it)).sum()
    }
}

/// Decisions that are as they should be.
pub(super) const FINE: [Decision; 2] = [Decision::Patch, Decision::Exempt];

/// Where [`DECISIONS`] has it.
pub(super) fn position(decision: Decision) -> usize {
    DECISIONS.iter().position(|it| *it == decision).unwrap_or(0)
}

impl Use {
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

/// `DELETE rolebindings automq/automq-nodepool`
fn request(fields: &AuditFields<'_>) -> String {
    let AuditFields { operation, resource, namespace, name, .. } = fields;
    let slash = if namespace.is_empty() { "" } else { "/" };
    format!("{operation} {resource} {namespace}{slash}{name}")
}
