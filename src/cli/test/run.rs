//! A test's command, run as the command of that name runs it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anstream::adapter::strip_str;

use super::{
    case::{Mistake, TestCase},
    find::path_of,
    library::Library,
    raw::{Command, Expect, ExpectedTime, Run},
    script::Generated,
    stream,
};
use crate::{
    admission::review::Requester,
    check::CheckFinding,
    cli::{
        UNREADABLE,
        check::fails,
        config::{self, Output},
        fail_on::FailOn,
        input::error_text,
        review::{self, DEFAULT_GROUP, DEFAULT_NAMESPACE, DEFAULT_USER, Judge, Reviews, expand},
    },
    service::PolicyAndSnapshot,
};

/// The answer of a command.
pub(super) struct Answer {
    pub(super) exit: u8,
    /// The whole output, for `says` and `saysNot`.
    pub(super) text: String,
    pub(super) details: Details,
    /// The times of the run and of the run on the inputs of `expect.time`.
    pub(super) time: Option<Comparison>,
}

/// The parts of an answer that expectations are about.
pub(super) enum Details {
    Review(Reviews),
    Check(Vec<CheckFinding>),
    /// The audit stream, which is the text of the answer.
    Stream,
    /// An answer that is only text: a config was checked, or the command could not run.
    Text,
}

/// The times of two runs.
pub(super) struct Comparison {
    pub(super) this: Duration,
    pub(super) that: Duration,
}

impl Comparison {
    /// Returns the time of this run divided by the time of the other run.
    pub(super) fn ratio(&self) -> f64 {
        self.this.as_secs_f64() / self.that.as_secs_f64()
    }
}

/// The reason why a command could not run.
type Failure = Arc<anyhow::Error>;

