//! The machine types that a pool may have: its own list, or the provider's catalog.

use super::{Policy, pool::Pool};

/// A list of machine types, with where it comes from.
#[derive(Clone, Debug)]
pub struct ApprovedTypes<'p> {
    /// The names of the machine types.
    pub names: Vec<&'p str>,
    /// The source of the list.
    pub source: TypeSource,
}

/// The source of a list of machine types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeSource {
    /// The config, for this pool.
    Pool,
    /// The provider's catalog, whose entries AutoMQ published or the config names.
    Published,
    /// The provider's catalog, with entries of examples.
    Unpublished,
}

impl TypeSource {
    /// Whether another type may be denied, not only warned about.
    pub fn is_authoritative(self) -> bool {
        match self {
            Self::Pool | Self::Published => true,
            Self::Unpublished => false,
        }
    }
}

impl Policy {
    /// Returns the machine types that a pool may have: its own list, or else the provider's catalog. `pool` is
    /// `None` for a pool that the config does not declare. Returns `None` if the pool has no list of its own
    /// and the catalog is empty.
    pub fn approved_types<'p>(&'p self, pool: Option<&'p Pool>) -> Option<ApprovedTypes<'p>> {
        if let Some(own) = pool.and_then(|pool| pool.machine_types.as_ref()) {
            let names = own.iter().map(String::as_str).collect();
            return Some(ApprovedTypes { names, source: TypeSource::Pool });
        }
        let catalog = &self.machine_types;
        let names: Vec<&str> = catalog.names.iter().map(|entry| entry.name.as_str()).collect();
        let is_published = catalog.is_authoritative();
        let source = if is_published { TypeSource::Published } else { TypeSource::Unpublished };
        (!names.is_empty()).then_some(ApprovedTypes { names, source })
    }

    /// The name of the provider in sentences.
    pub fn provider_name(&self) -> &'static str {
        self.provider.map_or("this provider", |provider| provider.as_str())
    }
}
