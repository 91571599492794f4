//! Field and label selectors.

use super::{object::Object, resources::Resource, status::Failure};

/// Which objects a list or a watch is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    /// Empty: every namespace.
    pub(crate) namespace: String,
    fields: Vec<Field>,
    labels: Vec<Label>,
}

#[derive(Debug, Clone)]
struct Field {
    path: String,
    value: String,
    equal: bool,
}

#[derive(Debug, Clone)]
struct Label {
    key: String,
    condition: Test,
}

#[derive(Debug, Clone)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selector {
    pub(crate) fn parse(
        resource: &Resource,
        namespace: &str,
        fields: &str,
        labels: &str,
    ) -> Result<Self, Failure> {
        let parts = fields.split(',').filter(|part| !part.is_empty());
        let fields = parts.map(|part| Field::parse(resource, part)).collect::<Result<_, _>>()?;
        let parts = split(labels).into_iter().filter(|part| !part.trim().is_empty());
        let labels = parts.map(|part| Label::parse(part.trim())).collect::<Result<_, _>>()?;
        Ok(Self { namespace: namespace.to_owned(), fields, labels })
    }

    /// The one name that it selects, which is what a right by name is compared with.
    pub(crate) fn name(&self) -> &str {
        let name = self.fields.iter().find(|field| field.equal && field.path == "metadata.name");
        name.map_or("", |field| &field.value)
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.fields.is_empty() && self.labels.is_empty()
    }

    pub(crate) fn matches(&self, object: &Object) -> bool {
        (self.namespace.is_empty() || self.namespace == object.namespace)
            && self.fields.iter().all(|field| field.matches(object))
            && self.labels.iter().all(|label| label.matches(object))
    }
}

impl Field {
    fn parse(resource: &Resource, text: &str) -> Result<Self, Failure> {
        let (path, value, equal) = if let Some((path, value)) = text.split_once("!=") {
            (path, value, false)
        } else if let Some((path, value)) = text.split_once("==") {
            (path, value, true)
        } else if let Some((path, value)) = text.split_once('=') {
            (path, value, true)
        } else {
            return Err(Failure::bad_request(format!("invalid selector: '{text}'")));
        };
        let known = match path {
            "metadata.name" => true,
            "metadata.namespace" => resource.namespaced,
            "spec.nodeName" | "status.phase" => resource.plural == "pods",
            _ => false,
        };
        if !known {
            return Err(Failure::bad_request(format!("field label not supported: {path}")));
        }
        Ok(Self { path: path.to_owned(), value: value.to_owned(), equal })
    }

    fn matches(&self, object: &Object) -> bool {
        let value = match self.path.as_str() {
            "metadata.name" => &object.name,
            "metadata.namespace" => &object.namespace,
            path => object.fields.get(path).map_or("", String::as_str),
        };
        (value == self.value) == self.equal
    }
}

impl Label {
    fn parse(text: &str) -> Result<Self, Failure> {
        let set = |text: &str| -> Option<Vec<String>> {
            let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
            Some(inner.split(',').map(|value| value.trim().to_owned()).collect())
        };
        let one = |value: &str| vec![value.trim_start_matches('=').trim().to_owned()];
        let (key, condition) = if let Some(key) = text.strip_prefix('!') {
            (key, Test::Absent)
        } else if let Some((key, value)) = text.split_once("!=") {
            (key, Test::NotIn(one(value)))
        } else if let Some((key, value)) = text.split_once('=') {
            (key, Test::In(one(value)))
        } else if let Some((key, values)) = text.split_once(" notin ") {
            (key, Test::NotIn(set(values).ok_or_else(|| unparsable(text))?))
        } else if let Some((key, values)) = text.split_once(" in ") {
            (key, Test::In(set(values).ok_or_else(|| unparsable(text))?))
        } else {
            (text, Test::Exists)
        };
        let key = key.trim().to_owned();
        if key.is_empty() || key.contains([' ', '(', ')']) {
            return Err(unparsable(text));
        }
        Ok(Self { key, condition })
    }

    fn matches(&self, object: &Object) -> bool {
        let value = object.labels.get(&self.key);
        match &self.condition {
            Test::In(values) => value.is_some_and(|value| values.contains(value)),
            Test::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
        }
    }
}

fn unparsable(text: &str) -> Failure {
    Failure::bad_request(format!("unable to parse requirement: {text}"))
}

/// Splits at the commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}
