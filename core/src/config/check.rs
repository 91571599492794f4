//! Checks a tree against the JSON Schema of the file and reports every deviation.
//!
//! A part that deviates is taken out. The rest becomes values, which are checked further in the same run. Only what
//! the schemas of PoolGuard's files use is known here: references, objects with listed or free keys, lists, strings,
//! numbers, booleans and choices.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use super::{
    collector::DiagnosticCollector,
    cursor::TreeCursor,
    tree::{TreeEntry, TreeNode, Value},
};
use crate::json::text::likely;

/// Returns the part of the tree that matches the schema, as JSON, and reports everything else.
///
/// Items of lists keep their index: a bad mapping becomes an empty one, and a list of strings with
/// a bad one is taken out as a whole.
pub(super) fn check(root: &TreeNode, schema: &Json, report: &mut DiagnosticCollector) -> Json {
    let place = TreeCursor::root(Some(root));
    Walker { root: schema, report }
        .value(root, &place, schema)
        .unwrap_or_else(|| Json::from(Map::new()))
}

struct Walker<'s, 'r> {
    root: &'s Json,
    report: &'r mut DiagnosticCollector,
}

impl<'s> Walker<'s, '_> {
    /// Returns the value of a node. If the value does not match the schema, reports that and returns `None`.
    fn value(&mut self, node: &TreeNode, place: &TreeCursor<'_>, outer: &'s Json) -> Option<Json> {
        let schema = self.resolve(outer);
        if let Value::Refused = node.value {
            return self.broken(place);
        }
        let choices = choices(schema);
        if !choices.is_empty() {
            return self.choice(node, place, [outer, schema], &choices);
        }
        let kinds = kinds(schema);
        let is = |kind: &str| kinds.contains(&kind);
        match &node.value {
            Value::Mapping(entries) if is("object") => {
                return Some(self.object(node, entries, place, schema));
            }
            Value::Sequence(items) if is("array") => return self.array(items, place, schema),
            Value::String(value) if is("string") => return Some(value.as_str().into()),
            Value::Bool(value) if is("boolean") => return Some((*value).into()),
            Value::Number(text) if is("integer") || is("number") => {
                if let Some(number) = number(text, schema) {
                    return Some(number);
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Sequence(_)
            | Value::Mapping(_)
            | Value::Refused => {}
        }
        let expected: Vec<_> = kinds.iter().map(|kind| describe_kind(kind, schema)).collect();
        let (expected, found) = (expected.join(" or "), node.value.describe());
        let name = self.name_of(place);
        let error = place.error(format!("expected {expected} in {name}, found {found}"));
        let kind = kinds.first().copied().unwrap_or_default();
        self.report.push(match help_on_type(kind, schema, &node.value) {
            Some(help) => error.with_help(help),
            None => error,
        });
        self.broken(place)
    }

    fn object(
        &mut self,
        node: &TreeNode,
        entries: &[TreeEntry],
        place: &TreeCursor<'_>,
        schema: &'s Json,
    ) -> Json {
        let Some(properties) = schema.get("properties").and_then(Json::as_object) else {
            return self.free_object(entries, place, schema);
        };
        let mut object = Map::new();
        let mut meant = Vec::new();
        for entry in entries {
            let below = place.key(&entry.key);
            match properties.get(&entry.key) {
                // As in Kubernetes, `null` is as good as absent.
                Some(_) if matches!(entry.node.value, Value::Null) => {}
                Some(schema) => {
                    if let Some(value) = self.value(&entry.node, &below, schema) {
                        object.insert(entry.key.clone(), value);
                    }
                }
                None => meant.extend(self.unknown_key(entry, place, schema, properties)),
            }
        }
        for key in strings(schema, "required") {
            let is_there = node.entry(key).is_some_and(|e| !matches!(e.node.value, Value::Null));
            if !is_there && !meant.contains(&key) {
                self.missing_key(key, place, properties);
            }
        }
        Json::Object(object)
    }

    /// Returns an object whose keys the user makes up. The object is empty if one of its values is bad.
    fn free_object(
        &mut self,
        entries: &[TreeEntry],
        place: &TreeCursor<'_>,
        schema: &'s Json,
    ) -> Json {
        let mut object = Map::new();
        let mut is_whole = true;
        for entry in entries {
            let schema = schema.get("additionalProperties").unwrap_or(&Json::Null);
            match self.value(&entry.node, &place.key(&entry.key), schema) {
                Some(value) => {
                    object.insert(entry.key.clone(), value);
                }
                None => is_whole = false,
            }
        }
        Json::Object(if is_whole { object } else { Map::new() })
    }

    fn array(
        &mut self,
        items: &[TreeNode],
        place: &TreeCursor<'_>,
        schema: &'s Json,
    ) -> Option<Json> {
        let schema = schema.get("items").unwrap_or(&Json::Null);
        let is_of_objects = kinds(self.resolve(schema)).contains(&"object");
        let mut list = Vec::with_capacity(items.len());
        let mut is_whole = true;
        for (index, item) in items.iter().enumerate() {
            match self.value(item, &place.index(index), schema) {
                Some(value) => list.push(value),
                None if is_of_objects => list.push(Json::from(Map::new())),
                None => is_whole = false,
            }
        }
        is_whole.then_some(Json::Array(list))
    }

    fn choice(
        &mut self,
        node: &TreeNode,
        place: &TreeCursor<'_>,
        schemas: [&'s Json; 2],
        choices: &[&'s str],
    ) -> Option<Json> {
        let (found, shown) = match &node.value {
            Value::String(found) if choices.contains(&found.as_str()) => {
                return Some(found.as_str().into());
            }
            Value::String(found) => (found.clone(), format!("`{found}`")),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Sequence(_)
            | Value::Mapping(_)
            | Value::Refused => {
                let found = node.value.describe().into_owned();
                (found.clone(), found)
            }
        };
        let expected: Vec<_> = choices.iter().map(|choice| format!("`{choice}`")).collect();
        let one_of = if choices.len() > 1 { "one of " } else { "" };
        let message = format!(
            "expected {one_of}{} in {}, found {shown}{}",
            expected.join(", "),
            self.name_of(place),
            question(likely(&found, choices.iter().copied()))
        );
        let error = place.error(message);
        let reason = schemas.iter().find_map(|schema| refusal(schema, &found));
        self.report.push(match reason {
            Some(reason) => error.with_help(reason),
            None => error,
        });
        self.broken(place)
    }

    /// Reports a key that is not in the schema; returns the one that was likely meant.
    fn unknown_key(
        &mut self,
        entry: &TreeEntry,
        place: &TreeCursor<'_>,
        schema: &'s Json,
        properties: &'s Map<String, Json>,
    ) -> Option<&'s str> {
        let reason = refusal(schema, &entry.key);
        let keys = properties.keys().map(String::as_str);
        let likely = if reason.is_none() { likely(&entry.key, keys) } else { None };
        let message = format!("unknown key `{}` {}{}", entry.key, inside(place), question(likely));
        let mut error = place.key(&entry.key).error(message);
        error.span = entry.key_span;
        self.report.push(match reason {
            Some(reason) => error.with_help(reason),
            None if likely.is_some() => error,
            None => {
                let known: Vec<_> = properties.keys().map(|key| format!("`{key}`")).collect();
                error.with_help(format!("known keys are {}", known.join(", ")))
            }
        });
        self.report.mark_broken(place.key(&entry.key).path().clone());
        likely
    }

    fn missing_key(
        &mut self,
        key: &str,
        place: &TreeCursor<'_>,
        properties: &'s Map<String, Json>,
    ) {
        let error = place.key(key).error(format!("missing key `{key}` {}", inside(place)));
        let schema = properties.get(key).map(|schema| self.resolve(schema));
        let help = schema.and_then(|schema| match choices(schema).as_slice() {
            [only] => Some(format!("add the line `{key}: {only}`")),
            _ => text_of(schema, "description")
                .map(|what| format!("add `{key}: …`: {}", lower_case_first(first_sentence(what)))),
        });
        self.report.push(match help {
            Some(help) => error.with_help(help),
            None => error,
        });
        self.report.mark_broken(place.key(key).path().clone());
    }

    /// The key at a place, or the whole file, as messages call it.
    fn name_of(&self, place: &TreeCursor<'_>) -> Cow<'static, str> {
        match place.path().as_str() {
            "" => self.report.noun().into(),
            path => format!("`{path}`").into(),
        }
    }

    fn broken(&mut self, place: &TreeCursor<'_>) -> Option<Json> {
        self.report.mark_broken(place.path().clone());
        None
    }

    /// Returns the schema that a reference stands for; a schema without a reference stands for itself.
    fn resolve(&self, schema: &'s Json) -> &'s Json {
        let target = text(schema, "$ref");
        match target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) {
            Some(target) => target,
            None => schema,
        }
    }
}

/// Returns the end of a message, ``; did you mean `zones`?``; empty if no key is likely.
fn question(likely: Option<&str>) -> String {
    likely.map(|likely| format!("; did you mean `{likely}`?")).unwrap_or_default()
}

/// Returns the place of a missing or unknown key in words: ``in `pools[0]` ``, or `at the top level`.
fn inside(place: &TreeCursor<'_>) -> String {
    match place.path().as_str() {
        "" => "at the top level".to_owned(),
        path => format!("in `{path}`"),
    }
}

/// The types that a value may have, as the schema names them.
fn kinds(schema: &Json) -> Vec<&str> {
    match text_of(schema, "type") {
        Some(kind) => vec![kind],
        None => strings(schema, "type"),
    }
}

/// A type of the schema in words.
fn describe_kind(kind: &str, schema: &Json) -> Cow<'static, str> {
    let bound = |key| schema.get(key).and_then(Json::as_u64);
    match (kind, bound("minimum"), bound("maximum")) {
        ("object", _, _) => "a mapping".into(),
        ("array", _, _) => "a list".into(),
        ("boolean", _, _) => "true or false".into(),
        ("integer", Some(least), Some(most)) => {
            format!("a whole number from {least} to {most}").into()
        }
        ("integer", Some(least), None) => format!("a whole number from {least} up").into(),
        ("integer", _, _) => "a whole number".into(),
        ("number", Some(least), None) => format!("a number from {least} up").into(),
        ("number", _, _) => "a number".into(),
        (_, _, _) => "a string".into(),
    }
}

/// A number as JSON, if it is one that the schema allows.
fn number(text: &str, schema: &Json) -> Option<Json> {
    let number: f64 = text.parse().ok()?;
    let bound = |key| schema.get(key).and_then(Json::as_f64);
    let is_within = bound("minimum").is_none_or(|least| number >= least)
        && bound("maximum").is_none_or(|most| number <= most);
    if !is_within {
        None
    } else if kinds(schema).contains(&"number") {
        serde_json::Number::from_f64(number).map(Json::Number)
    } else {
        text.parse::<i64>().ok().map(Json::from)
    }
}

fn help_on_type(kind: &str, schema: &Json, value: &Value) -> Option<String> {
    let example =
        schema.get("examples").and_then(|examples| examples.get(0)).and_then(Json::as_str);
    match (kind, value, example) {
        ("string", Value::Number(number), Some(example)) if schema.get("pattern").is_some() => {
            let is_whole = number.bytes().all(|it| it.is_ascii_digit());
            Some(if is_whole {
                format!("add a unit: `{number}s`, `{number}m` or `{number}h`")
            } else {
                format!("write it with a unit, for example `{example}`")
            })
        }
        ("object", _, _) if schema.pointer("/properties/matchLabels").is_some() => {
            Some("write a label selector, for example `{matchLabels: {app: kafka}}`".to_owned())
        }
        ("object", _, _) => write_keys(schema),
        ("string", Value::Number(_) | Value::Bool(_), _) => Some("put it in quotes".to_owned()),
        ("integer" | "number", Value::String(text), _) if text.parse::<f64>().is_ok() => {
            Some("remove the quotes".to_owned())
        }
        ("boolean", Value::String(text), _)
            if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") =>
        {
            Some("remove the quotes".to_owned())
        }
        ("boolean", Value::String(text), _) => match text.to_ascii_lowercase().as_str() {
            "yes" | "on" => Some("write `true`".to_owned()),
            "no" | "off" => Some("write `false`".to_owned()),
            _ => None,
        },
        ("array", Value::String(text), _) => Some(format!("write `[{text}]`")),
        ("array", Value::Mapping(_), _) => Some("write `- ` before each item".to_owned()),
        _ => None,
    }
}

/// Returns advice on how to write a mapping, if the mapping has only a few keys.
fn write_keys(schema: &Json) -> Option<String> {
    let keys = schema.get("properties")?.as_object()?.keys();
    let keys: Vec<String> = keys.map(|key| format!("{key}: …")).collect();
    let is_short = (1..=KEYS_MAX).contains(&keys.len());
    is_short.then(|| format!("write one or more of these keys: `{{{}}}`", keys.join(", ")))
}

/// The largest number of keys that a help lists.
const KEYS_MAX: usize = 6;

/// Returns the text of the schema for users who write this value or key.
fn refusal<'s>(schema: &'s Json, found: &str) -> Option<&'s str> {
    schema.get("x-refusals")?.get(found)?.as_str()
}

