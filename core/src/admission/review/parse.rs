//! Reading of a review's bytes into a request, in one pass.
//!
//! The API server writes operation and resource before the objects, so that the objects are decoded
//! straight into the view that the rules have of them, and everything else is skipped. A review in
//! another order is read a second time, from the objects' raw text.

use std::mem;

use super::{API_VERSION, KIND, Malformed};
use crate::{
    json::{
        self, Cursor, JsonError, Read, read_object,
        text::{Text, cut},
    },
    kubernetes::object::{Binding, Metadata, Node, Pod, Workload, WorkloadKind},
    policy::{
        principal::User,
        request::{Change, Operation, Reads, Request, RequestObjects, Target, View},
    },
};

/// Reads a review. `reads` says which view of its objects is wanted.
pub fn parse(body: &[u8], reads: impl Fn(&Target<'_>) -> Reads) -> Result<Request<'_>, Malformed> {
    // Checked once for the whole body, and not again for every string.
    let body = std::str::from_utf8(body).map_err(Malformed::Utf8)?;
    let mut review = Review::default();
    let read = match review.read(body, &reads, Order::Direct) {
        // In the wrong view, a sound object can look broken before the disorder shows. One that is too
        // long is not worth a second look.
        Err(Interruption::Json(error)) if error.is_bound() => Err(error.into()),
        Err(_) => {
            review = Review::default();
            review.read(body, &reads, Order::Later)
        }
        Ok(()) => Ok(()),
    };
    match read {
        Err(Interruption::Json(error)) if !body.trim_ascii_start().starts_with('{') => {
            return Err(Malformed::NoObject(error));
        }
        Err(Interruption::Json(error)) => return Err(error.into()),
        Err(Interruption::Disorder) => return Err(Malformed::Missing("request.operation")),
        Ok(()) => {}
    }
    let Review { kind, api_version, request } = &mut review;
    if kind != KIND || api_version != API_VERSION {
        let [kind, api_version] = [kind, api_version].map(|it| cut(it.to_string(), 64));
        return Err(Malformed::Version { kind, api_version });
    }
    request.as_mut().ok_or(Malformed::Missing("request"))?.finish(reads)
}

/// The way in which objects are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Objects are decoded straight into their view.
    Direct,
    /// Objects are kept as text, and decoded at the end.
    Later,
}

/// The reason why reading stopped.
enum Interruption {
    Json(JsonError),
    /// An object came before one of the fields that choose its view.
    Disorder,
}

impl From<JsonError> for Interruption {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

#[derive(Default)]
struct Review<'a> {
    kind: Text<'a>,
    api_version: Text<'a>,
    request: Option<RawRequest<'a>>,
}

impl<'a> Review<'a> {
    fn read(
        &mut self,
        body: &'a str,
        reads: &impl Fn(&Target<'_>) -> Reads,
        order: Order,
    ) -> Result<(), Interruption> {
        let mut cursor = Cursor::of_request(body);
        cursor.object(|key, cursor| {
            match key.as_str() {
                "kind" => cursor.fill(&mut self.kind)?,
                "apiVersion" => cursor.fill(&mut self.api_version)?,
                "request" if cursor.takes_null()? => self.request = None,
                "request" => {
                    let request = self.request.insert(RawRequest::default());
                    request.read(cursor, reads, order)?;
                }
                _ => cursor.skip()?,
            }
            Ok::<_, Interruption>(())
        })?;
        Ok(cursor.end()?)
    }
}

/// A request whose objects are decoded, but not yet paired.
#[derive(Default)]
struct RawRequest<'a> {
    uid: Text<'a>,
    /// The text of the operation; `target.operation` holds the same operation once the text is read.
    operation: Text<'a>,
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
    Raw(Sides<Raw<'a>>),
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

/// The text of an object, for later.
#[derive(Default)]
struct Raw<'a>(&'a str);

impl<'a> Read<'a> for Raw<'a> {
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        self.0 = cursor.raw()?;
        Ok(())
    }
}

#[derive(Default)]
struct MetadataOnly<'a> {
    metadata: Metadata<'a>,
}

read_object!(MetadataOnly { "metadata" => metadata });

#[derive(Clone, Copy)]
enum Side {
    New,
    Old,
}

