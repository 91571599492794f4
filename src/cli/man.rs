//! `poolguard man`: the manual, one page a command.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::Cli;

/// Write the man pages, one for each command.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ManCommand {
    /// Folder for the pages; PoolGuard creates it
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  poolguard man --directory ~/.local/share/man/man1
  man poolguard-check";

impl ManCommand {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let Self { directory } = self;
        let failed = || format!("cannot write man pages to {}", directory.display());
        fs::create_dir_all(directory).with_context(failed)?;
        // Without this, every command would have a page for its `help`.
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        write_pages(&command, directory).with_context(failed)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn write_pages(command: &Command, directory: &Path) -> io::Result<()> {
    let man = Man::new(command.clone())
        .source(concat!("PoolGuard ", env!("CARGO_PKG_VERSION")))
        .manual("PoolGuard Manual");
    fs::write(directory.join(man.get_filename()), page(&man)?)?;
    command.get_subcommands().try_for_each(|subcommand| write_pages(subcommand, directory))
}

/// The page of a command. Its examples get a section of their own, in which each line stays as it is.
fn page(man: &Man) -> io::Result<String> {
    let mut page = Vec::new();
    man.render(&mut page)?;
    let page = String::from_utf8_lossy(&page);
    // Commands in the text are not to be hyphenated.
    let page = page.replacen("\n.SH NAME\n", "\n.nh\n.ad l\n.SH NAME\n", 1);
    Ok(page.replacen("\n.SH EXTRA\nExamples:\n", "\n.SH EXAMPLES\n.nf\n", 1))
}
