//! `poolguard audit`: a summary of the audit stream, which shows what was rejected, when, and whose it was.

mod chart;
mod figures;
mod filter;
mod json;
mod lines;
mod page;
mod record;
mod tally;
mod terminal_style;
mod timeline;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::ValueEnum;
use jiff::Timestamp;

use self::{
    filter::{Filter, Filters},
    page::AuditPage,
    tally::{Dimension, Summary},
    terminal_style::TerminalStyle,
};
use super::{
    UNREADABLE,
    input::Named,
    page::{BAD, Styled},
};

/// Summarize the audit stream: what PoolGuard denied, when, and which workload it was.
///
/// Reads the JSON lines that `poolguard serve --audit-file` writes, and those of `kubectl logs` if PoolGuard runs with
/// `--log-format json`. It ignores prefixes and other lines, and counts damaged lines. Exit code 0: it printed the summary.
/// 2: it could not read a file.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct AuditCommand {
    /// Files, including rotated files in any order, or `-` for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    files: Vec<PathBuf>,

    /// Print one table with all values of this kind, instead of several short tables
    #[arg(long, value_name = "WHAT", value_enum)]
    by: Option<Dimension>,

    /// Largest number of rows in each table [default: 10, with --by 50]
    #[arg(long, value_name = "NUMBER")]
    top: Option<usize>,

    /// Output format
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,

    #[command(flatten)]
    filters: Filters,
}

const EXAMPLES: &str = "\
Examples:
  poolguard audit /var/log/poolguard/audit.jsonl*
  kubectl logs --tail=-1 --prefix -n poolguard-system \\
    -l app.kubernetes.io/name=poolguard | poolguard audit
  poolguard audit --since 2h --decision deny,warn --by owner audit.jsonl";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table for people
    Table,
    /// One JSON object
    Json,
}

impl AuditCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { files, filters, by, top, output } = self;
        let filter = filters.at(Timestamp::now());
        let mut summary = Summary::new(by);
        let mut errors = Vec::new();
        for file in in_order(files) {
            if let Err(error) = read(&file, &filter, &mut summary) {
                errors.push(format!("cannot read {}: {error}", Named(&file)));
            }
        }
        let mut out = anstream::stdout().lock();
        match output {
            // The errors say why no line was read.
            Output::Table if !errors.is_empty() && summary.lines() == 0 => {}
            Output::Table => {
                let top = top.unwrap_or_else(|| if by.is_some() { 50 } else { 10 });
                write!(
                    out,
                    "{}",
                    AuditPage { summary: &summary, look: TerminalStyle::detect(), by, top }
                )?;
            }
            Output::Json => writeln!(out, "{}", json::render(&summary, top)?)?,
        }
        out.flush()?;
        for error in &errors {
            anstream::eprintln!("{}: {error}", Styled(BAD, "error"));
        }
        Ok(if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(UNREADABLE) })
    }
}

/// The table and the JSON object that `poolguard audit` prints for one file; for tests without a file.
#[doc(hidden)]
pub fn summarize(text: &[u8]) -> anyhow::Result<[String; 2]> {
    let filter = Filters::default().at(Timestamp::MAX);
    let mut summary = Summary::new(None);
    lines::each(&mut &*text, &mut |number, line| summary.take("-", number, line, &filter))?;
    let page = AuditPage { summary: &summary, look: TerminalStyle::PLAIN, by: None, top: 10 };
    Ok([page.to_string(), json::render(&summary, None)?])
}

fn read(file: &Path, filter: &Filter, summary: &mut Summary) -> io::Result<()> {
    let name = Named(file).to_string();
    let mut take = |number, line: &[u8]| summary.take(&name, number, line, filter);
    if file == Path::new("-") {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            anstream::eprintln!("reading lines from standard input; press Ctrl-D to end");
        }
        lines::each(&mut stdin.lock(), &mut take)
    } else {
        lines::each(
            &mut io::BufReader::with_capacity(1 << 18, std::fs::File::open(file)?),
            &mut take,
        )
    }
}

/// Sorts rotated files from the oldest to the newest: `FILE.2`, `FILE.1`, `FILE`. Other files stay where they are.
fn in_order(files: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut places: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut keyed: Vec<_> = files
        .into_iter()
        .enumerate()
        .map(|(index, file)| {
            let number = file.extension().and_then(OsStr::to_str).and_then(|it| it.parse().ok());
            let number: u32 = number.unwrap_or(0);
            let base = if number == 0 { file.clone() } else { file.with_extension("") };
            let place = *places.entry(base).or_insert(index);
            ((place, u32::MAX - number), file)
        })
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, file)| file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_files_are_read_from_the_oldest() {
        let files = ["b", "a.jsonl", "a.jsonl.1", "a.jsonl.10", "a.jsonl.2", "c.log"];
        let sorted = in_order(files.map(PathBuf::from).to_vec());
        let expected = ["b", "a.jsonl.10", "a.jsonl.2", "a.jsonl.1", "a.jsonl", "c.log"];
        assert_eq!(sorted, expected.map(PathBuf::from));
    }
}
