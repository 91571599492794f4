//! Bytes to a request, in one pass.
//!
//! The API server writes operation and resource before the objects, so that the objects are decoded
//! straight into the view that the rules have of them, and everything else is skipped. A review in
//! another order is read a second time, from the objects' raw text.

use std::{cell::Cell, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess},
};
use serde_json::{Value, value::RawValue};

use super::{API_VERSION, KIND};
use crate::policy::{
    identity::User,
    object::{Binding, Metadata, Node, Pod, Workload, WorkloadKind},
    request::{Change, Operation, Reads, Request, Subject, Target, View},
    text::Text,
};

/// Why a body is not a review that can be decided.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// Not text.
    #[error("the AdmissionReview is not UTF-8: {0}")]
    Utf8(#[from] std::str::Utf8Error),
    /// Not JSON, or not of the shape that the API has.
    #[error("the AdmissionReview cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// Another kind or version.
    #[error("expected {KIND} of {API_VERSION}, found {kind:?} of {api_version:?}")]
    Version {
        /// `kind`
        kind: String,
        /// `apiVersion`
        api_version: String,
    },
    /// An operation that Kubernetes does not have.
    #[error("the AdmissionReview asks for operation {0:?}, which is not known")]
    Operation(String),
    /// A part that every review has is missing.
    #[error("the AdmissionReview has no {0}")]
    Missing(&'static str),
}

/// Reads a review. `reads` says which view of its objects is wanted.
pub fn parse(body: &[u8], reads: impl Fn(&Target<'_>) -> Reads) -> Result<Request<'_>, Malformed> {
    // Checked once for the whole body, and not again for every string.
    let body = str::from_utf8(body)?;
    let is_mixed = Cell::new(false);
    let first = read(body, Order { reads: &reads, is_mixed: &is_mixed, raw: false });
    let review = if first.is_err() && is_mixed.get() {
        read(body, Order { reads: &reads, is_mixed: &is_mixed, raw: true })
    } else {
        first
    }?;
    let Review { kind, api_version, request } = review;
    if kind != KIND || api_version != API_VERSION {
        let (kind, api_version) = (kind.to_string(), api_version.to_string());
        return Err(Malformed::Version { kind, api_version });
    }
    request.ok_or(Malformed::Missing("request"))?.finish(reads)
}

fn read<'a, F: Fn(&Target<'_>) -> Reads>(
    body: &'a str,
    order: Order<'_, F>,
) -> Result<Review<'a>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(body);
    let review = ReviewSeed(order).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(review)
}

/// How to read objects: straight into their view, or as raw text for later.
struct Order<'f, F> {
    reads: &'f F,
    /// Set when an object comes before what tells its kind.
    is_mixed: &'f Cell<bool>,
    raw: bool,
}

impl<F> Clone for Order<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Order<'_, F> {}

#[derive(Default)]
struct Review<'a> {
    kind: Text<'a>,
    api_version: Text<'a>,
    request: Option<RawRequest<'a>>,
}

struct ReviewSeed<'f, F>(Order<'f, F>);

impl<'de, F: Fn(&Target<'_>) -> Reads> DeserializeSeed<'de> for ReviewSeed<'_, F> {
    type Value = Review<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Review<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: Fn(&Target<'_>) -> Reads> de::Visitor<'de> for ReviewSeed<'_, F> {
    type Value = Review<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an AdmissionReview")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Review<'de>, A::Error> {
        let mut review = Review::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match key.as_str() {
                "kind" => review.kind = map.next_value()?,
                "apiVersion" => review.api_version = map.next_value()?,
                "request" => review.request = map.next_value_seed(RequestSeed(self.0))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(review)
    }
}

/// A request whose objects are decoded, but not yet paired.
#[derive(Default)]
struct RawRequest<'a> {
    uid: Option<Text<'a>>,
    /// `target.operation` is this one, once it is read.
    operation: Option<Text<'a>>,
    target: Target<'a>,
    user: User<'a>,
    dry_run: bool,
    objects: Objects<'a>,
}

