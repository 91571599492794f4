//! `poolguard init`: a config for a cluster that has none.

mod questions;

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, bail};

use super::{
    input::{ConfigText, Named, add_dump, no_dump},
    live::{LiveCluster, block_on},
};
use crate::{
    check::{ConfigDraft, DraftChoices, DraftOrigin, aws_auth},
    cluster::{DumpError, inventory::Inventory},
    policy::provider::Provider,
};

/// Draft a config from a cluster: provider, pools, instances and exemptions, with comments.
///
/// Reads a live cluster or a dump of one, changes nothing, and prints the config. A comment that begins
/// with `check:` marks a value that PoolGuard guessed. Exit code 0: it printed the config. 2: it could not read
/// the cluster.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Init {
    /// Read this dump instead of a live cluster: the output of `poolguard dump` or of `kubectl get KINDS -A -o json`,
    /// or the folder that `kubectl cluster-info dump --output-directory` writes; `-` reads standard input. If the
    /// dump lacks kinds, the draft names the command that dumps all of them
    #[arg(long, env = "POOLGUARD_CLUSTER", value_name = "FILE")]
    cluster: Option<PathBuf>,

    /// Kubeconfig file; without it PoolGuard uses $KUBECONFIG, ~/.kube/config, or the cluster of its own pod
    #[arg(long, env = "POOLGUARD_KUBECONFIG", value_name = "FILE", conflicts_with = "cluster")]
    kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig
    #[arg(long, env = "POOLGUARD_CONTEXT", value_name = "NAME", conflicts_with = "cluster")]
    context: Option<String>,

    /// Ask for AutoMQ's namespaces, the pools and the user of the console; the default of each answer is what
    /// PoolGuard found. Needs a terminal
    #[arg(short, long)]
    interactive: bool,
}

const EXAMPLES: &str = "\
Examples:
  poolguard init --context production > poolguard.yaml
  poolguard init --cluster cluster.json > poolguard.yaml
  poolguard init -i > poolguard.yaml";

/// A cluster that has been read.
struct Source {
    inventory: Inventory,
    /// The file, or the name of the live cluster.
    name: String,
    /// The flags that name the cluster.
    flags: String,
}

impl Init {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if self.interactive && !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            bail!(
                "--interactive asks questions, so standard input and standard error must be a terminal"
            );
        }
        let Source { inventory, name, flags } = self.read()?;
        let defaults = ConfigText::read(None)?.load(inventory.index().provider())?.policy;
        let mut draft = ConfigDraft::of(&defaults, &inventory, &DraftChoices::default());
        if self.interactive {
            let choices = questions::ask(&draft, &mut io::stdin().lock(), &mut anstream::stderr())?;
            draft = ConfigDraft::of(&defaults, &inventory, &choices);
        }
        let command = ["poolguard init", &flags].join(" ");
        let origin =
            DraftOrigin { command: command.trim_end(), source: &name, check_flags: &flags };
        write!(anstream::stdout().lock(), "{}", draft.to_yaml(&defaults, origin))?;
        Ok(ExitCode::SUCCESS)
    }

    fn read(&self) -> anyhow::Result<Source> {
        let Self { cluster, kubeconfig, context, interactive: _ } = self;
        if let Some(file) = cluster {
            let mut inventory = Inventory::default();
            add_dump(file, |text| inventory.add_dump(text))?;
            if !inventory.has_something_to_check() {
                return Err(DumpError::NothingToCheck).with_context(|| no_dump(file));
            }
            let flags = format!("--cluster {}", file.display());
            return Ok(Source { inventory, name: Named(file).to_string(), flags });
        }
        let (name, inventory) = block_on(async {
            let mut live = LiveCluster::read(kubeconfig.as_deref(), context.as_deref()).await?;
            // Only EKS has it.
            if live.inventory().index().provider() == Some(Provider::Aws) {
                live.read_named(&[aws_auth()]).await;
            }
            Ok(live.into_parts())
        })?;
        let kubeconfig = kubeconfig.iter().map(|file| format!("--kubeconfig {}", file.display()));
        let context = context.iter().map(|name| format!("--context {name}"));
        let flags = kubeconfig.chain(context).collect::<Vec<_>>().join(" ");
        Ok(Source { inventory, name: format!("the live cluster {name}"), flags })
    }
}