/// Checks the length of each text that comes back in an answer, a record or a metric against the bounds of
/// Kubernetes. Names of roles have no bound of their own, so `request.name` may be longer than the others.
fn check_lengths(uid: &Text<'_>, target: &Target<'_>) -> Result<(), Malformed> {
    let Target { operation: _, group, version, resource, sub_resource, namespace, name } = target;
    let parts = [
        (uid, "request.uid", 128),
        (group, "request.resource.group", 253),
        (version, "request.resource.version", 63),
        (resource, "request.resource.resource", 253),
        (sub_resource, "request.subResource", 253),
        (namespace, "request.namespace", 253),
        (name, "request.name", 1_024),
    ];
    match parts.into_iter().find(|(text, _, most)| text.len() > *most) {
        Some((text, part, most)) => Err(Malformed::TooLong { part, bytes: text.len(), most }),
        None => Ok(()),
    }
}

#[derive(Default)]
struct GroupVersionResource<'a> {
    group: Text<'a>,
    version: Text<'a>,
    resource: Text<'a>,
}

read_object!(GroupVersionResource {
    "group" => group,
    "version" => version,
    "resource" => resource,
});
read_object!(User { "username" => name, "groups" => groups });

fn operation(text: &str) -> Option<Operation> {
    use Operation::{Connect, Create, Delete, Update};
    [Create, Update, Delete, Connect].into_iter().find(|operation| operation.as_str() == text)
}

