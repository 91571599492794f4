//! Files that a script writes while a test runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use super::find::path_of;

/// The time that a script may take.
const TIME_MAX: Duration = Duration::from_mins(1);

/// A folder with generated files. It is deleted when the test has run.
pub(super) struct Generated(TempDir);

impl Generated {
    /// Runs a script, with an empty folder as its argument.
    pub(super) fn by(script: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("poolguard-test-")
            .tempdir()
            .context("cannot make a folder for generated files")?;
        let messages = folder.path().join(".messages");
        let status = run(script, folder.path(), &messages)
            .with_context(|| format!("cannot generate files with {}", script.display()))?;
        if !status.success() {
            let said = fs::read_to_string(&messages).unwrap_or_default();
            let last = said.lines().rfind(|line| !line.trim().is_empty());
            let why = last.map(|line| format!(": {}", line.trim())).unwrap_or_default();
            bail!("{} ended with {status}{why}", script.display());
        }
        Ok(Self(folder))
    }

    /// Returns the path of a file with this name, if the script wrote one.
    pub(super) fn file(&self, name: &str) -> Option<PathBuf> {
        Some(path_of(self.0.path(), name)).filter(|path| path.exists())
    }
}

fn run(script: &Path, folder: &Path, messages: &Path) -> anyhow::Result<ExitStatus> {
    let script = script.canonicalize()?;
    let is_python = script.extension().is_some_and(|it| it == "py");
    let mut command = if is_python {
        let mut command = Command::new("python3");
        command.arg("-B").arg(&script);
        command
    } else {
        Command::new(&script)
    };
    command.arg(folder).stdin(Stdio::null()).stdout(Stdio::null());
    let program = command.get_program().to_owned();
    let mut child = command
        .stderr(fs::File::create(messages)?)
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let due = Instant::now() + TIME_MAX;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > due {
            child.kill()?;
            child.wait()?;
            ensure!(false, "it did not end within {} seconds", TIME_MAX.as_secs());
        }
        thread::sleep(Duration::from_millis(2));
    }
}
