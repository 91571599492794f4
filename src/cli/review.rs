//! `poolguard review`: the decisions of the webhook without a running webhook.

mod json;
mod judge;
mod table;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::ValueEnum;
use serde_json::Value;

use self::judge::Misshapen;
pub(super) use self::judge::{Judge, Reviewed, UnreadableFile};
use super::{
    UNREADABLE,
    input::{ConfigAndCluster, Input, Named, read, read_index},
    live::{self, LiveFlags},
};
use crate::{admission::review::Requester, kubernetes::documents};

/// Show what the webhook would decide about requests and manifests, without asking it.
///
/// Reads AdmissionReviews and plain manifests, as JSON or as YAML with any number of documents. It judges a
/// manifest as if you created it. As in a cluster, PoolGuard first mutates the object, then applies the patch, then
/// validates the result. With --context or --kubeconfig, PoolGuard reads from that cluster what the webhook would
/// know of it, instead of a dump, and changes nothing in it. Exit code 0: everything is allowed. 1: something is denied. 2: it could not
/// read something.
#[derive(Debug, clap::Args)]
#[command(mut_arg("cluster", |cluster| cluster.conflicts_with_all(["kubeconfig", "context"])))]
#[command(mut_arg("kubeconfig", |kubeconfig| kubeconfig.help(
    "Kubeconfig file of the cluster to judge against; without it and without --context, PoolGuard reads no live cluster"
)))]
pub(super) struct Review {
    /// Files, folders (with all their .json, .yaml and .yml files), or `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    input: Input,

    #[command(flatten)]
    live: LiveFlags,

    /// User who applies the manifests
    #[arg(long = "as", value_name = "USER", default_value = DEFAULT_USER)]
    user: String,

    /// Group of this user; you can repeat it
    #[arg(long = "as-group", value_name = "GROUP", default_values = [DEFAULT_GROUP])]
    groups: Vec<String>,

    /// Namespace for manifests that do not name one
    #[arg(short, long, value_name = "NAMESPACE", default_value = DEFAULT_NAMESPACE)]
    namespace: String,

    /// What makes the exit code 1
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = FailOn::Deny)]
    fail_on: FailOn,

    /// Output format
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// The user who applies manifests, without `--as`.
pub(super) const DEFAULT_USER: &str = "kubernetes-admin";
/// The group of this user.
pub(super) const DEFAULT_GROUP: &str = "system:authenticated";
/// The namespace of manifests that do not name one.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// Denials
    Deny,
    /// Denials and warnings
    Warn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table for people
    Table,
    /// JSON for programs: {"results": [...], "errors": [...]}
    Json,
    /// The JSON patch of each review, one per line
    Patch,
}

impl Review {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { files, input, live, user, groups, namespace, fail_on, output } = self;
        let is_live = live.name_one();
        let index =
            if is_live { live::read_index(&live)? } else { read_index(input.cluster.as_deref())? };
        let inputs = ConfigAndCluster::new(input.config.as_deref(), index)?;
        let policy = &inputs.loaded.policy;
        let snapshot = inputs.index.snapshot(policy);
        let judge =
            Judge { policy, snapshot: &snapshot, asker: Requester { user, groups, namespace } };
        let mut reviews = Reviews::default();
        for file in expand(&files)? {
            reviews.add(&Named(&file).to_string(), &file, &judge);
        }
        let Reviews { results, errors } = &reviews;
        if results.iter().any(|it| it.is_stored_pod) {
            let user = &judge.asker.user;
            let note = format!(
                "note: the input has pods that a cluster has stored (they have metadata.uid). PoolGuard judges each as \
                 a new pod that {user} creates. To check running pods, use `poolguard check`"
            );
            anstream::eprintln!("{note}");
        }
        let mut out = anstream::stdout().lock();
        match output {
            Output::Table => {
                if input.cluster.is_none() && !is_live {
                    let note = "note: without --cluster, --context or --kubeconfig, PoolGuard reads no cluster. It knows \
                     only the pools that the config declares, and assumes that they have no nodes yet";
                    anstream::eprintln!("{note}");
                } else if snapshot.node_count() == 0 {
                    let note = "note: the input of --cluster or --context contains no nodes, so PoolGuard assumes that the pools \
                                have no nodes yet. For --cluster, use the output of `poolguard dump`";
                    anstream::eprintln!("{note}");
                }
                write!(out, "{}", table::ReviewTable { results, errors })?;
            }
            Output::Json => writeln!(out, "{}", reviews.json()?)?,
            Output::Patch => {
                for result in results {
                    writeln!(out, "{}", serde_json::to_string(&result.patch)?)?;
                }
            }
        }
        if output != Output::Table {
            for UnreadableFile { file, error } in errors {
                anstream::eprintln!("error: {file}: {error}");
            }
        }
        Ok(ExitCode::from(reviews.exit_code(fail_on)))
    }
}

