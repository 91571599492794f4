//! The audit stream as it comes out of a server: read as a container runtime reads it, and counted.

use std::{
    ffi::OsString,
    fs,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    process::ChildStdout,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, sleep},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

/// Lines are written within milliseconds; a machine that is busy takes longer.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(10);

/// After the last line that was waited for: what else comes would come by then.
const SILENCE: Duration = Duration::from_millis(50);

/// So small that every burst rotates the file, and so many that none of a burst is deleted.
pub(crate) const FILE_SIZE: &str = "4MiB";
pub(crate) const FILE_COUNT: usize = 9;

/// Everything that the sinks of a server have taken.
pub(crate) struct Records {
    pipe: Arc<Mutex<Vec<u8>>>,
    file: Option<PathBuf>,
}

/// What the lines of one sink account for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) written: u32,
    /// As the stream itself reports them.
    pub(crate) dropped: u32,
}

#[derive(Deserialize)]
struct Line<'l> {
    decision: &'l str,
    count: Option<u32>,
}

impl Records {
    /// Reads standard output until it ends. `file` is that of `--audit-file`.
    pub(crate) fn read(stdout: ChildStdout, file: Option<PathBuf>) -> Self {
        // Room for a burst, so that it need not grow within one.
        let pipe = Arc::new(Mutex::new(Vec::with_capacity(32 << 20)));
        let text = Arc::clone(&pipe);
        thread::spawn(move || keep(stdout, &text));
        Self { pipe, file }
    }

    /// Waits until every sink accounts for so many denials, and forgets them. It is an error if one
    /// accounts for more or less, or says anything else.
    pub(crate) fn settle(&self, denials: u32) -> anyhow::Result<Vec<Tally>> {
        let start = Instant::now();
        let is_whole = |tallies: Vec<Tally>| tallies.iter().all(|it| it.sum() == denials);
        while !self.tallies().is_ok_and(is_whole) && start.elapsed() < PATIENCE {
            sleep(PAUSE);
        }
        sleep(SILENCE);
        let tallies = self.tallies()?;
        for (sink, tally) in ["standard output", "the file"].iter().zip(&tallies) {
            ensure!(tally.sum() == denials, "{sink} accounts for {tally:?} of {denials} denials");
        }
        self.forget()?;
        Ok(tallies)
    }

    fn tallies(&self) -> anyhow::Result<Vec<Tally>> {
        let mut tallies = vec![Tally::of(&self.pipe())?];
        if let Some(file) = &self.file {
            // The oldest first: what is rotated meanwhile is missed this time, and never counted twice.
            let mut lines = Vec::new();
            for number in (0..FILE_COUNT).rev() {
                lines.extend(read_if_there(&numbered(file, number))?);
            }
            tallies.push(Tally::of(&lines)?);
        }
        Ok(tallies)
    }

    fn forget(&self) -> anyhow::Result<()> {
        self.pipe().clear();
        for number in self.file.iter().flat_map(|_| 0..FILE_COUNT) {
            let path = self.file.as_deref().map(|file| numbered(file, number));
            match path.map_or(Ok(()), fs::remove_file) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                result => result?,
            }
        }
        Ok(())
    }

    fn pipe(&self) -> MutexGuard<'_, Vec<u8>> {
        self.pipe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    fn of(lines: &[u8]) -> anyhow::Result<Self> {
        let mut tally = Self::default();
        for text in lines.split_inclusive(|byte| *byte == b'\n') {
            let shown = String::from_utf8_lossy(text);
            let line = serde_json::from_slice(text).with_context(|| format!("no line: {shown}"))?;
            match line {
                Line { decision: "deny", count: None } => tally.written += 1,
                Line { decision: "dropped", count: Some(count) } => tally.dropped += count,
                Line { .. } => bail!("neither a denial nor drops: {shown}"),
            }
        }
        Ok(tally)
    }

    fn sum(self) -> u32 {
        self.written + self.dropped
    }
}

/// In pieces as large as the pipe.
fn keep(mut stdout: ChildStdout, text: &Mutex<Vec<u8>>) {
    let mut piece = vec![0; 64 << 10];
    // An error means that the server is gone.
    while let Ok(length @ 1..) = stdout.read(&mut piece) {
        let read = piece.get(..length).unwrap_or_default();
        text.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(read);
    }
}

fn read_if_there(path: &Path) -> anyhow::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        read => read.with_context(|| format!("cannot read {}", path.display())),
    }
}

/// `FILE`, `FILE.1`, `FILE.2`, …
fn numbered(file: &Path, number: usize) -> PathBuf {
    if number == 0 {
        return file.to_owned();
    }
    let mut name = OsString::from(file);
    name.push(format!(".{number}"));
    name.into()
}
