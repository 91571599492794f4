//! The parts of an admission request that rules read.

use super::principal::User;
use crate::kubernetes::resource::{Resource, V1, version_read};
use crate::{
    json::text::Text,
    kubernetes::object::{
        Binding, Metadata, Node, OwnerReference, Pod, RawObject, Workload, WorkloadKind,
    },
};

/// An admission request. Made by [`crate::admission::review`] only.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The identifier of the request, which the answer repeats.
    pub uid: Text<'a>,
    /// The operation and the resource.
    pub target: Target<'a>,
    /// The user who sends the request.
    pub user: User<'a>,
    /// Whether the request is a dry run, so that nothing will be stored.
    pub dry_run: bool,
    /// The objects, in the view that the rules have of this resource.
    pub subject: RequestObjects<'a>,
    /// The objects as they are, where an entry of the protected objects covers them.
    pub raw_objects: Option<Change<RawObject<'a>>>,
}

impl<'a> Request<'a> {
    /// `metadata` of the object as it will be, or as it is if the request deletes it; `None` if no rule has a
    /// view of the object.
    pub fn metadata(&self) -> Option<&Metadata<'a>> {
        match &self.subject {
            RequestObjects::Irrelevant => None,
            RequestObjects::Pod(change) => Some(&change.latest().metadata),
            RequestObjects::Binding(binding) => Some(&binding.metadata),
            RequestObjects::Workload(_, change) => Some(&change.latest().metadata),
            RequestObjects::Node(change) => Some(&change.latest().metadata),
            RequestObjects::Namespace(metadata) => Some(metadata),
        }
    }

    /// The owner that controls the object.
    pub fn controller(&self) -> Option<&OwnerReference<'a>> {
        self.metadata()?.controller()
    }

    /// The object's name, with a `*` for the part of it that the API server has yet to make.
    /// In two parts.
    pub fn name_parts(&self) -> [&str; 2] {
        match self.metadata() {
            _ if !self.target.name.is_empty() => [&self.target.name, ""],
            Some(metadata) => metadata.name_parts(),
            None => [""; 2],
        }
    }
}

/// Operation and resource.
#[derive(Clone, Debug, Default)]
pub struct Target<'a> {
    /// The operation.
    pub operation: Operation,
    /// API group; empty for the core group.
    pub group: Text<'a>,
    /// API version.
    pub version: Text<'a>,
    /// The plural name of the resource.
    pub resource: Text<'a>,
    /// The subresource; empty for the resource itself.
    pub sub_resource: Text<'a>,
    /// The namespace; empty for cluster-scoped resources.
    pub namespace: Text<'a>,
    /// The name; empty for a CREATE with `generateName`, and for a DELETECOLLECTION.
    pub name: Text<'a>,
}

impl Target<'_> {
    /// A copy that borrows nothing.
    pub fn to_static(&self) -> Target<'static> {
        let Self { operation, group, version, resource, sub_resource, namespace, name } = self;
        let own = |text: &Text<'_>| Text::from(text.to_string());
        Target {
            operation: *operation,
            group: own(group),
            version: own(version),
            resource: own(resource),
            sub_resource: own(sub_resource),
            namespace: own(namespace),
            name: own(name),
        }
    }

    /// The version in which PoolGuard reads this resource, if the request has it in another one.
    pub fn expected_version(&self) -> Option<&'static str> {
        // Nearly all requests end here.
        if self.version == V1 {
            return None;
        }
        version_read(&self.group, &self.resource)
    }

    /// Returns the resource with its subresource: `pods`, or `pods/binding`.
    pub fn full_resource(&self) -> String {
        if self.sub_resource.is_empty() {
            self.resource.to_string()
        } else {
            format!("{}/{}", self.resource, self.sub_resource)
        }
    }
}

/// The operation on an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Operation {
    /// CREATE
    #[default]
    Create,
    /// UPDATE
    Update,
    /// DELETE
    Delete,
    /// CONNECT
    Connect,
}

impl Operation {
    /// The name of the operation as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// The change of an object.
#[derive(Clone, Debug)]
pub enum Change<T> {
    /// The creation of an object.
    Create {
        /// The object.
        new: T,
    },
    /// The update of an object.
    Update {
        /// The object as it is.
        old: T,
        /// The object as it will be.
        new: T,
    },
    /// The deletion of an object.
    Delete {
        /// The object as it is.
        old: T,
    },
}

impl<T> Change<T> {
    /// The object as it will be, or as it is if the request deletes it.
    pub fn latest(&self) -> &T {
        match self {
            Self::Create { new } | Self::Update { old: _, new } => new,
            Self::Delete { old } => old,
        }
    }
}

/// The objects of a request.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "made once a request and never moved again")]
pub enum RequestObjects<'a> {
    /// An object that no rule reads.
    Irrelevant,
    /// `pods`
    Pod(Change<Pod<'a>>),
    /// `pods/binding` or `bindings`
    Binding(Binding<'a>),
    /// A workload.
    Workload(WorkloadKind, Box<Change<Workload<'a>>>),
    /// `nodes` or `nodes/status`
    Node(Change<Node<'a>>),
    /// `namespaces`, DELETE only.
    Namespace(Metadata<'a>),
}

/// The view that the rules have of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The view of a resource that no rule reads.
    Irrelevant,
    /// [`RequestObjects::Pod`]
    Pod,
    /// [`RequestObjects::Binding`]
    Binding,
    /// [`RequestObjects::Workload`]
    Workload(WorkloadKind),
    /// [`RequestObjects::Node`]
    Node,
    /// [`RequestObjects::Namespace`]
    Namespace,
}

/// The parts of a request's objects that must be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    /// The view.
    pub view: View,
    /// Whether the objects are also needed as they are.
    pub raw_objects: bool,
}

impl Reads {
    /// The value for a request that no rule is about.
    pub const NOTHING: Self = Self { view: View::Irrelevant, raw_objects: false };
}

impl View {
    /// The view of a resource under an operation, whatever the version: the API server converts to the
    /// registered version (`matchPolicy: Equivalent`), and `review::parse` rejects any other.
    pub fn of(target: &Target<'_>) -> Self {
        let Target { operation, group, version: _, resource, sub_resource, namespace: _, name: _ } =
            target;
        let writes = matches!(operation, Operation::Create | Operation::Update);
        match (group.as_str(), resource.as_str(), sub_resource.as_str(), operation) {
            ("", "pods", "", _) if writes => Self::Pod,
            ("", "pods", "binding", Operation::Create)
            | ("", "bindings", "", Operation::Create) => Self::Binding,
            ("", "nodes", "", _) if writes => Self::Node,
            ("", "nodes", "status", Operation::Update) => Self::Node,
            ("", "namespaces", "", Operation::Delete) => Self::Namespace,
            (group, plural, "", _) if writes => Resource::of_plural(group, plural)
                .and_then(WorkloadKind::of)
                .map_or(Self::Irrelevant, Self::Workload),
            _ => Self::Irrelevant,
        }
    }
}
