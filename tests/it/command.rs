//! A command of the binary, from its arguments to what it prints.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    ffi::OsStr,
    io::{Seek, Write},
    process::{Command, Stdio},
};

use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::scenario::data;

/// The binary in the folder of the recorded data, with an empty environment.
pub(crate) fn poolguard(arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_poolguard"));
    command.args(arguments).env_clear().current_dir(data("")).stdin(Stdio::null());
    command
}

/// What a command printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts that no escape sequence is in the output, which is no terminal here.
    #[track_caller]
    pub(crate) fn assert_plain(&self) {
        assert!(!self.out.contains('\u{1b}') && !self.err.contains('\u{1b}'), "{self:?}");
    }
}

/// The result of a command that ends by itself.
pub(crate) fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().expect("it ends by itself");
    Said { code, out: text(output.stdout), err: text(output.stderr) }
}

/// Runs with no standard input.
pub(crate) fn run(arguments: &[impl AsRef<OsStr>]) -> Said {
    said(&mut poolguard(arguments))
}

/// Runs with this text on standard input.
pub(crate) fn run_on(input: &str, arguments: &[&str]) -> Said {
    said(with_input(input, &mut poolguard(arguments)))
}

/// The command with this text on standard input.
pub(crate) fn with_input<'a>(input: &str, command: &'a mut Command) -> &'a mut Command {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input.as_bytes()).unwrap();
    file.rewind().unwrap();
    command.stdin(file)
}

/// Runs on a thread of its own, so that the API server of the test can answer meanwhile.
pub(crate) async fn run_async(arguments: &[impl AsRef<OsStr>]) -> Said {
    let mut command = poolguard(arguments);
    spawn_blocking(move || said(&mut command)).await.unwrap()
}
