//! Reading of objects from text: JSON, or YAML with any number of documents. This module does no I/O.

mod place;

use std::{borrow::Cow, cell::OnceCell};

use serde_json::Value;

pub use self::place::{TextPlace, place};

/// The reason why a text holds no objects.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// The text looks like JSON and is not.
    #[error("not JSON: {0}")]
    Json(serde_json::Error),
    /// The text is not YAML.
    #[error("not YAML: {0}")]
    Yaml(String),
}

/// A document, or an item of a list, that is no object.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}expected an object, found {found}", place.map(|it| format!("{it}: ")).unwrap_or_default())]
pub struct NoObject {
    /// The type of the value that is there instead.
    pub found: &'static str,
    /// The place of the value, if the text can be searched.
    pub place: Option<TextPlace>,
}

/// The contents of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Documents {
    /// The documents, and the items of those that are lists.
    pub objects: Vec<Result<Value, NoObject>>,
    /// The typed lists, which tell of a kind that there is no other object.
    pub lists: Vec<TypedList>,
}

/// A list such as `PodList`: its items need not say their kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedList {
    /// The API version of the items: `v1`, `apps/v1`.
    pub api_version: String,
    /// The kind of the items: `Pod`.
    pub kind: String,
}

impl TypedList {
    /// Returns the typed list that a document is; `None` for `kind: List`, and for a document that is no list.
    fn of(document: &Value) -> Option<Self> {
        let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default();
        let kind = text("kind").strip_suffix("List").filter(|kind| !kind.is_empty())?;
        document.get("items").filter(|items| items.is_array())?;
        Some(Self { api_version: text("apiVersion").to_owned(), kind: kind.to_owned() })
    }

    /// Adds the kind and the API version to an item that has no kind.
    fn complete(&self, item: &mut Value) {
        let Some(item) = item.as_object_mut() else { return };
        if !item.contains_key("kind") {
            item.insert("kind".to_owned(), self.kind.clone().into());
            item.insert("apiVersion".to_owned(), self.api_version.clone().into());
        }
    }
}

/// The documents of a text, and the items of those that are lists.
///
/// Empty documents are left out, as kubectl does, and so are the logs of containers that
/// `kubectl cluster-info dump` prints between them.
pub fn read(text: &str) -> Result<Documents, DocumentError> {
    let text = &*without_logs(text);
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
    let documents: Vec<Value> = documents.into_iter().filter(|it| !it.is_null()).collect();
    let within = documents.iter().filter_map(Value::as_array).flatten();
    let lists = documents.iter().chain(within).filter_map(TypedList::of).collect();
    let documents = documents.into_iter().flat_map(items);
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
    Ok(Documents { objects: checked.collect(), lists })
}

const LOGS_BEGIN: &str = "==== START logs for ";
const LOGS_END: &str = "==== END logs for ";

fn without_logs(text: &str) -> Cow<'_, str> {
    if !text.contains(LOGS_BEGIN) {
        return Cow::Borrowed(text);
    }
    let mut is_log = false;
    let mut kept = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        is_log |= line.starts_with(LOGS_BEGIN);
        // Lines keep their numbers.
        kept.push_str(if is_log { "\n" } else { line });
        is_log &= !line.starts_with(LOGS_END);
    }
    Cow::Owned(kept)
}

fn yaml(text: &str) -> Result<Vec<Value>, DocumentError> {
    serde_saphyr::from_multiple(text).map_err(|error| {
        // Below the first line is an excerpt of the text, which the file's name would not lead.
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        // The library names a setting of its own.
        let first = first.split(", set DuplicateKeyPolicy").next().unwrap_or_default();
        DocumentError::Yaml(first.trim_start_matches("error: ").to_owned())
    })
}

/// Returns the items of `kind: List`, of a typed list such as `NodeList`, or of an array. Any other document is the
/// only item.
fn items(mut document: Value) -> Vec<Value> {
    let kind = document.get("kind").and_then(Value::as_str).unwrap_or_default();
    let has_items = document.get("items").is_some_and(Value::is_array);
    let is_list = kind == "List" || (kind.ends_with("List") && has_items);
    if is_list {
        let list = TypedList::of(&document);
        document = document.get_mut("items").map(Value::take).unwrap_or_default();
        let Value::Array(mut items) = document else { return Vec::new() };
        if let Some(list) = list {
            for item in &mut items {
                list.complete(item);
            }
        }
        return items;
    }
    let Value::Array(documents) = document else { return vec![document] };
    // A list of what kubectl printed for one kind after the other.
    documents.into_iter().flat_map(|it| if it.is_array() { vec![it] } else { items(it) }).collect()
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
            let mut faults = read(text).unwrap().objects.into_iter().filter_map(Result::err);
            assert_eq!(faults.next().unwrap().to_string(), expected, "{text}");
        }
        assert_eq!(read("---\n---\n# nothing\n").unwrap(), Documents::default());
    }

    #[test]
    fn items_of_a_typed_list_have_its_kind() {
        for text in [
            "apiVersion: v1\nkind: NodeList\nitems:\n- {metadata: {name: a}}\n---\nkind: PodList\nitems: []\n",
            r#"{"apiVersion": "v1", "kind": "NodeList", "items": [{"metadata": {"name": "a"}}]}
               {"kind": "PodList", "items": []}"#,
            r#"[{"apiVersion": "v1", "kind": "NodeList", "items": [{"metadata": {"name": "a"}}]},
                {"kind": "PodList", "items": []}]"#,
            "{\"apiVersion\": \"v1\", \"kind\": \"NodeList\", \"items\": [{\"metadata\": {\"name\": \"a\"}}]}\n\
             {\"kind\": \"PodList\", \"items\": []}\n\
             ==== START logs for container a of pod b/c ====\n{ no JSON\n==== END logs for container a of pod b/c ====\n",
        ] {
            let Documents { objects, lists } = read(text).unwrap();
            let kinds: Vec<&str> = lists.iter().map(|list| list.kind.as_str()).collect();
            assert_eq!(kinds, ["Node", "Pod"], "{text}");
            let [Ok(node)] = objects.as_slice() else { panic!("{objects:?}") };
            assert_eq!(
                *node,
                serde_json::json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}})
            );
        }
    }
}
