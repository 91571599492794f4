//! `poolguard completions`: the script with which a shell completes commands, flags and values.

use std::{io::Write, process::ExitCode};

use clap::{Args, CommandFactory, ValueEnum};
use clap_complete::aot::{Shell, generate};

use super::Cli;

/// Print the completion script of a shell.
///
/// Your shell then completes commands, flags and their values. Add the line of your shell to ~/.bashrc, to ~/.zshrc
/// after the line with compinit, or to $PROFILE of PowerShell. For fish, run the command once.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Completions {
    /// Shell that reads the script
    #[arg(value_enum, value_name = "SHELL")]
    shell: CompletedShell,
}

const EXAMPLES: &str = "\
Examples:
  source <(poolguard completions bash)
  source <(poolguard completions zsh)
  poolguard completions fish > ~/.config/fish/completions/poolguard.fish
  poolguard completions powershell | Out-String | Invoke-Expression";

/// The shells that PoolGuard has a script for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CompletedShell {
    Bash,
    Zsh,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
}

impl Completions {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let shell = match self.shell {
            CompletedShell::Bash => Shell::Bash,
            CompletedShell::Zsh => Shell::Zsh,
            CompletedShell::Fish => Shell::Fish,
            CompletedShell::PowerShell => Shell::PowerShell,
        };
        // The generator panics if it cannot write, for example into a closed pipe.
        let mut script = Vec::new();
        let mut command = Cli::command();
        generate(shell, &mut command, "poolguard", &mut script);
        std::io::stdout().write_all(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
