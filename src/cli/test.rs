//! `poolguard test`: policy tests for a config.
//!
//! ```text
//! folder ──find──▶ files ──case──▶ tests ──run──▶ answers ──compare──▶ differences ──▶ table, JUnit
//!                          (mistakes, with their place)
//! ```

mod case;
mod compare;
mod find;
mod junit;
mod library;
mod mistakes;
mod raw;
mod report;
mod run;
mod schema;
mod script;
mod stream;
mod table;

use std::{
    collections::HashSet,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::ValueEnum;

use self::{
    case::{About, Mistake, ReadTest},
    find::FoundFiles,
    library::Library,
    report::{Outcome, TestReport, TestResult},
};
use super::{
    UNREADABLE,
    live::LiveFlags,
    page::{FAINT, Styled},
};

/// Run the policy tests of a folder: inputs with the decisions that you expect.
///
/// A test is a folder with the file case.json, case.yaml or case.yml. The file names a config, a cluster and inputs,
/// and says which decisions and messages you expect. It can name a script that writes inputs, which PoolGuard then
/// runs: run only tests that you trust. Exit code 0: every test passed. 1: a test failed. 2: a test or a file that it
/// names has a mistake.
#[derive(Debug, clap::Args)]
pub(super) struct TestCommand {
    /// Folder with tests, at any depth; or the file of one test
    #[arg(value_name = "DIR", required_unless_present = "schema")]
    folder: Option<PathBuf>,

    /// Run only tests with this text in their name or `kind`
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,

    /// Judge against the cluster of this context of the kubeconfig: PoolGuard uses it instead of the dump of each test
    /// that names one, and changes nothing in it
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// Kubeconfig file of this cluster; without --context, its current context
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Print the JSON Schema of a test, for example for an editor
    #[arg(long, conflicts_with_all = ["folder", "filter", "context", "kubeconfig", "output"])]
    schema: bool,

    /// Output format
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Text for people: the tests that failed, each with what was expected and what PoolGuard answered
    Table,
    /// A test report in XML for CI
    Junit,
}

impl TestCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self { folder, filter, context, kubeconfig, schema, output } = self;
        let mut out = anstream::stdout().lock();
        let folder = match folder {
            Some(folder) if !schema => folder,
            Some(_) | None => {
                writeln!(out, "{}", serde_json::to_string_pretty(raw::schema())?)?;
                return Ok(ExitCode::SUCCESS);
            }
        };
        let live = LiveFlags { kubeconfig, context };
        let library = Library::new(live.name_one().then_some(live));
        let report = run_tests(&folder, filter.as_deref(), library)?;
        for (mistake, tests) in report.mistakes() {
            anstream::eprintln!("{}", mistake.rendered);
            if !mistake.is_in_test {
                anstream::eprintln!("{}", Styled(FAINT, because_of_it(&tests)));
            }
            anstream::eprintln!();
        }
        match output {
            Output::Table => write!(out, "{}", table::TestTable(&report))?,
            Output::Junit => write!(out, "{}", junit::render(&report)?)?,
        }
        Ok(if report.not_run() > 0 {
            ExitCode::from(UNREADABLE)
        } else if report.failed() > 0 {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// The largest number of tests that a note names; the others are counted.
const NAMED_MAX: usize = 3;

/// Returns the note that names the tests which cannot run because of a mistake in another file.
fn because_of_it(tests: &[&str]) -> String {
    let named: Vec<_> = tests.iter().take(NAMED_MAX).copied().collect();
    let more = tests.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("not run because of it: {}{more}", named.join(", "))
}

/// Runs the tests of a folder that the filter does not exclude.
fn run_tests(
    folder: &Path,
    filter: Option<&str>,
    mut library: Library,
) -> anyhow::Result<TestReport> {
    let mut found = FoundFiles::search(folder)?;
    let mut tests: Vec<_> =
        std::mem::take(&mut found.tests).into_iter().map(ReadTest::read).collect();
    let used: HashSet<_> = tests.iter_mut().flat_map(|it| std::mem::take(&mut it.used)).collect();
    if let Some(filter) = filter {
        let all = tests.len();
        tests.retain(|test| test.matches(filter));
        anyhow::ensure!(
            !tests.is_empty(),
            "none of the {all} tests in {} has `{filter}` in its name or `kind`",
            folder.display()
        );
    }
    let mut results: Vec<_> = tests.into_iter().map(|test| run_test(test, &mut library)).collect();
    if filter.is_none() {
        results.extend(found.stray_tests(&used).map(|file| stray(folder, file)));
    }
    Ok(TestReport { place: folder.display().to_string(), results })
}

/// Returns the result of a file that looks like a test, and that PoolGuard does not run.
fn stray(folder: &Path, file: &Path) -> TestResult {
    let name = file.strip_prefix(folder).unwrap_or(file).display().to_string();
    let mistake = Mistake::of_test(&anyhow::anyhow!(
        "{} looks like a test that PoolGuard does not run: put it into a folder of its own as {}",
        file.display(),
        find::names("or")
    ));
    let about = About { name, title: None, why: None, kind: None };
    TestResult { about, outcome: Outcome::NotRun(mistake) }
}

fn run_test(test: ReadTest, library: &mut Library) -> TestResult {
    let ReadTest { about, outcome: case, used: _ } = test;
    let outcome = case.and_then(|mut case| {
        let answer = case.answer(library)?;
        let (unknown, known) = compare::unknown_results(&case.expect, &answer);
        let root = case.file.root();
        let unknown = unknown.iter().map(|name| mistakes::unknown_result(&root, name, &known));
        let unknown: Vec<_> = unknown.collect();
        case.file.add(unknown);
        case.without_mistakes()?;
        Ok(compare::differences(&case.expect, &answer))
    });
    let outcome = match outcome {
        Ok(differences) if differences.is_empty() => Outcome::Passed,
        Ok(differences) => Outcome::Failed(differences),
        Err(mistake) => Outcome::NotRun(mistake),
    };
    TestResult { about, outcome }
}
