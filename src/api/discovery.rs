//! Which custom resources an API server serves. Every authenticated user may ask (`system:discovery`).

use std::collections::BTreeSet;

use kube::Client;
use serde::Deserialize;

use super::client;
use crate::kubernetes::resource::GroupResource;

/// A resource that the API server serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedResource {
    /// In any version.
    pub resource: GroupResource,
    /// Where its objects of every namespace are listed, in the version that the API server prefers.
    pub path: String,
}

/// What of these groups the API server serves; one request, and one more for each group that it has.
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

/// The plurals of what the API server serves at `/apis/GROUP/VERSION`.
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
