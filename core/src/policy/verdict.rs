//! The result of a decision: the answer, its warnings and its records.

use std::{borrow::Cow, sync::Arc};

use json_patch::PatchOperation;

use super::mode::{Mode, RuleName};
use crate::json::text::{cut, has_controls, without_controls};

/// The answer to a request. A denial cannot carry a patch.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Allowed or denied.
    pub outcome: Outcome,
    /// The warnings to the client, one fact each, for allowed and denied requests.
    pub warnings: Vec<Arc<Finding>>,
    /// The records for the audit stream: every denial, warning, audit finding, patch, exemption and
    /// break-glass use.
    pub records: Vec<Record>,
}

/// Allowed or denied.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Allowed, with these operations on the raw object.
    Allow(Vec<PatchOperation>),
    /// Denied.
    Deny(Denials),
}

/// The reasons for a denial, at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Denials {
    first: Arc<Finding>,
    rest: Vec<Arc<Finding>>,
}

impl Denials {
    /// Every reason, in the order of the rules.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Finding>> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    /// The first reason.
    pub fn first(&self) -> &Finding {
        &self.first
    }
}

/// The finding of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: RuleName,
    /// The fact: what would happen, to which object, on which pool and node; without the rule's name.
    pub fact: String,
    /// The advice: what to do.
    pub advice: Option<String>,
    /// The exact field that matters, as a path.
    pub field: Option<String>,
    /// The pool concerned.
    pub pool: Option<Arc<str>>,
    /// The node concerned.
    pub node: Option<Arc<str>>,
}

/// The largest length of a warning, in bytes. The API server cuts a warning after 256 characters.
const WARNING_BYTES_MAX: usize = 256;

/// The largest length of a fact or an advice, in bytes.
const SENTENCE_BYTES_MAX: usize = 2_048;

/// The largest length of a field, and of the name of a pool or node, in bytes.
const NAME_BYTES_MAX: usize = 512;

impl Finding {
    /// Creates a finding with a rule and a fact only.
    pub fn new(rule: RuleName, fact: impl Into<String>) -> Self {
        Self { rule, fact: fact.into(), advice: None, field: None, pool: None, node: None }
    }

    /// Adds the advice.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Adds the field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds the pool.
    #[must_use]
    pub fn pool(mut self, pool: impl Into<Arc<str>>) -> Self {
        self.pool = Some(pool.into());
        self
    }

    /// Adds the node.
    #[must_use]
    pub fn node(mut self, node: impl Into<Arc<str>>) -> Self {
        self.node = Some(node.into());
        self
    }

    /// The finding as PoolGuard prints it: long texts are cut, and control characters are escaped.
    fn presentable(mut self) -> Self {
        let tame = |text: &mut String, bytes: usize| {
            if text.len() > bytes {
                *text = cut(std::mem::take(text), bytes);
            }
            if let Cow::Owned(escaped) = without_controls(text) {
                *text = escaped;
            }
        };
        tame(&mut self.fact, SENTENCE_BYTES_MAX);
        self.advice.iter_mut().for_each(|advice| tame(advice, SENTENCE_BYTES_MAX));
        self.field.iter_mut().for_each(|field| tame(field, NAME_BYTES_MAX));
        for name in [&mut self.pool, &mut self.node].into_iter().flatten() {
            if name.len() > NAME_BYTES_MAX || has_controls(name) {
                let mut text = name.to_string();
                tame(&mut text, NAME_BYTES_MAX);
                *name = text.into();
            }
        }
        self
    }

    /// Returns `fact. advice`.
    pub fn message(&self) -> String {
        self.message_parts().concat()
    }

    /// Returns `[rule] fact. advice`, as a client sees a denial.
    pub fn denial(&self) -> String {
        self.denial_parts().concat()
    }

    /// The parts of [`Self::message`].
    pub fn message_parts(&self) -> [&str; 3] {
        let (stop, advice) = self.advice.as_deref().map_or(("", ""), |advice| (". ", advice));
        [&self.fact, stop, advice]
    }

    /// The parts of [`Self::denial`].
    pub fn denial_parts(&self) -> [&str; 6] {
        let [fact, stop, advice] = self.message_parts();
        ["[", self.rule.as_str(), "] ", fact, stop, advice]
    }

    /// Returns the text of [`Self::denial`] as warnings. A text that the API server would cut is several
    /// warnings: the fact, and the advice or each of its sentences.
    pub fn warning_texts(&self) -> Vec<String> {
        let whole = self.denial();
        if whole.len() <= WARNING_BYTES_MAX {
            return vec![whole];
        }
        let text = |part: &str| format!("[{}] {part}", self.rule);
        let mut texts = vec![text(&self.fact)];
        let advice = self.advice.as_deref().unwrap_or_default();
        match text(advice) {
            _ if advice.is_empty() => {}
            one if one.len() <= WARNING_BYTES_MAX => texts.push(one),
            _ => texts.extend(advice.split(". ").map(text)),
        }
        texts.into_iter().map(|text| cut(text, WARNING_BYTES_MAX)).collect()
    }
}

/// The record of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The decision itself.
    pub decision: Decision,
    /// The mode of the rule, where a mode decided.
    pub mode: Option<Mode>,
    /// The finding that the decision is about; `None` for a break-glass request that no rule would have denied.
    pub finding: Option<Arc<Finding>>,
    /// The reason of the exemption that was used.
    pub exemption: Option<String>,
    /// The break-glass group that passed.
    pub break_glass: Option<String>,
}

impl Record {
    /// The rule.
    pub fn rule(&self) -> Option<RuleName> {
        self.finding.as_ref().map(|finding| finding.rule)
    }

    /// The exact field that matters, as a path.
    pub fn field(&self) -> Option<&str> {
        self.finding.as_ref()?.field.as_deref()
    }