impl<'a> RawRequest<'a> {
    fn read(
        &mut self,
        cursor: &mut Cursor<'a>,
        reads: &impl Fn(&Target<'_>) -> Reads,
        order: Order,
    ) -> Result<(), Interruption> {
        cursor.object(|key, cursor| {
            let is_target =
                matches!(&*key, "resource" | "subResource" | "name" | "namespace" | "operation");
            if is_target && order == Order::Direct && !matches!(self.objects, Objects::Unseen) {
                return Err(Interruption::Disorder);
            }
            let target = &mut self.target;
            match key.as_str() {
                "uid" => cursor.fill(&mut self.uid)?,
                "resource" => {
                    let GroupVersionResource { group, version, resource } = cursor.value()?;
                    (target.group, target.version, target.resource) = (group, version, resource);
                }
                "subResource" => cursor.fill(&mut target.sub_resource)?,
                "name" => cursor.fill(&mut target.name)?,
                "namespace" => cursor.fill(&mut target.namespace)?,
                "operation" => {
                    cursor.fill(&mut self.operation)?;
                    target.operation = operation(&self.operation).unwrap_or_default();
                }
                "userInfo" => cursor.fill(&mut self.user)?,
                "dryRun" => cursor.fill(&mut self.dry_run)?,
                "object" => self.read_object(Side::New, reads, order, cursor)?,
                "oldObject" => self.read_object(Side::Old, reads, order, cursor)?,
                _ => cursor.skip()?,
            }
            Ok(())
        })
    }

    fn read_object(
        &mut self,
        side: Side,
        reads: &impl Fn(&Target<'_>) -> Reads,
        order: Order,
        cursor: &mut Cursor<'a>,
    ) -> Result<(), Interruption> {
        if let Objects::Unseen = self.objects {
            if order == Order::Direct && self.operation.is_empty() {
                return Err(Interruption::Disorder);
            }
            let reads = reads(&self.target);
            // In a version that is not read, an object need not look like its view.
            let is_text = order == Order::Later
                || reads.raw_objects
                || self.target.expected_version().is_some();
            self.objects =
                if is_text { Objects::Raw(Sides::default()) } else { Objects::of(reads.view) };
        }
        match &mut self.objects {
            Objects::Unseen | Objects::Skipped => cursor.skip()?,
            Objects::Raw(sides) => sides.fill(side, cursor)?,
            Objects::Pod(sides) => sides.fill(side, cursor)?,
            Objects::Binding(sides) => sides.fill(side, cursor)?,
            Objects::Workload(_, sides) => sides.fill(side, cursor)?,
            Objects::Node(sides) => sides.fill(side, cursor)?,
            Objects::Namespace(sides) => sides.fill(side, cursor)?,
        }
        Ok(())
    }

    /// Pairs the objects, and decodes those that were kept as text.
    fn finish(&mut self, reads: impl Fn(&Target<'_>) -> Reads) -> Result<Request<'a>, Malformed> {
        let Self { uid, operation: asked, target, user, dry_run, objects } = self;
        let parts = [
            (&*uid, "request.uid"),
            (&*asked, "request.operation"),
            (&target.resource, "request.resource"),
        ];
        if let Some((_, part)) = parts.into_iter().find(|(text, _)| text.is_empty()) {
            return Err(Malformed::Missing(part));
        }
        if operation(asked).is_none() {
            return Err(Malformed::Operation(cut(asked.to_string(), 64)));
        }
        check_lengths(uid, target)?;
        if let Some(expected) = target.expected_version()
            && reads(target) != Reads::NOTHING
        {
            return Err(Malformed::ResourceVersion {
                group: target.group.to_string(),
                found: target.version.to_string(),
                resource: target.resource.to_string(),
                expected,
            });
        }
        let mut raw_objects = None;
        if let Objects::Raw(raw) = objects {
            let reads = reads(target);
            if reads.raw_objects {
                raw_objects = Some(raw.decode()?.take_change(target.operation)?);
            }
            *objects = Objects::decode(reads.view, raw)?;
        } else if let Objects::Unseen = objects {
            // Neither object is there, which a view that needs one must say.
            let reads = reads(target);
            if reads.raw_objects {
                raw_objects = Some(Sides::default().take_change(target.operation)?);
            }
            *objects = Objects::of(reads.view);
        }
        Ok(Request {
            subject: objects.take_subject(target.operation)?,
            uid: mem::take(uid),
            target: mem::take(target),
            user: mem::take(user),
            dry_run: *dry_run,
            raw_objects,
        })
    }
}

impl<'a> Objects<'a> {
    fn of(view: View) -> Self {
        match view {
            View::Irrelevant => Self::Skipped,
            View::Pod => Self::Pod(Sides::default()),
            View::Binding => Self::Binding(Sides::default()),
            View::Workload(kind) => Self::Workload(kind, Box::default()),
            View::Node => Self::Node(Sides::default()),
            View::Namespace => Self::Namespace(Sides::default()),
        }
    }

    fn decode(view: View, raw: &Sides<Raw<'a>>) -> Result<Self, JsonError> {
        Ok(match view {
            View::Irrelevant => Self::Skipped,
            View::Pod => Self::Pod(raw.decode()?),
            View::Binding => Self::Binding(raw.decode()?),
            View::Workload(kind) => Self::Workload(kind, Box::new(raw.decode()?)),
            View::Node => Self::Node(raw.decode()?),
            View::Namespace => Self::Namespace(raw.decode()?),
        })
    }

    fn take_subject(&mut self, operation: Operation) -> Result<RequestObjects<'a>, Malformed> {
        Ok(match self {
            Self::Unseen | Self::Skipped | Self::Raw(_) => RequestObjects::Irrelevant,
            Self::Pod(sides) => RequestObjects::Pod(sides.take_change(operation)?),
            Self::Binding(sides) => {
                let binding = sides.new.take().ok_or(Malformed::Missing("request.object"))?;
                RequestObjects::Binding(binding)
            }
            Self::Workload(kind, sides) => {
                RequestObjects::Workload(*kind, Box::new(sides.take_change(operation)?))
            }
            Self::Node(sides) => RequestObjects::Node(sides.take_change(operation)?),
            // The name is in the request as well, so that a deletion without object can be judged.
            Self::Namespace(sides) => {
                let metadata = sides.old.take().map(|namespace| namespace.metadata);
                RequestObjects::Namespace(metadata.unwrap_or_default())
            }
        })
    }
}

impl<T> Sides<T> {
    fn fill<'a>(&mut self, side: Side, cursor: &mut Cursor<'a>) -> Result<(), JsonError>
    where
        T: Read<'a>,
    {
        match side {
            Side::New => cursor.fill(&mut self.new),
            Side::Old => cursor.fill(&mut self.old),
        }
    }

    fn take_change(&mut self, operation: Operation) -> Result<Change<T>, Malformed> {
        let Self { new, old } = self;
        let new = new.take().ok_or(Malformed::Missing("request.object"));
        let old = old.take().ok_or(Malformed::Missing("request.oldObject"));
        match operation {
            Operation::Update => Ok(Change::Update { old: old?, new: new? }),
            Operation::Delete => Ok(Change::Delete { old: old? }),
            Operation::Create | Operation::Connect => Ok(Change::Create { new: new? }),
        }
    }
}

impl<'a> Sides<Raw<'a>> {
    fn decode<T: Read<'a>>(&self) -> Result<Sides<T>, JsonError> {
        let decode = |raw: &Option<Raw<'a>>, key| {
            let read = |Raw(text): &Raw<'a>| {
                json::from_request(text).map_err(|error| error.within(&["request", key]))
            };
            raw.as_ref().map(read).transpose()
        };
        Ok(Sides { new: decode(&self.new, "object")?, old: decode(&self.old, "oldObject")? })
    }
}
