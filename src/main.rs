//! Arguments in, exit code out.

use std::process::ExitCode;

use poolguard::cli::{BROKEN_PIPE, Cli, UNREADABLE, error_text};

fn main() -> ExitCode {
    let arguments = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let is_plugin = arguments.is_plugin();
    match arguments.run() {
        Ok(code) => code,
        Err(error) => match error_text(&error, is_plugin) {
            Some(text) => {
                anstream::eprintln!("{text}");
                ExitCode::from(UNREADABLE)
            }
            None => ExitCode::from(BROKEN_PIPE),
        },
    }
}
