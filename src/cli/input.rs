//! Files that commands share: the config and the cluster's dump.

use std::{
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::page::{BAD, Styled, WARNING};
use crate::{
    cluster::{DumpError, Index},
    config::{self, ConfigSource, Decoration, Loaded},
    controllers::config_file::DEFAULTS,
    policy::provider::Provider,
};

/// The flags that name the config and the cluster.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Input {
    /// Config file; without it PoolGuard uses the defaults: nodes with the taint dedicated=automq:NoSchedule
    /// are AutoMQ's pools
    #[arg(long, env = "POOLGUARD_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Dump of the cluster: the output of `poolguard dump` or of `kubectl get nodes,namespaces -o yaml` (or json), or
    /// the folder that `kubectl cluster-info dump --output-directory` writes
    #[arg(long, env = "POOLGUARD_CLUSTER", value_name = "FILE")]
    pub(super) cluster: Option<PathBuf>,
}

/// The error for a config with mistakes: its diagnostics as text.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct ConfigRefused(String);

/// Returns the error with which a command ends, as text for a terminal.
pub(super) fn error_text(error: &anyhow::Error) -> String {
    match error.downcast_ref::<ConfigRefused>() {
        // Every diagnostic has its own heading.
        Some(refused) => refused.to_string(),
        None => format!("{}: {error:#}", Styled(BAD, "error")),
    }
}

impl Input {
    /// Reads the config and the cluster. The caller shows the warnings of the config.
    pub(super) fn load(&self) -> anyhow::Result<ConfigAndCluster> {
        ConfigAndCluster::new(self.config.as_deref(), read_index(self.cluster.as_deref())?)
    }
}

/// Reads the dump of a cluster, a file or a folder; without one, PoolGuard knows no object.
pub(super) fn read_index(cluster: Option<&Path>) -> anyhow::Result<Index> {
    let mut index = Index::default();
    let Some(path) = cluster else { return Ok(index) };
    add_dump(path, |text| index.add_dump(text))?;
    if index.is_empty() { Err(DumpError::Empty).with_context(|| no_dump(path)) } else { Ok(index) }
}

/// The text of a config before it is loaded: its meaning depends on the provider of the cluster.
pub(super) struct ConfigText {
    name: String,
    text: String,
}

impl ConfigText {
    /// The config of a file, or the defaults.
    pub(super) fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        Ok(match file {
            Some(file) => Self { name: file.display().to_string(), text: read(file)? },
            None => Self { name: DEFAULTS.to_owned(), text: String::new() },
        })
    }

    /// The text itself.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Loads the config for a cluster of this provider.
    pub(super) fn load(&self, provider: Option<Provider>) -> anyhow::Result<Loaded> {
        load(&self.name, &self.text, provider)
    }
}

fn load(name: &str, text: &str, provider: Option<Provider>) -> anyhow::Result<Loaded> {
    config::load(name, text, provider)
        .map_err(|diagnostics| ConfigRefused(diagnostics.render(Decoration::Styled)).into())
}

/// The config and the cluster, read.
pub(super) struct ConfigAndCluster {
    pub(super) loaded: Loaded,
    pub(super) index: Index,
    config_name: String,
    pub(super) config_text: String,
}

impl ConfigAndCluster {
    /// The config of a file, or the defaults, for this cluster.
    pub(super) fn new(config: Option<&Path>, index: Index) -> anyhow::Result<Self> {
        let ConfigText { name: config_name, text: config_text } = ConfigText::read(config)?;
        let loaded = load(&config_name, &config_text, index.provider())?;
        Ok(Self { loaded, index, config_name, config_text })
    }

    /// The config's warnings, each with the lines that it is about.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let source = ConfigSource { name: &self.config_name, text: &self.config_text };
        self.loaded.warnings.iter().map(move |it| it.render(source, Decoration::Styled))
    }

    /// The config's warnings, one line each.
    pub(super) fn warning_lines(&self) -> impl Iterator<Item = String> {
        self.loaded.warnings.iter().map(|warning| warning.one_line(&self.config_name))
    }
}

/// Reads a dump: a file, standard input, or every file of a folder. A file of a folder that cannot be read is named
/// on standard error, and the others count.
pub(super) fn add_dump(
    path: &Path,
    mut add: impl FnMut(&str) -> Result<(), DumpError>,
) -> anyhow::Result<()> {
    if !path.is_dir() {
        return add(&read(path)?).with_context(|| no_dump(path));
    }
    let mut files = Vec::new();
    list_files(path, 0, &mut files).with_context(|| format!("cannot read {}", path.display()))?;
    files.sort();
    if files.is_empty() {
        anyhow::bail!("{} holds no file that ends in .json, .yaml or .yml", path.display());
    }
    for file in files {
        let text = read(&file).map_err(|error| format!("{error:#}"));
        if let Err(why) = text.and_then(|text| add(&text).map_err(|error| error.to_string())) {
            let file = file.display();
            anstream::eprintln!("{}: {file} is left out: {why}", Styled(WARNING, "warning"));
        }
    }
    Ok(())
}

/// Returns the beginning of an error about a dump.
pub(super) fn no_dump(path: &Path) -> String {
    format!("cannot use {} as a dump of a cluster", Named(path))
}

/// The depth to which folders in folders are read: `kubectl cluster-info dump` has a folder for each namespace.
const DEPTH_MAX: usize = 3;

fn list_files(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_document = path
            .extension()
            .and_then(|it| it.to_str())
            .is_some_and(|it| matches!(it, "json" | "yaml" | "yml"));
        if path.is_dir() && depth < DEPTH_MAX {
            list_files(&path, depth + 1, files)?;
        } else if is_document && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// A file's text; `-` is standard input.
pub(super) fn read(file: &Path) -> anyhow::Result<String> {
    let bytes = if is_stdin(file) {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
        bytes
    } else {
        fs::read(file).with_context(|| format!("cannot read {}", file.display()))?
    };
    String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8 text", Named(file)))
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

/// The name of a file in messages.
pub(super) struct Named<'p>(pub(super) &'p Path);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_stdin(self.0) { f.write_str("standard input") } else { self.0.display().fmt(f) }
    }
}
