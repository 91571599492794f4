//! The custom resources that an API server serves. Every authenticated user may read them (`system:discovery`).

use std::collections::BTreeSet;

use kube::Client;
use serde::Deserialize;

use super::client;
use crate::kubernetes::resource::GroupResource;

/// A resource that the API server serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedResource {
    /// The group and the plural of the resource, in any version.
    pub resource: GroupResource,
    /// The path that lists its objects of every namespace, in the version that the API server prefers.
    pub path: String,
}

/// Returns the resources of these groups that the API server serves. Sends one request, and one more for
/// each of the groups that the API server has.
pub async fn served(
    client: &Client,
    groups: &BTreeSet<&str>,
) -> Result<Vec<ServedResource>, kube::Error> {
    let ApiGroups { groups: found } = read(client, "/apis").await?;
    let mut served = Vec::new();
    for ApiGroup { name, preferred_version } in found {
        if !groups.contains(name.as_str()) {
            continue;
        }
        let base = format!("/apis/{}", preferred_version.group_version);
        served.extend(resources(client, &base).await?.into_iter().map(|plural| ServedResource {
            path: format!("{base}/{plural}"),
            resource: GroupResource { group: name.clone(), resource: plural },
        }));
    }
    Ok(served)
}

/// Returns the plurals of the resources that the API server serves at `/apis/GROUP/VERSION`, without
/// subresources.
pub async fn resources(client: &Client, base: &str) -> Result<Vec<String>, kube::Error> {
    let ApiResources { resources } = read(client, base).await?;
    // A subresource has a slash.
    let names = resources.into_iter().map(|ApiResource { name }| name);
    Ok(names.filter(|name| !name.contains('/')).collect())
}

async fn read<T: for<'a> Deserialize<'a>>(client: &Client, path: &str) -> Result<T, kube::Error> {
    let request = http::Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
    let text = client::text(client, request).await?;
    serde_json::from_str(&text).map_err(kube::Error::SerdeError)
}

#[derive(Deserialize)]
struct ApiGroups {
    groups: Vec<ApiGroup>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiGroup {
    name: String,
    preferred_version: GroupVersion,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GroupVersion {
    group_version: String,
}

#[derive(Deserialize)]
struct ApiResources {
    resources: Vec<ApiResource>,
}

#[derive(Deserialize)]
struct ApiResource {
    name: String,
}