    /// The pool concerned.
    pub fn pool(&self) -> Option<&str> {
        self.finding.as_ref()?.pool.as_deref()
    }

    /// The node concerned.
    pub fn node(&self) -> Option<&str> {
        self.finding.as_ref()?.node.as_deref()
    }

    /// The message of the record, for people.
    pub fn message(&self) -> String {
        self.message_parts().concat()
    }

    /// The parts of [`Self::message`].
    pub fn message_parts(&self) -> [&str; 6] {
        let [who, group, passes] = match (&self.break_glass, &self.finding) {
            (None, _) => [""; 3],
            (Some(group), Some(_)) => [
                "A member of the break-glass group ",
                group,
                " sent this request, so PoolGuard allows it. Otherwise PoolGuard would have denied it: ",
            ],
            (Some(group), None) => [
                "A member of the break-glass group ",
                group,
                " sent this request. No rule would have denied it",
            ],
        };
        let finding = self.finding.as_ref();
        let [fact, stop, advice] = finding.map_or([""; 3], |finding| finding.message_parts());
        [who, group, passes, fact, stop, advice]
    }
}

/// The decision about a request, for records, annotations and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// Allowed and recorded, without a warning to the client.
    Audit,
    /// Allowed: a fact that would decide is not known.
    Unknown,
    /// Allowed: the pod is exempt.
    Exempt,
    /// Allowed, and changed.
    Patch,
    /// Allowed, and the client was warned.
    Warn,
    /// Allowed: a member of a break-glass group asked.
    BreakGlass,
    /// Denied.
    Deny,
}

impl Decision {
    /// The name of the decision as records, annotations and metrics spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Unknown => "unknown",
            Self::Exempt => "exempt",
            Self::Patch => "patch",
            Self::Warn => "warn",
            Self::BreakGlass => "break-glass",
            Self::Deny => "deny",
        }
    }
}

impl Verdict {
    /// Whether the request is allowed.
    pub fn is_allowed(&self) -> bool {
        matches!(self.outcome, Outcome::Allow(_))
    }

    /// The record that says most about the request.
    pub fn gravest(&self) -> Option<&Record> {
        // The first of equals, so that a denial is explained by its first reason.
        self.records.iter().rev().max_by_key(|record| record.decision)
    }
}

/// Collects what rules find, and turns it into a verdict.
#[derive(Debug, Default)]
pub(in crate::policy) struct FindingCollector {
    denials: Vec<Arc<Finding>>,
    warnings: Vec<Arc<Finding>>,
    records: Vec<Record>,
    patch: Vec<PatchOperation>,
}

impl FindingCollector {
    /// Adds a violation, with the consequence that the mode asks for.
    pub(in crate::policy) fn violation(&mut self, mode: Mode, finding: Finding) {
        let finding = Arc::new(finding.presentable());
        let decision = match mode {
            Mode::Off => return,
            Mode::Audit => Decision::Audit,
            Mode::Warn => {
                self.warnings.push(Arc::clone(&finding));
                Decision::Warn
            }
            Mode::Enforce => {
                self.denials.push(Arc::clone(&finding));
                Decision::Deny
            }
        };
        self.record(decision, Some(mode), finding);
    }

    /// Adds a record that the client need not know.
    pub(in crate::policy) fn note(&mut self, decision: Decision, finding: Finding) {
        self.record(decision, None, Arc::new(finding.presentable()));
    }

    /// Adds the record of an exemption that made a difference.
    pub(in crate::policy) fn exempt(&mut self, reason: &str, finding: Finding) {
        self.records.push(Record {
            decision: Decision::Exempt,
            mode: None,
            finding: Some(Arc::new(finding.presentable())),
            exemption: Some(reason.to_owned()),
            break_glass: None,
        });
    }

    /// Adds operations on the raw object, and their record.
    pub(in crate::policy) fn patch(
        &mut self,
        operations: impl IntoIterator<Item = PatchOperation>,
        finding: Finding,
    ) {
        self.patch.extend(operations);
        self.record(Decision::Patch, Some(Mode::Enforce), Arc::new(finding.presentable()));
    }

    fn record(&mut self, decision: Decision, mode: Option<Mode>, finding: Arc<Finding>) {
        let finding = Some(finding);
        self.records.push(Record { decision, mode, finding, exemption: None, break_glass: None });
    }

    /// Lets the request pass: what would have been denied is recorded as such.
    pub(in crate::policy) fn break_glass(&mut self, group: &str) {
        let denials = std::mem::take(&mut self.denials);
        for record in &mut self.records {
            if record.decision == Decision::Deny {
                record.decision = Decision::BreakGlass;
                record.break_glass = Some(group.to_owned());
            }
        }
        if denials.is_empty() {
            self.records.push(Record {
                decision: Decision::BreakGlass,
                mode: None,
                finding: None,
                exemption: None,
                break_glass: Some(group.to_owned()),
            });
        }
    }

    /// Takes over the denials of another collector, and nothing else.
    pub(in crate::policy) fn take_denials(&mut self, other: Self) {
        self.denials.extend(other.denials);
        let is_denial = |record: &Record| record.decision == Decision::Deny;
        self.records.extend(other.records.into_iter().filter(is_denial));
    }

    /// Whether the request is denied so far.
    pub(in crate::policy) fn denies(&self) -> bool {
        !self.denials.is_empty()
    }

    pub(in crate::policy) fn into_verdict(self) -> Verdict {
        let Self { denials, warnings, records, patch } = self;
        let mut denials = denials.into_iter();
        let outcome = match denials.next() {
            Some(first) => Outcome::Deny(Denials { first, rest: denials.collect() }),
            None => Outcome::Allow(patch),
        };
        Verdict { outcome, warnings, records }
    }
}
