//! `mustKeepItems`: items of a YAML list that is kept as text, as in `aws-auth`'s `mapRoles`.

use serde_json::Value;

use crate::policy::protection::KeepItem;

/// Which text could not be read, and why.
pub(super) enum Unreadable {
    Old(String),
    New(String),
}

/// The items that were there and are not there unchanged any more.
pub(super) fn lost<'i>(
    items: &'i [KeepItem],
    before: Option<&Value>,
    after: Option<&Value>,
) -> Result<Vec<&'i KeepItem>, Unreadable> {
    if before == after {
        return Ok(Vec::new());
    }
    let before = list(before).map_err(Unreadable::Old)?;
    let after = list(after).map_err(Unreadable::New)?;
    let is_lost = |item: &&KeepItem| kept(item, &before).any(|kept| !after.contains(kept));
    Ok(items.iter().filter(is_lost).collect())
}

/// Whether the field's list has any of the items. One that cannot be read may have.
pub(super) fn any(items: &[KeepItem], field: Option<&Value>) -> bool {
    list(field).map_or(true, |list| items.iter().any(|item| kept(item, &list).next().is_some()))
}

fn kept<'l>(item: &'l KeepItem, list: &'l [Value]) -> impl Iterator<Item = &'l Value> {
    let KeepItem { by, value } = item;
    list.iter().filter(move |it| it.get(by).and_then(Value::as_str) == Some(value))
}

/// The list that a field's text holds; absent or blank text is an empty list.
fn list(field: Option<&Value>) -> Result<Vec<Value>, String> {
    let Some(field) = field else { return Ok(Vec::new()) };
    let Some(text) = field.as_str() else { return Err("it is not text".to_owned()) };
    let list: Result<Option<Vec<Value>>, _> = serde_saphyr::from_str(text);
    // The parser's own words are for programmers.
    list.map(Option::unwrap_or_default).map_err(|error| match error.location() {
        Some(at) => format!("no YAML list at line {}, column {}", at.line(), at.column()),
        None => "no YAML list".to_owned(),
    })
}
