//! `poolguard dump`: a file with everything that a check reads of a cluster.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};

use super::{
    input::ConfigText,
    live::{LiveCluster, LiveFlags, block_on},
    page::{Styled, WARNING},
};
use crate::{
    check::{aws_auth, named},
    cluster::inventory::Inventory,
    policy::{protection::NamedObject, provider::Provider},
};

/// Save the state of a cluster in a file, for `--cluster` of the other commands.
///
/// Lists every kind that `check` reads, the node-pool objects that the cluster has, and the objects that
/// `protected` in the config names. Changes nothing, and needs the permission to list these kinds. The dump
/// contains pods without their containers, and no data of Secrets and no managed fields. PoolGuard leaves out a kind that it has no
/// permission to read, and a warning names the RBAC rule to add. Exit code 2: PoolGuard could not read any kind, or
/// could not write the file.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Dump {
    /// Config file: PoolGuard adds the objects that its `protected` entries name
    #[arg(long, env = "POOLGUARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    live: LiveFlags,

    /// File to write; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  poolguard dump -o cluster.json
  poolguard dump --config poolguard.yaml --context production > cluster.json
  poolguard check --config poolguard.yaml --cluster cluster.json";

impl Dump {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { config, live: LiveFlags { kubeconfig, context }, output } = self;
        let config = ConfigText::read(config.as_deref())?;
        let (inventory, gaps) = block_on(async {
            let (kubeconfig, context) = (kubeconfig.as_deref(), context.as_deref());
            let inventory = Inventory::for_dump();
            let mut cluster = LiveCluster::read_into(inventory, kubeconfig, context).await?;
            let provider = cluster.inventory().index().provider();
            let mut objects = named(&config.load(provider)?.policy);
            // Only EKS has it; `init` finds the nodes' role in it.
            if provider == Some(Provider::Aws) && !objects.contains(&aws_auth()) {
                objects.push(aws_auth());
            }
            cluster.read_named(&objects).await;
            let gaps = gaps(&cluster, &objects);
            let (name, inventory) = cluster.into_parts();
            if !inventory.has_something_to_check() {
                let first = gaps.first().map(String::as_str).unwrap_or_default();
                bail!("{name}: PoolGuard could not read any kind. The first error: {first}");
            }
            Ok((inventory, gaps))
        })?;
        for gap in gaps {
            anstream::eprintln!("{}: {gap}", Styled(WARNING, "warning"));
        }
        if output == Path::new("-") {
            write_list(&inventory, &mut anstream::stdout().lock())?;
        } else {
            let failed = || format!("cannot write {}", output.display());
            let mut text = Vec::new();
            write_list(&inventory, &mut text)?;
            fs::write(&output, text).with_context(failed)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns the gaps of the dump, each with its reason.
fn gaps(cluster: &LiveCluster, objects: &[NamedObject]) -> Vec<String> {
    let inventory = cluster.inventory();
    let unread = inventory.gaps();
    let unread = unread.map(|(resource, why)| format!("the dump has no {resource}: {why}"));
    let undiscovered = cluster.undiscovered().map(|why| {
        format!("the dump has no node-pool objects, such as Karpenter's NodePool: {why}")
    });
    let absent = objects.iter().filter(|object| inventory.is_absent(&object.resource));
    let absent = absent.map(|object| format!("the API server does not have {}", object.resource));
    unread.chain(undiscovered).chain(absent).collect()
}

/// Writes one List, with an item a line.
fn write_list(inventory: &Inventory, out: &mut impl Write) -> std::io::Result<()> {
    write!(out, r#"{{"apiVersion":"v1","kind":"List","metadata":{{}},"items":["#)?;
    let mut separator = "\n";
    for item in inventory.listed() {
        write!(out, "{separator}{item}")?;
        separator = ",\n";
    }
    writeln!(out, "\n]}}")
}
