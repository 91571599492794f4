//! Text to objects: JSON, or YAML with any number of documents. No I/O.

mod place;

use std::cell::OnceCell;

use serde_json::Value;

pub use self::place::{TextPlace, place};

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

/// A document, or an item of a list, that is no object.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}expected an object, found {found}", place.map(|it| format!("{it}: ")).unwrap_or_default())]
pub struct NoObject {
    /// What is there.
    pub found: &'static str,
    /// Where it is, if the text can be searched.
    pub place: Option<TextPlace>,
}

/// The documents of a text, and the items of those that are lists.
///
/// Empty documents are left out, as kubectl does.
pub fn read(text: &str) -> Result<Vec<Result<Value, NoObject>>, DocumentError> {
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
    let documents = documents.into_iter().filter(|document| !document.is_null()).flat_map(items);
    let places = OnceCell::new();
    let place_of = |index| {
        let places: &Vec<TextPlace> = places.get_or_init(|| place::objects(text));
        places.get(index).copied()
    };
    let checked = documents.enumerate().map(|(index, document)| {
        let found = match document {
            Value::Object(_) => return Ok(document),
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
        };
        Err(NoObject { found, place: place_of(index) })
    });
    Ok(checked.collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_is_an_error_with_its_place() {
        for (text, expected) in [
            (
                "kind: List\nitems:\n- {a: 1}\n- null\n",
                "line 4, column 3: expected an object, found null",
            ),
            ("kind: NodeList\nitems:\n-\n", "line 3, column 2: expected an object, found null"),
            ("-\n", "line 1, column 2: expected an object, found null"),
            ("a: 1\n---\ntext\n", "line 3, column 1: expected an object, found a string"),
            ("[{}, 3]", "line 1, column 6: expected an object, found a number"),
            ("[{}, [true]]", "line 1, column 6: expected an object, found a list"),
            (
                "{\"kind\": \"List\", \"items\": [true]}",
                "line 1, column 28: expected an object, found a boolean",
            ),
        ] {
            let mut faults = read(text).unwrap().into_iter().filter_map(Result::err);
            assert_eq!(faults.next().unwrap().to_string(), expected, "{text}");
        }
        assert_eq!(read("---\n---\n# nothing\n").unwrap(), []);
    }
}
