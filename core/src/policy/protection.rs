//! Protected objects: those whose named fields hold a pool's role together.

use std::sync::Arc;

use jsonptr::PointerBuf;

use crate::kubernetes::{name::Glob, object::NodePoolKind, resource::GroupResource};

/// What of a role that a protected binding refers to may not change.
pub const ROLE_FIELDS: [&str; 2] = ["/rules", "/aggregationRule"];

/// Objects with this label are reconciled by the API server at its start.
pub const BOOTSTRAPPING_LABEL: &str = "kubernetes.io/bootstrapping";
/// The label's value for roles and their bindings.
pub const BOOTSTRAPPING: &str = "rbac-defaults";

/// Objects to protect, from the config or from a preset.
#[derive(Clone, Debug)]
pub struct Protected {
    /// Name of the entry, for people and records.
    pub name: String,
    /// Which resource, in any version.
    pub resource: GroupResource,
    /// Which namespaces.
    pub namespaces: Namespaces,
    /// Which objects; `*` for all.
    pub names: Vec<Glob>,
    /// What of the object itself makes it one to protect.
    pub recognition: Recognition,
    /// What of it may not change.
    pub guard: GuardedFields,
    /// Whether the config names it, so that its namespace may not be deleted either.
    pub origin: Origin,
}

/// Where an entry comes from.
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
    /// Any, and cluster-scoped objects.
    Any,
    /// These.
    Named(Glob),
    /// Those that the config gives to AutoMQ.
    AutoMq,
}

/// How an object shows that it is one to protect.
#[derive(Clone, Debug)]
pub enum Recognition {
    /// Name and namespace suffice.
    Always,
    /// One of the guarded fields is there.
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
    /// `None`: any value.
    pub value: Option<String>,
}

/// What of a protected object may not change. DELETE is denied in either case.
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
    /// RFC 6901.
    pub pointer: PointerBuf,
    /// What counts as a change.
    pub change: FieldChange,
}

/// What counts as a change of a guarded field.
#[derive(Clone, Debug)]
pub enum FieldChange {
    /// Any change of the value.
    Any,
    /// Change or removal; setting what was absent is not one.
    OnceSet,
    /// The field holds a YAML list as text: these items must stay as they are.
    Items(Vec<KeepItem>),
}

/// Items of a list that must stay: those with `by == value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepItem {
    /// A key of the items.
    pub by: String,
    /// Its value.
    pub value: String,
}