/// The decisions about a list of files.
#[derive(Default)]
pub(super) struct Reviews {
    /// The documents that PoolGuard decided, in the order of the input.
    pub(super) results: Vec<Reviewed>,
    /// The files and documents that it could not read.
    pub(super) errors: Vec<UnreadableFile>,
}

impl Reviews {
    /// Decides each document of a file, which results call `name`.
    pub(super) fn add(&mut self, name: &str, file: &Path, judge: &Judge<'_>) {
        let documents = read(file).and_then(|text| {
            let documents = documents::read(&text)?.objects;
            anyhow::ensure!(!documents.is_empty(), "it contains no objects");
            Ok((text, documents))
        });
        let (text, documents) = match documents {
            Ok(read) => read,
            Err(error) => {
                let file = name.to_owned();
                self.errors.push(UnreadableFile { file, error: format!("{error:#}") });
                return;
            }
        };
        let several = documents.len() > 1;
        for (index, document) in documents.into_iter().enumerate() {
            let file = if several { format!("{name}#{}", index + 1) } else { name.to_owned() };
            let document = match document {
                Ok(document) => document,
                Err(fault) => {
                    self.errors.push(UnreadableFile { file, error: fault.to_string() });
                    continue;
                }
            };
            match judge.review(file.clone(), &document) {
                Ok(result) => self.results.push(result),
                Err(error) => {
                    let error = in_file(&text, index, &document, &error);
                    self.errors.push(UnreadableFile { file, error });
                }
            }
        }
    }

    /// The exit code of `review`: the worst of all files.
    pub(super) fn exit_code(&self, fail_on: FailOn) -> u8 {
        let fails = |result: &Reviewed| {
            let is_doubtful = !result.warnings.is_empty() || result.is_not_judged;
            !result.allowed || (fail_on == FailOn::Warn && is_doubtful)
        };
        if self.errors.is_empty() { u8::from(self.results.iter().any(fails)) } else { UNREADABLE }
    }

    /// The results for machines: `{"results": […], "errors": […]}`.
    pub(super) fn json(&self) -> Result<String, serde_json::Error> {
        json::render(&self.results, &self.errors)
    }
}

/// The error of a document with its line and column in the file.
fn in_file(text: &str, index: usize, document: &Value, error: &anyhow::Error) -> String {
    let Some(misshapen) = Misshapen::of(error, document) else { return format!("{error:#}") };
    match documents::place(text, index, misshapen.path.steps()) {
        Some(place) => format!("{place}: {misshapen}"),
        None => misshapen.to_string(),
    }
}

/// The files, with each folder replaced by its files in order.
pub(super) fn expand(files: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut expanded = Vec::new();
    for file in files {
        if file.is_dir() {
            let before = expanded.len();
            expand_folder(file, &mut expanded)?;
            anyhow::ensure!(
                expanded.len() > before,
                "{} contains no .json, .yaml or .yml file",
                file.display()
            );
        } else {
            expanded.push(file.clone());
        }
    }
    Ok(expanded)
}

fn expand_folder(folder: &Path, expanded: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let context = || format!("cannot read folder {}", folder.display());
    let entries = std::fs::read_dir(folder).with_context(context)?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .with_context(context)?;
    paths.sort();
    for path in paths {
        let is_wanted = || {
            let extension = path.extension().and_then(|extension| extension.to_str());
            matches!(extension, Some("json" | "yaml" | "yml"))
        };
        if path.is_dir() {
            expand_folder(&path, expanded)?;
        } else if is_wanted() {
            expanded.push(path);
        }
    }
    Ok(())
}
