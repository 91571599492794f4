//! The names by which the objects of an installation are found.

/// The names of the objects of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallationNames {
    /// The name of the release, and of both webhook configurations and the Lease.
    pub release: String,
    /// The name of the Secret of the certificate authority.
    pub authority: String,
    /// The name of the ClusterRole that owns the webhook configurations.
    pub owner: Option<String>,
}

impl InstallationNames {
    /// Returns the names of the objects of a release.
    pub fn of(release: &str, owner: Option<String>) -> Self {
        Self { release: release.to_owned(), authority: format!("{release}-ca"), owner }
    }
}
