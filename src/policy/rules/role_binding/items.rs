//! `mustKeepItems`: items of a YAML list that is kept as text, as in `aws-auth`'s `mapRoles`.

use serde_json::Value;

use crate::policy::protection::KeepItem;

/// Which text could not be read, and why.
pub(super) enum Unreadable {
    Old(String),
    New(String),
}

/// The items, as `by: value`, that were there and are not there unchanged any more.
pub(super) fn lost(
    items: &[KeepItem],
    before: Option<&Value>,
    after: Option<&Value>,
) -> Result<Vec<String>, Unreadable> {
    if before == after {
        return Ok(Vec::new());
    }
    let before = list(before).map_err(Unreadable::Old)?;
    let kept = |KeepItem { by, value }: &KeepItem| -> Vec<&Value> {
        let is_meant = |item: &&Value| item.get(by).and_then(Value::as_str) == Some(value);
        before.iter().filter(is_meant).collect()
    };
    // Without such an item before, nothing can be lost, whatever the new text is.
    if items.iter().all(|item| kept(item).is_empty()) {
        return Ok(Vec::new());
    }
    let after = list(after).map_err(Unreadable::New)?;
    let is_lost = |item: &&KeepItem| kept(item).into_iter().any(|kept| !after.contains(kept));
    Ok(items
        .iter()
        .filter(is_lost)
        .map(|KeepItem { by, value }| format!("{by}: {value}"))
        .collect())
}

/// The list that a field's text holds; absent or blank text is an empty list.
fn list(field: Option<&Value>) -> Result<Vec<Value>, String> {
    let Some(field) = field else { return Ok(Vec::new()) };
    let Some(text) = field.as_str() else { return Err("it is not text".to_owned()) };
    let list: Option<Vec<Value>> =
        serde_saphyr::from_str(text).map_err(|error| first_line(&error))?;
    Ok(list.unwrap_or_default())
}

fn first_line(error: &serde_saphyr::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
