//! What a request line asks for.

use std::collections::BTreeMap;

use http::{Method, Uri};

use super::{
    resources::{Id, TABLE},
    status::Failure,
};

/// The parameters of a query.
#[derive(Debug, Default)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(key, value)| (decode(key), decode(value))).collect())
    }

    pub(crate) fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    pub(crate) fn is_set(&self, key: &str) -> bool {
        ["1", "true", "True"].contains(&self.get(key))
    }

    /// A number; 0 when it is not there.
    pub(crate) fn number(&self, key: &str) -> Result<u64, Failure> {
        match self.get(key) {
            "" => Ok(0),
            text => text.parse().map_err(|_| {
                Failure::bad_request(format!("invalid {key}: strconv.ParseInt: parsing \"{text}\""))
            }),
        }
    }
}

/// Undoes percent-encoding.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let pair = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let encoded = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (first, encoded) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(first),
        }
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A request about objects.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) id: Id,
    pub(crate) verb: &'static str,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
    pub(crate) query: Query,
}

/// The parts of a path below its group and version.
struct Place<'a> {
    namespace: &'a str,
    plural: &'a str,
    name: &'a str,
    subresource: &'a str,
}

fn place<'a>(parts: &[&'a str]) -> Option<Place<'a>> {
    let (namespace, parts) = match parts {
        ["namespaces", _, "status" | "finalize"] => ("", parts),
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        _ => ("", parts),
    };
    match parts {
        [plural] => Some(Place { namespace, plural, name: "", subresource: "" }),
        [plural, name] => Some(Place { namespace, plural, name, subresource: "" }),
        [plural, name, subresource] => Some(Place { namespace, plural, name, subresource }),
        _ => None,
    }
}

impl Target {
    /// `None`: not a path of objects that are served.
    pub(crate) fn parse(method: &Method, uri: &Uri) -> Option<Result<Self, Failure>> {
        let path = decode(uri.path());
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, version, rest) = match &parts[..] {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let place = place(rest)?;
        let id = TABLE.iter().position(|row| {
            (row.group, row.version, row.plural) == (group, version, place.plural)
        })?;
        let row = &TABLE[id];
        let is_subresource =
            place.subresource.is_empty() || (place.subresource == "status" && row.status);
        let is_scoped = row.namespaced || place.namespace.is_empty();
        if !is_subresource
            || !is_scoped
            || (row.namespaced && place.namespace.is_empty() && !place.name.is_empty())
        {
            return None;
        }
        let query = Query::parse(uri.query().unwrap_or_default());
        let needs_namespace = row.namespaced && place.namespace.is_empty();
        let verb = match (method.as_str(), place.name.is_empty()) {
            ("GET", true) if query.is_set("watch") => "watch",
            ("GET", true) => "list",
            ("GET", false) => "get",
            ("POST", true) if !needs_namespace => "create",
            ("DELETE", true) if !needs_namespace => "deletecollection",
            ("PUT", false) => "update",
            ("PATCH", false) => "patch",
            ("DELETE", false) if place.subresource.is_empty() => "delete",
            _ => return Some(Err(Failure::method_not_allowed())),
        };
        Some(Ok(Self {
            id,
            verb,
            namespace: place.namespace.to_owned(),
            name: place.name.to_owned(),
            subresource: place.subresource.to_owned(),
            query,
        }))
    }
}
