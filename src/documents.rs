//! Text to objects: JSON, or YAML with any number of documents. No I/O.

mod place;

use serde_json::Value;

pub use self::place::{Place, place};

/// Why text holds no objects.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It looks like JSON and is not.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is not YAML.
    #[error("not YAML: {0}")]
    Yaml(String),
}

/// The documents of a text, and the items of those that are lists.
///
/// Empty documents are left out, as kubectl does.
pub fn read(text: &str) -> Result<Vec<Value>, DocumentError> {
    let as_json = || serde_json::Deserializer::from_str(text).into_iter().collect();
    let documents: Vec<Value> = if text.trim_start().starts_with(['{', '[']) {
        // A flow mapping of YAML starts like JSON, but whoever wrote a brace mostly meant JSON.
        match as_json() {
            Ok(documents) => documents,
            Err(error) => yaml(text).map_err(|_| DocumentError::Json(error))?,
        }
    } else {
        yaml(text)?
    };
    Ok(documents.into_iter().filter(|document| !document.is_null()).flat_map(items).collect())
}

fn yaml(text: &str) -> Result<Vec<Value>, DocumentError> {
    serde_saphyr::from_multiple(text).map_err(|error| {
        // Below the first line is an excerpt of the text, which the file's name would not lead.
        let text = error.to_string();
        DocumentError::Yaml(text.lines().next().unwrap_or_default().to_owned())
    })
}

/// `kind: List`, or a typed list such as `NodeList`, as its items.
fn items(mut document: Value) -> Vec<Value> {
    let kind = document.get("kind").and_then(Value::as_str).unwrap_or_default();
    let has_items = document.get("items").is_some_and(Value::is_array);
    let is_list = kind == "List" || (kind.ends_with("List") && has_items);
    if is_list {
        document = document.get_mut("items").map(Value::take).unwrap_or_default();
        return if let Value::Array(items) = document { items } else { Vec::new() };
    }
    if let Value::Array(items) = document { items } else { vec![document] }
}