impl TestCase {
    /// Runs the command of the test.
    pub(super) fn answer(&mut self, library: &mut Library) -> Result<Answer, Mistake> {
        let mut generated = None;
        if let Some(script) = &self.run.generate {
            let script = path_of(&self.folder, script);
            let made = Generated::by(&script).map_err(|error| Mistake::of(&error))?;
            self.find_files(&made)?;
            generated = Some(made);
        }
        let files = Files { folder: &self.folder, generated: generated.as_ref() };
        let answer = match self.command {
            Command::Review => self.review(&files, library),
            Command::Check => self.check(&files, library),
            Command::ConfigCheck => self.config_check(&files, library),
            Command::Serve => self.serve(&files, library),
        };
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) if self.expects_no_answer() => {
                let text = strip_str(&error_text(&error)).to_string();
                Ok(Answer { exit: UNREADABLE, text, details: Details::Text, time: None })
            }
            Err(error) => Err(Mistake::of(&error)),
        }
    }

    /// Whether the test is about a file that the command cannot read: it allows the exit code, or names the error.
    /// Otherwise such a file is a mistake.
    fn expects_no_answer(&self) -> bool {
        let Expect { exit, results, has, has_not, lines, says, says_not: _, time } = &self.expect;
        let is_about_parts = !(results.is_empty() && has.is_empty() && has_not.is_empty())
            || lines.is_some()
            || time.is_some();
        let is_named = match exit {
            Some(exit) => exit.as_slice().contains(&UNREADABLE),
            None => !says.is_empty(),
        };
        is_named && !is_about_parts
    }

    fn review(&self, files: &Files<'_>, library: &mut Library) -> Result<Answer, Failure> {
        let (reviews, time) = if let Some(time) = &self.expect.time {
            let (reviews, time) = self.compare_times(time, files, library)?;
            (reviews, Some(time))
        } else {
            let guard = self.guard(files, library)?;
            (self.reviews(&self.run.inputs, files, &guard)?, None)
        };
        // The messages once more, without what JSON escapes.
        let findings = reviews.results.iter().flat_map(|it| it.denials.iter().chain(&it.warnings));
        let errors = reviews.errors.iter();
        let texts: Vec<String> = [reviews.json().map_err(anyhow::Error::new)?]
            .into_iter()
            .chain(findings.map(|it| it.denial()))
            .chain(errors.map(|it| format!("error: {}: {}", it.file, it.error)))
            .collect();
        let text = texts.join("\n");
        let exit = reviews.exit_code(review::FailOn::Deny);
        Ok(Answer { exit, text, details: Details::Review(reviews), time })
    }

    /// Returns the config and the cluster of the test.
    fn guard(
        &self,
        files: &Files<'_>,
        library: &mut Library,
    ) -> Result<Arc<PolicyAndSnapshot>, Failure> {
        let Run { config, cluster, .. } = &self.run;
        let (config, cluster) =
            (files.optional(config.as_deref()), files.optional(cluster.as_deref()));
        library.guard(config.as_deref(), cluster.as_deref())
    }

    fn reviews(
        &self,
        inputs: &[String],
        files: &Files<'_>,
        guard: &PolicyAndSnapshot,
    ) -> Result<Reviews, Failure> {
        let run = &self.run;
        let user = run.user.clone().unwrap_or_else(|| DEFAULT_USER.to_owned());
        let groups = match run.groups.as_slice() {
            [] => vec![DEFAULT_GROUP.to_owned()],
            groups => groups.to_vec(),
        };
        let namespace = run.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        let asker = Requester { user, groups, namespace };
        let judge = Judge { policy: &guard.policy, snapshot: &guard.snapshot, asker };
        let mut reviews = Reviews::default();
        for input in inputs {
            let path = files.path(input);
            for file in expand(std::slice::from_ref(&path))? {
                // The name of a file in a folder is its way from the test.
                let below = file.strip_prefix(&path).unwrap_or(&path).to_string_lossy();
                let folder = input.trim_end_matches('/');
                let name =
                    if below.is_empty() { input.clone() } else { format!("{folder}/{below}") };
                reviews.add(&name, &file, &judge);
            }
        }
        Ok(reviews)
    }

    /// Runs the test, and measures it and the run on other inputs in turns; the best of each side counts. The first
    /// turn that is within the limit is enough. A run reads the config and the cluster, too: that is measured once.
    fn compare_times(
        &self,
        time: &ExpectedTime,
        files: &Files<'_>,
        library: &Library,
    ) -> Result<(Reviews, Comparison), Failure> {
        let others = time.than.as_deref().unwrap_or_default();
        let at_most = time.at_most.unwrap_or_default();
        let (guard, start) = measured(|| self.guard(files, &mut library.unread()))?;
        let mut best = Comparison { this: Duration::MAX, that: Duration::MAX };
        let mut turns = 0;
        loop {
            turns += 1;
            let (reviews, this) = measured(|| self.reviews(&self.run.inputs, files, &guard))?;
            let (_, that) = measured(|| self.reviews(others, files, &guard))?;
            best.this = best.this.min(start + this);
            best.that = best.that.min(start + that);
            if turns == TURNS || best.ratio() <= at_most {
                return Ok((reviews, best));
            }
        }
    }

    fn check(&self, files: &Files<'_>, library: &mut Library) -> Result<Answer, Failure> {
        let run = &self.run;
        let config = files.optional(run.config.as_deref());
        let fitness = match (&run.cluster, &run.plan) {
            (Some(cluster), _) => library.check_cluster(config.as_deref(), &files.path(cluster))?,
            (None, plan) => {
                let plan = files.path(plan.as_deref().unwrap_or_default());
                library.check_plan(config.as_deref(), &plan)?
            }
        };
        let findings = fitness.findings;
        let exit = u8::from(fails(&findings, FailOn::Error));
        let texts = findings.iter().flat_map(finding_texts);
        let text = texts.collect::<Vec<_>>().join("\n");
        Ok(Answer { exit, text, details: Details::Check(findings), time: None })
    }

    fn config_check(&self, files: &Files<'_>, library: &mut Library) -> Result<Answer, Failure> {
        let config = files.optional(self.run.config.as_deref());
        let config = library.config(config.as_deref())?;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let (name, text) = (self.run.config.as_deref().unwrap_or_default(), config.text());
        let exit = config::check_text(name, text, Output::Text, &mut out, &mut err)?;
        out.extend(err);
        let text = strip_str(&String::from_utf8_lossy(&out)).to_string();
        Ok(Answer { exit, text, details: Details::Text, time: None })
    }

    fn serve(&self, files: &Files<'_>, library: &mut Library) -> Result<Answer, Failure> {
        let guard = self.guard(files, library)?;
        let inputs = self.run.inputs.iter().map(|name| files.path(name));
        let text = stream::of(guard, inputs)?;
        Ok(Answer { exit: 0, text, details: Details::Stream, time: None })
    }
}

/// The largest number of turns of a comparison of times.
const TURNS: usize = 5;

/// Makes a value, and returns it with the time that this took.
fn measured<T>(make: impl FnOnce() -> Result<T, Failure>) -> Result<(T, Duration), Failure> {
    let start = Instant::now();
    let value = make()?;
    Ok((value, start.elapsed()))
}

/// Returns the values and texts of a finding.
pub(super) fn finding_texts(finding: &CheckFinding) -> impl Iterator<Item = String> {
    let CheckFinding { rule, status, severity, pool, node, object, fact: _, why: _, fix } = finding;
    let words = [rule.as_str(), status.as_str(), severity.as_str()].map(|it| Some(it.to_owned()));
    let places = [pool.clone(), node.clone(), object.clone()];
    let texts = [Some(finding.message()), fix.clone()];
    words.into_iter().chain(places).chain(texts).flatten()
}

/// The folders that contain the files of a test.
struct Files<'t> {
    folder: &'t Path,
    generated: Option<&'t Generated>,
}

impl Files<'_> {
    /// Returns the path of a file: one that the script of the test wrote, or else one that is named from the
    /// test's folder.
    fn path(&self, name: &str) -> PathBuf {
        let generated = self.generated.and_then(|it| it.file(name));
        generated.unwrap_or_else(|| path_of(self.folder, name))
    }

    fn optional(&self, name: Option<&str>) -> Option<PathBuf> {
        name.map(|name| self.path(name))
    }
}
