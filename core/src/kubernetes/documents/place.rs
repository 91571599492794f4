//! The place in a text where a field of one of its objects is written.

use std::fmt;

use granit_parser::{Event, Parser, options};

use crate::json::PathStep;

/// A place in a text, as editors count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextPlace {
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1.
    pub column: usize,
}

impl fmt::Display for TextPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// The place of a field in the object with this index, among those that [`super::read`] finds in the
/// text. A field that is not written there is where the last part of its path is. `None` if the text
/// cannot be read as YAML, of which JSON is a part.
pub fn place(text: &str, object: usize, steps: &[PathStep]) -> Option<TextPlace> {
    let documents = trees(text)?;
    let objects: Vec<&Tree> = documents.iter().flat_map(Tree::objects).collect();
    let mut tree = *objects.get(object)?;
    for step in steps {
        let part = match (step, &tree.parts) {
            (PathStep::Key(key), Parts::Mapping(entries)) => {
                entries.iter().find(|(own, _)| own == key).map(|(_, value)| value)
            }
            (PathStep::Index(index), Parts::Sequence(items)) => items.get(*index),
            (PathStep::Key(_) | PathStep::Index(_), _) => None,
        };
        match part {
            Some(part) => tree = part,
            None => break,
        }
    }
    Some(tree.place)
}

/// The places of the objects that [`super::read`] finds in the text; none if it cannot be read as YAML.
pub(super) fn objects(text: &str) -> Vec<TextPlace> {
    let documents = trees(text).unwrap_or_default();
    documents.iter().flat_map(Tree::objects).map(|tree| tree.place).collect()
}

struct Tree {
    place: TextPlace,
    parts: Parts,
}

enum Parts {
    Scalar(String),
    Sequence(Vec<Tree>),
    Mapping(Vec<(String, Tree)>),
}

impl Tree {
    /// The objects of a document: itself, or the items of a list.
    fn objects(&self) -> Vec<&Self> {
        match &self.parts {
            Parts::Scalar(text) if is_null(text) => Vec::new(),
            Parts::Scalar(_) => vec![self],
            Parts::Sequence(items) => {
                let is_mapping = |item: &Self| matches!(item.parts, Parts::Mapping(_));
                let of_item = |it| if is_mapping(it) { Self::objects(it) } else { vec![it] };
                items.iter().flat_map(of_item).collect()
            }
            Parts::Mapping(entries) => {
                let entry =
                    |key: &str| entries.iter().find(|(own, _)| own == key).map(|(_, it)| it);
                let kind = entry("kind").and_then(|kind| match &kind.parts {
                    Parts::Scalar(text) => Some(text.as_str()),
                    Parts::Sequence(_) | Parts::Mapping(_) => None,
                });
                match (entry("items").map(|items| &items.parts), kind) {
                    (Some(Parts::Sequence(items)), Some(kind)) if kind.ends_with("List") => {
                        items.iter().collect()
                    }
                    _ => vec![self],
                }
            }
        }
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null")
}

/// The largest depth of a text: deeper than any manifest, and shallow enough for the parser.
const DEPTH_MAX: usize = 128;

/// A collection that is not complete yet.
enum Open {
    Sequence(TextPlace, Vec<Tree>),
    Mapping(TextPlace, Vec<(String, Tree)>, Option<String>),
}

fn trees(text: &str) -> Option<Vec<Tree>> {
    let options = options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let mut documents = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.ok()?;
        let place = TextPlace { line: span.start.line(), column: span.start.col() + 1 };
        let complete = match event {
            Event::Scalar(text, ..) => Tree { place, parts: Parts::Scalar(text.into_owned()) },
            Event::Alias(..) => Tree { place, parts: Parts::Scalar(String::new()) },
            Event::SequenceStart(..) => {
                open.push(Open::Sequence(place, Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Mapping(place, Vec::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop()? {
                Open::Sequence(place, items) => Tree { place, parts: Parts::Sequence(items) },
                Open::Mapping(place, entries, _) => Tree { place, parts: Parts::Mapping(entries) },
            },
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Anchor(..)
            | Event::UnresolvedAlias(_)
            | Event::Comment(..)
            | _ => continue,
        };
        match open.last_mut() {
            None => documents.push(complete),
            Some(Open::Sequence(_, items)) => items.push(complete),
            Some(Open::Mapping(_, entries, key)) => match (key.take(), complete.parts) {
                (Some(name), parts) => entries.push((name, Tree { place: complete.place, parts })),
                (None, Parts::Scalar(name)) => *key = Some(name),
                (None, Parts::Sequence(_) | Parts::Mapping(_)) => *key = Some(String::new()),
            },
        }
    }
    Some(documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, object: usize, steps: &[PathStep]) -> Option<(usize, usize)> {
        place(text, object, steps).map(|TextPlace { line, column }| (line, column))
    }

    fn key(key: &str) -> PathStep {
        PathStep::Key(key.to_owned())
    }

    #[test]
    fn place_is_that_of_the_field_in_its_object() {
        let text = "a: {b: [1, 2]}\n---\n---\nkind: List\nitems:\n- {x: 1}\n- y:\n    z: true\n";
        assert_eq!(found(text, 0, &[key("a"), key("b"), PathStep::Index(1)]), Some((1, 12)));
        assert_eq!(found(text, 1, &[key("x")]), Some((6, 7)));
        assert_eq!(found(text, 2, &[key("y"), key("z")]), Some((8, 8)));
        // What is not there is where its parent is.
        assert_eq!(found(text, 2, &[key("y"), key("no")]), Some((8, 5)));
        assert_eq!(found(text, 3, &[]), None);
        assert_eq!(found("a: [", 0, &[]), None);
        assert_eq!(found("{\"a\": {\"b\": 1}}", 0, &[key("a"), key("b")]), Some((1, 13)));
    }
}
