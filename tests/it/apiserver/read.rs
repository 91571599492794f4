//! Requests that change nothing: get and list.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::ops::Bound;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::{BufMut as _, Bytes, BytesMut};
use serde_json::{Value, json};

use super::{
    object::Shape,
    resources::{Id, TABLE},
    route::Query,
    selector::Selector,
    status::Failure,
    store::{Key, State},
};

/// Where the next page of a list begins.
#[derive(Debug)]
struct Continue {
    version: u64,
    after: Key,
}

impl Continue {
    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(json!([self.version, self.after.0, self.after.1]).to_string())
    }

    fn decode(token: &str) -> Result<Self, Failure> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok();
        let value: Option<(u64, String, String)> =
            bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let invalid = || Failure::bad_request("continue key is not valid: illegal base64 data");
        let (version, namespace, name) = value.ok_or_else(invalid)?;
        Ok(Self { version, after: (namespace, name) })
    }
}

/// Refuses a version that the server has not reached.
fn check_reached(state: &State, version: u64) -> Result<(), Failure> {
    if version <= state.version {
        return Ok(());
    }
    let message =
        format!("Timeout: Too large resource version: {version}, current: {}", state.version);
    Err(Failure::new(504, "Timeout", message).retry_after(1))
}

pub(crate) fn get(
    state: &State,
    id: Id,
    key: &Key,
    query: &Query,
    shape: Shape,
) -> Result<Vec<Bytes>, Failure> {
    check_reached(state, query.number("resourceVersion")?)?;
    let object = state.find(id, key).ok_or_else(|| Failure::not_found(&TABLE[id], &key.1))?;
    Ok(object.pieces(shape))
}

pub(crate) fn list(
    state: &State,
    id: Id,
    selector: &Selector,
    query: &Query,
    shape: Shape,
) -> Result<Bytes, Failure> {
    let limit = usize::try_from(query.number("limit")?).unwrap();
    let asked = query.number("resourceVersion")?;
    let start = match query.get("continue") {
        "" => None,
        _ if asked != 0 => {
            let message = "specifying resource version is not allowed when using continue";
            return Err(Failure::bad_request(message));
        }
        token => Some(Continue::decode(token)?),
    };
    check_reached(state, asked)?;
    let version = match &start {
        Some(start) => start.version,
        None if query.get("resourceVersionMatch") == "Exact" => asked,
        None => state.version,
    };
    let objects = state.objects_at(id, version)?;
    let from = start.map_or(Bound::Unbounded, |start| Bound::Excluded(start.after));
    let mut matching = objects
        .range((from, Bound::Unbounded))
        .map(|(_, object)| object)
        .filter(|object| selector.matches(object));
    let page: Vec<_> = if limit == 0 {
        matching.by_ref().collect()
    } else {
        matching.by_ref().take(limit).collect()
    };
    let rest = matching.count();
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    if let Some(last) = page.last().filter(|_| rest > 0) {
        metadata["continue"] = json!(Continue { version, after: last.key() }.encode());
        if selector.is_everything() {
            metadata["remainingItemCount"] = json!(rest);
        }
    }
    let items = page.into_iter().flat_map(|object| {
        let comma = std::iter::once(Bytes::from_static(b","));
        comma.chain(object.item(shape))
    });
    Ok(join(id, shape, &metadata, items.skip(1)))
}

/// The text of a list.
fn join(id: Id, shape: Shape, metadata: &Value, items: impl Iterator<Item = Bytes>) -> Bytes {
    let (kind, api_version) = match shape {
        Shape::Whole => (format!("{}List", TABLE[id].kind), TABLE[id].api_version()),
        Shape::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
    };
    let mut text = BytesMut::from(
        format!(
            r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{metadata},"items":["#
        )
        .as_bytes(),
    );
    items.for_each(|item| text.put(item));
    text.put_slice(b"]}");
    text.freeze()
}