/// The values of an enumeration, however the schema spells it.
fn choices(schema: &Json) -> Vec<&str> {
    let mut choices = strings(schema, "enum");
    choices.extend(text_of(schema, "const"));
    for choice in schema.get("oneOf").and_then(Json::as_array).into_iter().flatten() {
        choices.extend(strings(choice, "enum"));
        choices.extend(text_of(choice, "const"));
    }
    choices
}

fn strings<'s>(schema: &'s Json, key: &str) -> Vec<&'s str> {
    schema
        .get(key)
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect()
}

fn text_of<'s>(schema: &'s Json, key: &str) -> Option<&'s str> {
    schema.get(key).and_then(Json::as_str)
}

fn text<'s>(schema: &'s Json, key: &str) -> &'s str {
    text_of(schema, key).unwrap_or_default()
}

/// The text with its first letter in lower case, for the middle of a sentence. Names such as `AutoMQ` and `JSON`
/// stay as they are.
fn lower_case_first(text: &str) -> String {
    let is_name =
        text.split(' ').next().is_some_and(|word| word.chars().skip(1).any(char::is_uppercase));
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if !is_name => first.to_lowercase().chain(letters).collect(),
        Some(_) | None => text.to_owned(),
    }
}

fn first_sentence(text: &str) -> &str {
    text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.')
}
