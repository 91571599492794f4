//! Protected objects: those whose named fields hold a pool's role together.

use std::sync::Arc;

use jsonptr::PointerBuf;

use crate::kubernetes::{name::Glob, object::NodePoolKind, resource::GroupResource};

/// The fields of a role that may not change while a protected binding refers to the role.
pub const ROLE_FIELDS: [&str; 2] = ["/rules", "/aggregationRule"];

/// The label of objects that the API server reconciles at its start.
pub const BOOTSTRAPPING_LABEL: &str = "kubernetes.io/bootstrapping";
/// The label's value for roles and their bindings.
pub const BOOTSTRAPPING: &str = "rbac-defaults";

/// An object that PoolGuard reads by its name: one that the config protects by its exact name, or the ConfigMap
/// `aws-auth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedObject {
    /// The resource of the object.
    pub resource: GroupResource,
    /// The namespace; `None` if the config allows any, or the object has none.
    pub namespace: Option<String>,
    /// The name of the object.
    pub name: String,
}

/// Objects to protect, from the config or from a preset.
#[derive(Clone, Debug)]
pub struct Protected {
    /// Name of the entry, for people and records.
    pub name: String,
    /// The resource, in any version.
    pub resource: GroupResource,
    /// The namespaces of the objects.
    pub namespaces: Namespaces,
    /// The names of the objects; `*` for all.
    pub names: Vec<Glob>,
    /// The sign by which an object itself shows that it is one to protect.
    pub recognition: Recognition,
    /// The fields of the object that may not change.
    pub guard: GuardedFields,
    /// The source of the entry. If it is the config, the namespace of the objects may not be deleted either.
    pub origin: Origin,
}

/// The source of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `protected` in the config.
    Config,
    /// A preset, compiled in.
    Preset,
}

/// Namespaces of protected objects.
#[derive(Clone, Debug)]
pub enum Namespaces {
    /// Any namespace, and cluster-scoped objects.
    Any,
    /// The namespaces that match this glob.
    Named(Glob),
    /// The namespaces that the config gives to AutoMQ.
    AutoMq,
}

/// The sign by which an object shows that it is one to protect.
#[derive(Clone, Debug)]
pub enum Recognition {
    /// The name and the namespace suffice.
    Always,
    /// The object has one of the guarded fields.
    HoldsAField,
    /// A binding whose subjects are service accounts of AutoMQ's namespaces, or that carries one of
    /// AutoMQ's labels.
    AutoMqBinding {
        /// Labels that AutoMQ puts on its objects.
        labels: Vec<LabelMark>,
    },
    /// An object that gives nodes of a pool their role: it has the pool's taint or labels, or names the role, or
    /// the snapshot holds an object that does and refers to it.
    NodePool(Arc<NodePoolKind>),
}

/// A label that marks an object as AutoMQ's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMark {
    /// Label key.
    pub key: String,
    /// The label value; `None` for any value.
    pub value: Option<String>,
}

/// The fields of a protected object that may not change. PoolGuard denies DELETE in either case.
#[derive(Clone, Debug)]
pub enum GuardedFields {
    /// Everything outside `metadata` and `status`.
    Content,
    /// The values at these pointers.
    Fields(Vec<Field>),
}

/// A guarded field.
#[derive(Clone, Debug)]
pub struct Field {
    /// The pointer to the field (RFC 6901).
    pub pointer: PointerBuf,
    /// The changes of the field that count.
    pub change: FieldChange,
}

/// The changes of a guarded field that count.
#[derive(Clone, Debug)]
pub enum FieldChange {
    /// Any change of the value.
    Any,
    /// Change or removal; setting what was absent is not one.
    OnceSet,
    /// A change of one of these items, where the field holds a YAML list as text.
    Items(Vec<KeepItem>),
}

/// Items of a list that must stay: those with `by == value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepItem {
    /// A key of the items.
    pub by: String,
    /// The value of this key.
    pub value: String,
}