/// `object` and `oldObject`; `None` is absent or `null`.
#[derive(Default)]
#[expect(clippy::large_enum_variant, reason = "one a request, and pods are what it is about")]
enum Objects<'a> {
    #[default]
    Unseen,
    Skipped,
    Raw(Sides<&'a RawValue>),
    Pod(Sides<Pod<'a>>),
    Binding(Sides<Binding<'a>>),
    Workload(WorkloadKind, Box<Sides<Workload<'a>>>),
    Node(Sides<Node<'a>>),
    Namespace(Sides<MetadataOnly<'a>>),
}

struct Sides<T> {
    new: Option<T>,
    old: Option<T>,
}

impl<T> Default for Sides<T> {
    fn default() -> Self {
        Self { new: None, old: None }
    }
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct MetadataOnly<'a> {
    #[serde(default)]
    metadata: Option<Metadata<'a>>,
}

#[derive(Clone, Copy)]
enum Side {
    New,
    Old,
}

struct RequestSeed<'f, F>(Order<'f, F>);

impl<'de, F: Fn(&Target<'_>) -> Reads> DeserializeSeed<'de> for RequestSeed<'_, F> {
    type Value = Option<RawRequest<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: Fn(&Target<'_>) -> Reads> de::Visitor<'de> for RequestSeed<'_, F> {
    type Value = Option<RawRequest<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an admission request")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self(order) = self;
        let mut request = RawRequest::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            let is_target =
                matches!(&*key, "resource" | "subResource" | "name" | "namespace" | "operation");
            if is_target && !order.raw && !matches!(request.objects, Objects::Unseen) {
                order.is_mixed.set(true);
                return Err(de::Error::custom("the objects come before what tells their kind"));
            }
            let target = &mut request.target;
            match key.as_str() {
                "uid" => request.uid = Some(map.next_value()?),
                "resource" => {
                    let GroupVersionResource { group, version, resource } = map.next_value()?;
                    (target.group, target.version, target.resource) = (group, version, resource);
                }
                "subResource" => target.sub_resource = map.next_value()?,
                "name" => target.name = map.next_value()?,
                "namespace" => target.namespace = map.next_value()?,
                "operation" => {
                    let text = map.next_value::<Text<'de>>()?;
                    target.operation = operation(&text).unwrap_or_default();
                    request.operation = Some(text);
                }
                "userInfo" => {
                    let UserInfo { username, groups } = map.next_value()?;
                    request.user = User { name: username, groups: groups.unwrap_or_default() };
                }
                "dryRun" => request.dry_run = map.next_value::<Option<bool>>()?.unwrap_or(false),
                "object" => request.read_object(Side::New, order, &mut map)?,
                "oldObject" => request.read_object(Side::Old, order, &mut map)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Some(request))
    }
}

#[derive(Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), default)]
struct GroupVersionResource<'a> {
    group: Text<'a>,
    version: Text<'a>,
    resource: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"), default)]
struct UserInfo<'a> {
    username: Text<'a>,
    groups: Option<Vec<Text<'a>>>,
}

fn operation(text: &str) -> Option<Operation> {
    use Operation::{Connect, Create, Delete, Update};
    [Create, Update, Delete, Connect].into_iter().find(|operation| operation.as_str() == text)
}

impl<'de> RawRequest<'de> {
    fn read_object<A: MapAccess<'de>, F: Fn(&Target<'_>) -> Reads>(
        &mut self,
        side: Side,
        order: Order<'_, F>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        if let Objects::Unseen = self.objects {
            let reads = (order.reads)(&self.target);
            self.objects = if order.raw || reads.whole {
                Objects::Raw(Sides::default())
            } else {
                Objects::of(reads.view)
            };
        }
        match &mut self.objects {
            Objects::Unseen | Objects::Skipped => map.next_value::<IgnoredAny>().map(drop),
            Objects::Raw(sides) => sides.fill(side, map),
            Objects::Pod(sides) => sides.fill(side, map),
            Objects::Binding(sides) => sides.fill(side, map),
            Objects::Workload(_, sides) => sides.fill(side, map),
            Objects::Node(sides) => sides.fill(side, map),
            Objects::Namespace(sides) => sides.fill(side, map),
        }
    }

    /// Pairs the objects, and decodes those that were kept as text.
    fn finish(self, reads: impl Fn(&Target<'_>) -> Reads) -> Result<Request<'de>, Malformed> {
        let Self { uid, operation: asked, target, user, dry_run, objects } = self;
        let told = |text: Option<Text<'de>>, part| {
            text.filter(|text| !text.is_empty()).ok_or(Malformed::Missing(part))
        };
        let uid = told(uid, "request.uid")?;
        let asked = told(asked, "request.operation")?;
        if operation(&asked).is_none() {
            return Err(Malformed::Operation(asked.to_string()));
        }
        if target.resource.is_empty() {
            return Err(Malformed::Missing("request.resource"));
        }
        let mut whole = None;
        let mut objects = objects;
        if let Objects::Raw(raw) = objects {
            let reads = reads(&target);
            if reads.whole {
                whole = Some(raw.decode::<Value>()?.into_change(target.operation)?);
            }
            objects = Objects::decode(reads.view, &raw)?;
        } else if let Objects::Unseen = objects {
            // Neither object is there, which a view that needs one must say.
            let reads = reads(&target);
            if reads.whole {
                whole = Some(Sides::default().into_change(target.operation)?);
            }
            objects = Objects::of(reads.view);
        }
        let subject = objects.into_subject(target.operation)?;
        Ok(Request { uid, target, user, dry_run, subject, whole })
    }
}

impl<'de> Objects<'de> {
    fn of(view: View) -> Self {
        match view {
            View::Unread => Self::Skipped,
            View::Pod => Self::Pod(Sides::default()),
            View::Binding => Self::Binding(Sides::default()),
            View::Workload(kind) => Self::Workload(kind, Box::default()),
            View::Node => Self::Node(Sides::default()),
            View::Namespace => Self::Namespace(Sides::default()),
        }
    }

    fn decode(view: View, raw: &Sides<&'de RawValue>) -> Result<Self, serde_json::Error> {
        Ok(match view {
            View::Unread => Self::Skipped,
            View::Pod => Self::Pod(raw.decode()?),
            View::Binding => Self::Binding(raw.decode()?),
            View::Workload(kind) => Self::Workload(kind, Box::new(raw.decode()?)),
            View::Node => Self::Node(raw.decode()?),
            View::Namespace => Self::Namespace(raw.decode()?),
        })
    }

    fn into_subject(self, operation: Operation) -> Result<Subject<'de>, Malformed> {
        Ok(match self {
            Self::Unseen | Self::Skipped | Self::Raw(_) => Subject::Unread,
            Self::Pod(sides) => Subject::Pod(sides.into_change(operation)?),
            Self::Binding(sides) => {
                Subject::Binding(sides.new.ok_or(Malformed::Missing("request.object"))?)
            }
            Self::Workload(kind, sides) => {
                Subject::Workload(kind, Box::new(sides.into_change(operation)?))
            }
            Self::Node(sides) => Subject::Node(sides.into_change(operation)?),
            // The name is in the request as well, so that a deletion without object can be judged.
            Self::Namespace(sides) => {
                let metadata = sides.old.and_then(|namespace| namespace.metadata);
                Subject::Namespace(metadata.unwrap_or_default())
            }
        })
    }
}

