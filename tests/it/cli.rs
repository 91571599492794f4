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

use crate::command::{Said, poolguard, run, run_on, said};
