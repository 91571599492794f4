//! The wire format of lists and watches. Objects stay text until a caller reads them.

use crate::json::{self, Cursor, JsonError, Read, read_object, text::Text};

/// A page of a list.
#[derive(Debug, Default)]
pub struct ListPage<'a> {
    api_version: Text<'a>,
    kind: Text<'a>,
    metadata: ListMeta<'a>,
    items: Option<Vec<Item<'a>>>,
}

#[derive(Debug, Default)]
struct ListMeta<'a> {
    resource_version: Text<'a>,
    next: Text<'a>,
}

/// An object as it stands in the text.
#[derive(Debug, Default)]
struct Item<'a>(&'a str);

impl<'a> Read<'a> for Item<'a> {
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        self.0 = cursor.raw()?;
        Ok(())
    }
}

read_object!(ListPage {
    "apiVersion" => api_version,
    "kind" => kind,
    "metadata" => metadata,
    "items" => items,
});
read_object!(ListMeta { "resourceVersion" => resource_version, "continue" => next });

impl<'a> ListPage<'a> {
    /// Reads a list.
    pub fn read(text: &'a str) -> Result<Self, JsonError> {
        json::from_str(text)
    }

    /// Group and version of the list: `apps/v1`.
    pub fn api_version(&self) -> &str {
        &self.api_version
    }

    /// The kind of the list: `PodList`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The version of the collection that the list shows, from which a watch goes on.
    pub fn resource_version(&self) -> &str {
        &self.metadata.resource_version
    }

    /// The token of the next page.
    pub fn next(&self) -> Option<&str> {
        Some(self.metadata.next.as_str()).filter(|token| !token.is_empty())
    }

    /// The objects; `None` if this is no list.
    pub fn items(&self) -> Option<impl Iterator<Item = &'a str>> {
        self.items.as_ref().map(|items| items.iter().map(|Item(text)| *text))
    }
}

/// A line of a watch.
#[derive(Debug, PartialEq, Eq)]
pub enum WatchLine<'a> {
    /// An object that was added or modified.
    Apply(&'a str),
    /// An object that was deleted, in its last state.
    Delete(&'a str),
    /// A bookmark, or an event of another type: the watch has sent all changes up to the version of the line.
    Bookmark,
    /// An error, after which the watch cannot go on.
    Error {
        /// HTTP status.
        code: u16,
        /// The message of the API server.
        message: String,
    },
}

#[derive(Default)]
struct Event<'a> {
    name: Text<'a>,
    object: Item<'a>,
}

#[derive(Default)]
struct Versioned<'a> {
    metadata: ListMeta<'a>,
}

#[derive(Default)]
struct Status<'a> {
    code: Item<'a>,
    message: Text<'a>,
}

read_object!(Event { "type" => name, "object" => object });
read_object!(Versioned { "metadata" => metadata });
read_object!(Status { "code" => code, "message" => message });

impl<'a> WatchLine<'a> {
    /// Reads a line, with the version to go on from after it.
    pub fn read(text: &'a str) -> Result<(Self, String), JsonError> {
        let Event { name, object: Item(object) } = json::from_str(text)?;
        if name == "ERROR" {
            let Status { code: Item(code), message } = json::from_str(object)?;
            let code = code.parse().unwrap_or_default();
            return Ok((Self::Error { code, message: message.to_string() }, String::new()));
        }
        let Versioned { metadata } = json::from_str(object)?;
        let line = match name.as_str() {
            "ADDED" | "MODIFIED" => Self::Apply(object),
            "DELETED" => Self::Delete(object),
            _ => Self::Bookmark,
        };
        Ok((line, metadata.resource_version.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_its_version_and_the_next_page() {
        let text = r#"{"kind":"NodeList","metadata":{"resourceVersion":"7","continue":"abc"},
                       "items":[{"a":1}, {"b":[2]}]}"#;
        let page = ListPage::read(text).expect("is a list");
        assert_eq!((page.resource_version(), page.next()), ("7", Some("abc")));
        let items: Vec<_> = page.items().expect("has items").collect();
        assert_eq!(items, [r#"{"a":1}"#, r#"{"b":[2]}"#]);
    }

    #[test]
    fn the_last_page_has_no_next() {
        let page =
            ListPage::read(r#"{"metadata":{"continue":""},"items":null}"#).expect("is a list");
        assert_eq!(page.next(), None);
        assert!(page.items().is_none());
    }

    #[test]
    fn lines_are_told_apart_by_their_type() {
        let object = r#"{"metadata":{"name":"a","resourceVersion":"12"}}"#;
        let line = |name: &str| format!(r#"{{"type":"{name}","object":{object}}}"#);
        let read = |text: &str| {
            let (line, version) = WatchLine::read(text).expect("is a line");
            (format!("{line:?}"), version)
        };
        assert_eq!(read(&line("ADDED")), (format!("{:?}", WatchLine::Apply(object)), "12".into()));
        assert_eq!(
            read(&line("MODIFIED")),
            (format!("{:?}", WatchLine::Apply(object)), "12".into())
        );
        assert_eq!(
            read(&line("DELETED")),
            (format!("{:?}", WatchLine::Delete(object)), "12".into())
        );
        assert_eq!(read(&line("BOOKMARK")), ("Bookmark".into(), "12".into()));
        let gone = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}"#;
        let (line, _) = WatchLine::read(gone).expect("is a line");
        assert_eq!(line, WatchLine::Error { code: 410, message: "too old".into() });
        assert!(WatchLine::read(r#"{"type":"ADDED","object":"#).is_err());
    }
}