impl<T> Sides<T> {
    fn fill<'de, A: MapAccess<'de>>(&mut self, side: Side, map: &mut A) -> Result<(), A::Error>
    where
        T: Deserialize<'de>,
    {
        let object = map.next_value::<Option<T>>()?;
        match side {
            Side::New => self.new = object,
            Side::Old => self.old = object,
        }
        Ok(())
    }

    fn into_change(self, operation: Operation) -> Result<Change<T>, Malformed> {
        let new = || self.new.ok_or(Malformed::Missing("request.object"));
        let missing_old = Malformed::Missing("request.oldObject");
        match operation {
            Operation::Update => {
                let old = self.old.ok_or(missing_old)?;
                Ok(Change::Update { old, new: new()? })
            }
            Operation::Delete => Ok(Change::Delete { old: self.old.ok_or(missing_old)? }),
            Operation::Create | Operation::Connect => Ok(Change::Create { new: new()? }),
        }
    }
}

impl<'de> Sides<&'de RawValue> {
    fn decode<T: Deserialize<'de>>(&self) -> Result<Sides<T>, serde_json::Error> {
        let decode =
            |raw: Option<&'de RawValue>| raw.map(|raw| serde_json::from_str(raw.get())).transpose();
        Ok(Sides { new: decode(self.new)?, old: decode(self.old)? })
    }
}
