//! The comparison of the result of an input of `review`.

use std::collections::BTreeSet;

use json_patch::PatchOperation;

use super::{Difference, SearchedText, excerpt, with_texts, without_texts};
use crate::{
    cli::{
        review::{Reviewed, Reviews, UnreadableFile},
        test::raw::{ExpectedDecision, ExpectedResult},
    },
    policy::{mode::RuleName, verdict::Record},
};

/// Adds the differences in the result of one input.
pub(super) fn compare(
    name: &str,
    expected: &ExpectedResult,
    reviews: &Reviews,
    differences: &mut Vec<Difference>,
) {
    let wanted = shown(expected.decision, expected.rule.as_deref());
    if let Some(UnreadableFile { error, .. }) = reviews.errors.iter().find(|it| it.file == name) {
        if expected.decision == Some(ExpectedDecision::Unreadable) {
            let said = vec![error.clone()];
            differences.extend(messages(name, "an error", "error", expected, said));
        } else {
            let difference = Difference::new(name, wanted, "unreadable");
            differences.push(difference.saying(vec![error.clone()]));
        }
        return;
    }
    let Some(result) = reviews.results.iter().find(|it| it.file == name) else {
        return;
    };
    let got = decision(result);
    let rules = rules_of(result, got);
    let has_rule = expected.rule.as_deref().is_none_or(|rule| rules.contains(rule));
    if expected.decision != Some(got) || !has_rule {
        let rules: Vec<_> = rules.into_iter().collect();
        let got = shown(Some(got), (!rules.is_empty()).then(|| rules.join(", ")).as_deref());
        differences.push(Difference::new(name, wanted, got).saying(messages_of(result)));
        return;
    }
    differences.extend(messages(name, "a message", "message", expected, messages_of(result)));
    differences.extend(recorded(name, expected, result));
    differences.extend(patch_touches(name, expected, result));
    differences.extend(patch_says(name, expected, result));
}

/// Returns a decision with its rule as text, for example `deny [pod-intrusion]`.
fn shown(decision: Option<ExpectedDecision>, rule: Option<&str>) -> String {
    let decision = decision.map_or("a decision", ExpectedDecision::as_str);
    rule.map_or_else(|| decision.to_owned(), |rule| format!("{decision} [{rule}]"))
}

fn decision(result: &Reviewed) -> ExpectedDecision {
    if !result.allowed {
        ExpectedDecision::Deny
    } else if !result.warnings.is_empty() {
        ExpectedDecision::Warn
    } else if !result.patch.is_empty() {
        ExpectedDecision::Patch
    } else {
        ExpectedDecision::Allow
    }
}

/// The rules that a decision comes from.
fn rules_of(result: &Reviewed, decision: ExpectedDecision) -> BTreeSet<&'static str> {
    let rules: Vec<RuleName> = match decision {
        ExpectedDecision::Deny => result.denials.iter().map(|it| it.rule).collect(),
        ExpectedDecision::Warn => result.warnings.iter().map(|it| it.rule).collect(),
        ExpectedDecision::Patch | ExpectedDecision::Allow | ExpectedDecision::Unreadable => {
            result.records.iter().filter_map(Record::rule).collect()
        }
    };
    rules.into_iter().map(RuleName::as_str).collect()
}

/// Returns the messages of a result: denials and warnings with their rule, then those that are only recorded.
fn messages_of(result: &Reviewed) -> Vec<String> {
    let mut messages: Vec<String> =
        result.denials.iter().chain(&result.warnings).map(|it| it.denial()).collect();
    for record in &result.records {
        let text = record.message();
        if !messages.iter().any(|message| message.contains(&*text)) {
            let rule = record.rule().map(|rule| format!("[{rule}] ")).unwrap_or_default();
            messages.push(format!("{rule}{text}"));
        }
    }
    messages
}

/// The decision and the messages of each result.
pub(super) fn messages_of_all(reviews: &Reviews) -> Vec<String> {
    let results = reviews.results.iter().flat_map(|result| {
        let head = format!("{}: {}", result.file, decision(result));
        [head].into_iter().chain(messages_of(result))
    });
    let errors = reviews.errors.iter().map(|it| format!("{}: {}", it.file, it.error));
    results.chain(errors).collect()
}

/// Returns the differences in the messages of a result: texts that they lack, and texts that they should not
/// contain.
fn messages(
    name: &str,
    one: &str,
    noun: &str,
    expected: &ExpectedResult,
    said: Vec<String>,
) -> Vec<Difference> {
    let all = SearchedText::new(said.join("\n"));
    let (missing, unwanted) = (all.lacking(&expected.says), all.containing(&expected.says_not));
    let got = if said.is_empty() { "no message" } else { "" };
    let mut differences = Vec::new();
    if !missing.is_empty() {
        let difference = Difference::new(name, with_texts(one, &missing), got);
        differences.push(difference.saying(said.clone()));
    }
    if !unwanted.is_empty() {
        let first = |text: &String| unwanted.iter().find(|it| text.contains(**it)).copied();
        let those = said.iter().filter_map(|text| Some(excerpt(text, first(text)?)));
        let those: Vec<_> = those.collect();
        let those = if those.is_empty() { said } else { those };
        let difference = Difference::new(name, without_texts(noun, &unwanted), got);
        differences.push(difference.saying(those));
    }
    differences
}

fn recorded(name: &str, expected: &ExpectedResult, result: &Reviewed) -> Option<Difference> {
    let wanted = expected.recorded.as_deref()?;
    let decisions: BTreeSet<_> = result.records.iter().map(|it| it.decision.as_str()).collect();
    if decisions.contains(wanted) {
        return None;
    }
    let decisions: Vec<_> = decisions.into_iter().collect();
    let got = if decisions.is_empty() {
        "no record".to_owned()
    } else {
        format!("recorded as {}", decisions.join(" and "))
    };
    let difference = Difference::new(name, format!("recorded as {wanted}"), got);
    Some(difference.saying(messages_of(result)))
}

fn patch_touches(name: &str, expected: &ExpectedResult, result: &Reviewed) -> Option<Difference> {
    let fields = expected.patch_touches.as_ref()?;
    let is_under = |path: &str, field: &str| {
        path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let paths: Vec<String> = result.patch.iter().filter_map(changed_path).collect();
    let is_expected = |path: &String| fields.iter().any(|field| is_under(path, field));
    let is_touched = |field: &String| paths.iter().any(|path| is_under(path, field));
    if paths.iter().all(is_expected) && fields.iter().all(is_touched) {
        return None;
    }
    let about = |fields: &[String]| match fields {
        [] => "no patch".to_owned(),
        fields => format!("a patch of {}", fields.join(" ")),
    };
    Some(Difference::new(name, about(fields), about(&paths)))
}

/// Returns the field that an operation changes; an operation `test` changes none.
fn changed_path(operation: &PatchOperation) -> Option<String> {
    let is_test = matches!(operation, PatchOperation::Test(_));
    (!is_test).then(|| operation.path().to_string())
}

fn patch_says(name: &str, expected: &ExpectedResult, result: &Reviewed) -> Option<Difference> {
    let patch = SearchedText::new(serde_json::to_string(&result.patch).unwrap_or_default());
    let missing = patch.lacking(&expected.patch_says);
    let got = if result.patch.is_empty() { "no patch" } else { "" };
    let difference = Difference::new(name, with_texts("a patch", &missing), got);
    let operations = result.patch.iter().map(ToString::to_string).collect();
    (!missing.is_empty()).then_some(difference.saying(operations))
}
