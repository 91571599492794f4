//! Names, values of labels and label selectors, as several parts of the file have them.

use std::collections::BTreeMap;

use crate::{
    config::{collector::DiagnosticCollector, cursor::TreeCursor, raw},
    kubernetes::{
        name::check_label_value,
        selector::{LabelSelector, Requirement},
    },
};

/// Reads a label selector.
pub(super) fn selector(
    raw: &raw::Selector,
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) -> LabelSelector {
    let labels = at.key("matchLabels");
    let expressions = at.key("matchExpressions");
    let mut requirements = Vec::new();
    let mut add = |at: &TreeCursor<'_>, requirement: Result<Requirement, _>| match requirement {
        Ok(requirement) => requirements.push(requirement),
        Err(error) => {
            report.push(at.error(format!("{error}")));
            report.mark_broken(at.path().clone());
        }
    };
    for (key, value) in &raw.match_labels {
        let equals = raw::Operator::In.into();
        add(&labels.key(key), Requirement::new(key, equals, vec![value.clone()]));
    }
    for (at, expression) in expressions.items(&raw.match_expressions) {
        if let (Some(key), Some(operator)) = (&expression.key, expression.operator) {
            add(&at, Requirement::new(key, operator.into(), expression.values.clone()));
        }
    }
    LabelSelector::new(requirements)
}

/// Checks names that nodes carry as label values, each of them once.
pub(super) fn label_values(
    what: &str,
    list: &[String],
    at: &TreeCursor<'_>,
    report: &mut DiagnosticCollector,
) {
    let mut seen: BTreeMap<&str, TreeCursor<'_>> = BTreeMap::new();
    for (at, text) in at.items(list) {
        if text.is_empty() {
            report.push(at.error(format!("the {what} is empty")));
        } else if let Err(why) = check_label_value(text) {
            report.push(at.error(format!("the {what} `{text}` {why}")));
        }
        if let Some(first) = seen.get(text.as_str()) {
            report.push(
                at.error(format!("the {what} `{text}` is listed twice"))
                    .with_related(first.focus(), "the first one is here"),
            );
        } else {
            seen.insert(text, at);
        }
    }
}

/// Reports names that are no names, and those that two entries have.
pub(super) fn unique_names<'t, 'r>(
    what: &str,
    names: impl Iterator<Item = (TreeCursor<'t>, &'r String)>,
    report: &mut DiagnosticCollector,
) {
    let mut seen: BTreeMap<&str, TreeCursor<'_>> = BTreeMap::new();
    for (at, name) in names {
        if name.is_empty() {
            report.push(at.error(format!("the name of the {what} is empty")));
        } else if let Err(why) = check_label_value(name) {
            report.push(at.error(format!("the name `{name}` {why}")));
        } else if let Some(first) = seen.get(name.as_str()) {
            report.push(
                at.error(format!("two {what} entries have the name `{name}`"))
                    .with_related(first.focus(), "the first is here"),
            );
        } else {
            seen.insert(name, at);
        }
    }
}
