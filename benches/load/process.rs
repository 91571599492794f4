//! The servers as child processes, and what the kernel says about them.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};

use crate::{fixture, noop, records};

/// A server prints its address well within this.
const START_LIMIT: Duration = Duration::from_mins(1);

/// The unit of CPU times in `/proc`, the same on every Linux that Rust supports.
const TICKS_PER_SECOND: f64 = 100.0;

/// What is compared with the no-op.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    PoolGuard,
    Noop,
}

impl Subject {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PoolGuard => "poolguard",
            Self::Noop => "no-op again",
        }
    }

    pub(crate) fn spawn(self, cluster: &Path, cores: Cores) -> anyhow::Result<Server> {
        match self {
            Self::PoolGuard => spawn_poolguard(cluster, cores, Stream::Discarded),
            Self::Noop => spawn_noop(cores),
        }
    }
}

/// Where servers run. On one core a server has one worker thread, so the cost of a request does not
/// depend on how the threads happen to wake each other up. The load goes where the scheduler finds
/// room, best on another core: it spins while it waits for a request to be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cores {
    /// Every server on the second core.
    OneForServers,
    /// Wherever the scheduler puts them.
    Any,
}

impl Cores {
    /// One for servers where there are two and a `taskset`.
    pub(crate) fn detect() -> Self {
        let several = thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
        let taskset = Command::new("taskset").arg("--version").stdout(Stdio::null()).status();
        if several && taskset.is_ok_and(|status| status.success()) {
            Self::OneForServers
        } else {
            Self::Any
        }
    }

    /// A command that starts a server on its core.
    fn server(self, executable: impl AsRef<OsStr>) -> Command {
        match self {
            // It replaces itself by the server, so the process is the same.
            Self::OneForServers => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", "1"]).arg(executable);
                command
            }
            Self::Any => Command::new(executable),
        }
    }
}

/// What becomes of a server's audit stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream<'s> {
    /// It is written, and nobody reads it: a reader would take from the load's core.
    Discarded,
    /// As in a cluster: JSON to a pipe, and to a file if one is given.
    Kept { file: Option<&'s Path> },
}

/// A running server; dropping it kills it.
pub(crate) struct Server {
    child: Child,
    /// Of a stream that is kept.
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) address: SocketAddr,
    pub(crate) spawned: Instant,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, which the run has noticed by then.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn spawn_noop(cores: Cores) -> anyhow::Result<Server> {
    let mut command = cores.server(env::current_exe()?);
    command.env(noop::REQUEST, "noop");
    spawn(command, Stdio::null())
}

/// PoolGuard as users run it outside a cluster.
pub(crate) fn spawn_poolguard(
    cluster: &Path,
    cores: Cores,
    stream: Stream<'_>,
) -> anyhow::Result<Server> {
    let mut command = cores.server(env!("CARGO_BIN_EXE_poolguard"));
    command.arg("serve");
    command.arg("--config").arg(fixture::data("config.yaml"));
    command.arg("--cluster").arg(cluster);
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    let Stream::Kept { file } = stream else { return spawn(command, Stdio::null()) };
    command.args(["--log-format", "json"]);
    if let Some(file) = file {
        command.arg("--audit-file").arg(file);
        command.args(["--audit-file-size", records::FILE_SIZE]);
        command.args(["--audit-file-count", &records::FILE_COUNT.to_string()]);
    }
    spawn(command, Stdio::piped())
}

fn spawn(mut command: Command, stdout: Stdio) -> anyhow::Result<Server> {
    let spawned = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let (send, lines) = mpsc::channel();
    if let Some(pipe) = child.stderr.take() {
        thread::spawn(move || watch(pipe, &send));
    }
    // From here on dropping the server kills the child, whatever goes wrong.
    let unbound = SocketAddr::from(([127, 0, 0, 1], 0));
    let stdout = child.stdout.take();
    let mut server = Server { child, stdout, address: unbound, spawned };
    server.address = address(&lines).with_context(|| format!("{command:?} did not start"))?;
    Ok(server)
}

/// Passes lines on until nobody wants them, then throws the rest away in large pieces: a server that
/// records denials must not wait for a full pipe.
fn watch(pipe: impl Read, lines: &mpsc::Sender<String>) {
    let mut pipe = BufReader::with_capacity(1 << 20, pipe);
    let mut line = String::new();
    while pipe.read_line(&mut line).is_ok_and(|length| length > 0) {
        if lines.send(std::mem::take(&mut line)).is_err() {
            break;
        }
    }
    // An error means that the server is gone.
    drop(std::io::copy(&mut pipe, &mut std::io::sink()));
}

/// The address in a line that contains `listening on https://ADDRESS`.
fn address(lines: &mpsc::Receiver<String>) -> anyhow::Result<SocketAddr> {
    let start = Instant::now();
    let mut seen = String::new();
    loop {
        let left = START_LIMIT.saturating_sub(start.elapsed());
        let line = match lines.recv_timeout(left) {
            Ok(line) => line,
            Err(mpsc::RecvTimeoutError::Timeout) => bail!("no address in time; it said:\n{seen}"),
            Err(mpsc::RecvTimeoutError::Disconnected) => bail!("it ended; it said:\n{seen}"),
        };
        if let Some((_, rest)) = line.split_once("listening on https://") {
            let end =
                rest.find(|c: char| !matches!(c, '0'..='9' | '.' | ':')).unwrap_or(rest.len());
            let address = rest.get(..end).unwrap_or_default();
            return address.parse().with_context(|| format!("{address:?} is no address"));
        }
        seen += &line;
    }
}

impl Server {
    /// User and system time of all its threads so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/stat", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("{path}: is it gone?"))?;
        // The second field is the command's name, in parentheses and with anything in it.
        let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let mut times = fields.split(' ').skip(11).map(str::parse::<f64>);
        match (times.next(), times.next()) {
            (Some(Ok(user)), Some(Ok(system))) => Ok((user + system) / TICKS_PER_SECOND),
            (_, _) => Err(anyhow!("{path} has no CPU times")),
        }
    }

    /// Resident memory now, in MiB.
    pub(crate) fn resident_mebibytes(&self) -> anyhow::Result<f64> {
        self.status("VmRSS:")
    }

    /// The most memory that was ever resident, in MiB.
    pub(crate) fn peak_mebibytes(&self) -> anyhow::Result<f64> {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("{path}: is it gone?"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kibibytes: f64 =
            kibibytes.with_context(|| format!("{path} has no {field}"))?.parse()?;
        Ok(kibibytes / 1024.0)
    }
}

/// How long this thread has waited for a core so far while it had work to do.
pub(crate) fn waited_for_core() -> anyhow::Result<Duration> {
    let path = "/proc/thread-self/schedstat";
    let text = fs::read_to_string(path).context(path)?;
    let nanoseconds = text.split(' ').nth(1).with_context(|| format!("{path} has no delay"))?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

/// The size of PoolGuard's binary in MB without its symbols; they stay in the release build, so that
/// a backtrace has names.
pub(crate) fn stripped_megabytes(folder: &Path) -> anyhow::Result<f64> {
    let stripped = folder.join("stripped");
    let status = Command::new("strip")
        .arg("-o")
        .arg(&stripped)
        .arg(env!("CARGO_BIN_EXE_poolguard"))
        .status()
        .context("cannot run strip")?;
    if !status.success() {
        bail!("strip failed: {status}");
    }
    let bytes = u32::try_from(fs::metadata(&stripped)?.len()).context("4 GB are too much")?;
    Ok(f64::from(bytes) / 1e6)
}
