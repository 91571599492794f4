//! An update of a protected object, field by field.

use std::collections::BTreeSet;

use jsonptr::PointerBuf;

use super::{
    Held,
    aws_auth::{self, harm},
    findings::About,
    items, subjects,
};
use crate::{
    kubernetes::object::{RawObject, RawValue, is_same},
    policy::{
        protection::{Field, FieldChange, GuardedFields, KeepItem, Protected, Recognition},
        verdict::{Decision, Finding, FindingCollector},
    },
};

impl About<'_, '_> {
    /// Judges the fields that an entry guards. `reported` has the fields that a finding names already.
    pub(super) fn judge_update(
        self,
        entry: &Protected,
        new: &RawObject<'_>,
        reported: &mut Vec<String>,
        report: &mut FindingCollector,
    ) {
        let old = self.objects.old;
        let mut findings = Vec::new();
        match &entry.guard {
            GuardedFields::Content => {
                let changed = content(old, new).filter(|field| self.is_changed(field, new));
                // More than that need not be named.
                findings.extend(changed.take(FIELDS_MAX).map(|field| self.change(&field)));
            }
            GuardedFields::Fields(guarded) => {
                for field in guarded {
                    self.judge_field(field, new, &mut findings, report);
                }
            }
        }
        // Without its label an object that only the label shows would lose its protection.
        let is_binding = matches!(entry.recognition, Recognition::AutoMqBinding { .. });
        if is_binding
            && !self.is_changed(subjects::SUBJECTS, new)
            && !entry.recognises(self.objects.context.policy, new, None)
        {
            findings.push(self.change("/metadata/labels"));
        }
        // What another entry has said of a field need not be said again.
        findings.retain(|finding| !reported.iter().any(|it| Some(it) == finding.field.as_ref()));
        reported.extend(findings.iter().filter_map(|finding| finding.field.clone()));
        for finding in findings {
            report.violation(self.objects.context.policy.rules.role_binding, finding);
        }
    }

    /// Creates the finding about the deletion of the object.
    pub(super) fn judge_deletion(self, entry: &Protected) -> Finding {
        let fields = match &entry.guard {
            GuardedFields::Content => &[],
            GuardedFields::Fields(fields) => fields.as_slice(),
        };
        let lost = fields.iter().find_map(|field| {
            let FieldChange::Items(kept) = &field.change else { return None };
            let (roles, _) = self.objects.roles(field.pointer.as_str(), kept);
            let old = self.objects.old_map_roles()?;
            roles.into_iter().find(|role| old.names(&role.value))
        });
        match lost {
            Some(role) => self.deletion_of_map_roles(&role.value),
            None => self.deletion(),
        }
    }

    /// Whether a value is another one. Subjects of a binding have no order.
    pub(super) fn is_changed(self, pointer: &str, new: &RawObject<'_>) -> bool {
        let (before, after) = (self.objects.old.at(pointer), new.at(pointer));
        if pointer == subjects::SUBJECTS
            && subjects::are_a_set(&self.objects.context.request.target)
        {
            let changed = &self.objects.are_subjects_changed;
            return *changed.get_or_init(|| !subjects::equal(before, after));
        }
        !is_same(before, after)
    }

    fn judge_field(
        self,
        field: &Field,
        new: &RawObject<'_>,
        findings: &mut Vec<Finding>,
        report: &mut FindingCollector,
    ) {
        let pointer = field.pointer.as_str();
        match &field.change {
            FieldChange::Any => {
                if self.is_changed(pointer, new) {
                    findings.push(self.change(pointer));
                }
            }
            FieldChange::OnceSet => {
                let before = set(self.objects.old, pointer);
                let after = set(new, pointer);
                if before.is_some() && !is_same(before, after) {
                    findings.push(self.loss(field, after.is_none()));
                }
            }
            FieldChange::Items(kept) => {
                let (roles, others) = self.objects.roles(pointer, kept);
                if !roles.is_empty() {
                    self.judge_roles(&roles, findings, report);
                }
                if !others.is_empty() {
                    self.judge_items(pointer, &others, new, findings, report);
                }
            }
        }
    }

    fn loss(self, field: &Field, is_lost: bool) -> Finding {
        let pointer = field.pointer.as_str();
        match field.pointer.tokens().last() {
            Some(key) if pointer.starts_with("/metadata/annotations/") => {
                self.annotation(pointer, &key.decoded(), is_lost)
            }
            _ => self.change(pointer),
        }
    }

    /// Judges the mappings of roles in `aws-auth`.
    fn judge_roles(
        self,
        roles: &[&KeepItem],
        findings: &mut Vec<Finding>,
        report: &mut FindingCollector,
    ) {
        let Some([old, new]) = &self.objects.map_roles else { return };
        let found = findings.len();
        for (index, role) in roles.iter().enumerate() {
            let key = aws_auth::key(&role.value);
            // A role with and without its path is one role.
            let is_again =
                roles.iter().take(index).any(|earlier| aws_auth::key(&earlier.value) == key);
            if !is_again && let Some(harm) = harm(&role.value, old, new) {
                findings.push(self.harm(&role.value, &harm));
            }
        }
        if findings.len() > found || old.is_same(new) {
            return;
        }
        let pointer = aws_auth::POINTER;
        match (old.unreadable(), new.unreadable()) {
            (Some(why), _) => report.note(Decision::Unknown, self.not_judged(pointer, why)),
            (None, Some(why)) if !old.is_empty() => findings.push(self.unreadable(pointer, why)),
            (None, _) => {}
        }
    }

    /// Judges the items of any other list.
    fn judge_items(
        self,
        pointer: &str,
        kept: &[&KeepItem],
        new: &RawObject<'_>,
        findings: &mut Vec<Finding>,
        report: &mut FindingCollector,
    ) {
        let before = Held::at(Some(self.objects.old), pointer);
        let after = Held::at(Some(new), pointer);
        match items::lost(kept, &before, &after) {
            Ok(lost) => findings.extend(lost.into_iter().map(|it| self.lost_item(pointer, it))),
            Err(items::Refused::New(why)) => findings.push(self.unreadable(pointer, &why.0)),
            Err(items::Refused::Old(why)) => {
                report.note(Decision::Unknown, self.not_judged(pointer, &why.0));
            }
        }
    }
}

/// The value at a pointer; the empty string is none.
pub(super) fn set<'v>(object: &RawObject<'v>, pointer: &str) -> Option<RawValue<'v>> {
    object.at(pointer).filter(|value| value.text().is_none_or(|text| !text.is_empty()))
}

/// The top-level fields of either object outside `metadata` and `status`, as pointers.
fn content(old: &RawObject<'_>, new: &RawObject<'_>) -> impl Iterator<Item = String> {
    const NOT_CONTENT: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];
    let mut keys: BTreeSet<&str> = old.keys().chain(new.keys()).collect();
    keys.retain(|key| !NOT_CONTENT.contains(key));
    let pointer = |key| PointerBuf::from_tokens([key]).to_string();
    keys.into_iter().map(pointer).collect::<Vec<_>>().into_iter()
}

const FIELDS_MAX: usize = 8;
