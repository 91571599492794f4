//! The binary as a black box: arguments, files and signals in; text and exit codes out.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod audit;
mod check;
mod completions;
mod config;
mod explain;
mod help;
mod init;
mod invocation;
mod man;
mod page;
mod plan;
mod policy_tests;
mod render;
mod review;
mod serve;

use std::{
    ffi::OsStr,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::scenario::data;

/// The binary in the folder of the recorded data, without any environment of ours.
fn poolguard(arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_poolguard"));
    command.args(arguments).env_clear().current_dir(data("")).stdin(Stdio::null());
    command
}

/// What a command said.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Nobody wants escape sequences in a file.
    #[track_caller]
    fn assert_plain(&self) {
        assert!(!self.out.contains('\u{1b}') && !self.err.contains('\u{1b}'), "{self:?}");
    }
}

fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().expect("it ends by itself");
    Said { code, out: text(output.stdout), err: text(output.stderr) }
}

fn run(arguments: &[impl AsRef<OsStr>]) -> Said {
    said(&mut poolguard(arguments))
}

/// Runs with this text on standard input.
fn run_on(input: &str, arguments: &[&str]) -> Said {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    said(poolguard(arguments).stdin(file))
}
