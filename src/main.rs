//! Arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use poolguard::cli::{Cli, UNREADABLE};

fn main() -> ExitCode {
    let arguments = Cli::parse();
    match arguments.run() {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("{}", poolguard::cli::error_text(&error));
            ExitCode::from(UNREADABLE)
        }
    }
}
