//! The index of a live cluster for decisions: what a replica of PoolGuard would know of the cluster.

use std::path::Path;

use anyhow::bail;
use kube::api::ListParams;

use super::{Failure, Fault, ListedResource, LiveFlags, PAGE, Progress, block_on};
use crate::{
    api::{client, rbac},
    cli::page::{Styled, WARNING},
    cluster::{Index, Kind},
};

/// Reads the cluster of a context, or of the default one. A kind that cannot be read is a warning on standard
/// error, except nodes: without nodes there is no decision.
pub(in crate::cli) fn read_index(flags: &LiveFlags) -> anyhow::Result<Index> {
    let LiveFlags { kubeconfig, context } = flags;
    let (index, gaps) = block_on(read(kubeconfig.as_deref(), context.as_deref()))?;
    for gap in gaps {
        anstream::eprintln!("{}: {gap}", Styled(WARNING, "warning"));
    }
    Ok(index)
}

async fn read(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> anyhow::Result<(Index, Vec<String>)> {
    let reached = client::configure(kubeconfig, context).await?;
    let name = context.map_or_else(|| reached.cluster_url.to_string(), str::to_owned);
    let (client, progress) = (client::connect(reached)?, Progress::new(&name));
    let (mut index, mut gaps) = (Index::default(), Vec::new());
    for kind in Kind::ALL {
        let resource = kind.resource();
        let path = resource.path();
        let list = ListedResource {
            path: &path,
            parameters: ListParams { limit: Some(PAGE), ..ListParams::default() },
            is_metadata_only: kind.is_metadata_only(),
        };
        index.begin_list(kind);
        let mut count = 0;
        let read = list.read(&client, |page| {
            for object in page.items().into_iter().flatten() {
                index.list(kind, object).map_err(Failure::unreadable)?;
                count += 1;
            }
            progress.show(resource.plural, count);
            Ok(())
        });
        match read.await {
            Ok(()) => {
                index.end_list(kind);
            }
            Err(Fault::Api(error)) if kind.may_be_absent() && client::code(&error) == Some(404) => {
                index.end_list(kind);
            }
            Err(fault) => {
                let right = rbac::listing(resource.group, resource.plural);
                let Failure { code, why } = fault.explained(&right);
                if code.is_none() || kind == Kind::Node {
                    bail!("{name}: {why}");
                }
                gaps.push(format!("{} could not be read: {why}", resource.group_resource()));
            }
        }
    }
    progress.clear();
    Ok((index, gaps))
}
