//! The mistakes of a test that its schema does not show: keys of another command, inputs that are missing, and
//! expectations that nothing can fail.

use std::{borrow::Cow, collections::BTreeMap, path::Path};

use super::{
    find::path_of,
    raw::{Command, Expect, ExpectedDecision, ExpectedFinding, ExpectedResult, RawTest, Run},
};
use crate::{
    config::{Diagnostic, SourceFile, TreeCursor},
    json::text::likely,
};

/// Returns every mistake, each with its place. The folder is that of the test.
pub(super) fn find(test: &RawTest, file: &SourceFile, folder: &Path) -> Vec<Diagnostic> {
    let mut checker = Checker { file, folder, mistakes: Vec::new() };
    let root = file.root();
    let (run_place, expect_place) = (root.key("run"), root.key("expect"));
    if let Some(run) = &test.run {
        if let Some(command) = run.command {
            checker.run(command, run, &run_place);
            if let Some(expect) = &test.expect {
                checker.keys_of_command(command, &keys_of_expect(expect), &expect_place);
            }
        }
        for (place, name) in run_place.key("inputs").items(&run.inputs) {
            checker.no_empty_text(&place, name);
        }
    }
    if let Some(expect) = &test.expect {
        let inputs = test.run.as_ref().map_or(&[][..], |run| &run.inputs);
        checker.expect(expect, inputs, &expect_place);
    }
    checker.mistakes
}

struct Checker<'f> {
    file: &'f SourceFile,
    folder: &'f Path,
    mistakes: Vec<Diagnostic>,
}

/// Returns the keys of `run`, each with whether it says something, except those that every command has.
fn keys_of_run(run: &Run) -> [(&'static str, bool); 7] {
    let Run { command: _, generate: _, config, cluster, plan, inputs, user, groups, namespace } =
        run;
    [
        ("config", config.is_some()),
        ("cluster", cluster.is_some()),
        ("plan", plan.is_some()),
        ("inputs", !inputs.is_empty()),
        ("as", user.is_some()),
        ("groups", !groups.is_empty()),
        ("namespace", namespace.is_some()),
    ]
}

/// Returns the keys of `expect`, each with whether it says something, except those that every command has.
fn keys_of_expect(expect: &Expect) -> [(&'static str, bool); 6] {
    let Expect { exit, results, has, has_not, lines, says: _, says_not: _, time } = expect;
    [
        ("exit", exit.is_some()),
        ("results", !results.is_empty()),
        ("has", !has.is_empty()),
        ("hasNot", !has_not.is_empty()),
        ("lines", lines.is_some()),
        ("time", time.is_some()),
    ]
}

impl Checker<'_> {
    fn report(&mut self, mistake: Diagnostic) {
        self.mistakes.push(mistake);
    }

    /// Reports the inputs that the command needs and the test lacks, and the keys that the command does not read.
    fn run(&mut self, command: Command, run: &Run, place: &TreeCursor<'_>) {
        self.keys_of_command(command, &keys_of_run(run), place);
        let name = command.as_str();
        match command {
            Command::Review | Command::Serve => {
                let inputs = place.key("inputs");
                if run.inputs.is_empty() && !self.file.is_broken(&inputs) {
                    let help = "add `inputs: [pod.yaml]` with the files to decide";
                    let mistake = inputs.error(format!("`{name}` has no `inputs`"));
                    self.report(mistake.with_help(help));
                }
            }
            Command::Check => {
                let (cluster, plan) = (place.key("cluster"), place.key("plan"));
                let is_broken = self.file.is_broken(&cluster) || self.file.is_broken(&plan);
                match (&run.cluster, &run.plan) {
                    (None, None) if !is_broken => self.report(
                        place.error("`check` has neither a `cluster` nor a `plan`").with_help(
                            "add `cluster: cluster.json`, a dump, or `plan: plan.json`, a \
                             Terraform plan",
                        ),
                    ),
                    (Some(_), Some(_)) => {
                        let message =
                            "`check` has a `cluster` and a `plan`; it reads only one of them";
                        self.report(plan.key_error(message));
                    }
                    (_, _) => {}
                }
            }
            Command::ConfigCheck => {
                let config = place.key("config");
                if run.config.is_none() && !self.file.is_broken(&config) {
                    let help = "add `config: config.yaml` with the file to check";
                    self.report(config.error(format!("`{name}` has no `config`")).with_help(help));
                }
            }
        }
    }

    /// Reports the keys that the command of the test does not know.
    fn keys_of_command(
        &mut self,
        command: Command,
        keys: &[(&'static str, bool)],
        place: &TreeCursor<'_>,
    ) {
        for (key, _) in keys.iter().filter(|(_, says_something)| *says_something) {
            let has = |it: &Command| it.run_keys().contains(key) || it.expect_keys().contains(key);
            if has(&command) {
                continue;
            }
            let owners: Vec<_> = Command::ALL.iter().filter(|it| has(it)).collect();
            let owners: Vec<_> = owners.iter().map(|it| format!("`{}`", it.as_str())).collect();
            let (owners, name) = (owners.join(" and "), command.as_str());
            self.report(
                place.key(key).key_error(format!(
                    "`{key}` is a key for {owners}, and this test runs `{name}`"
                )),
            );
        }
    }

    fn expect(&mut self, expect: &Expect, inputs: &[String], place: &TreeCursor<'_>) {
        let Expect { exit, results, has, has_not, lines: _, says, says_not, time } = expect;
        let has_key = keys_of_expect(expect).iter().any(|(_, says_something)| *says_something);
        if !has_key && says.is_empty() && says_not.is_empty() && !self.file.is_broken(place) {
            let help = "name a result, a finding, an exit code or a text: without one, the test \
                        could not fail";
            self.report(place.error("the test expects nothing").with_help(help));
        }
        if exit.as_ref().is_some_and(|it| it.as_slice().is_empty()) {
            self.report(place.key("exit").error("`exit` is a list without an exit code"));
        }
        self.texts(place, "says", says);
        self.texts(place, "saysNot", says_not);
        self.results(results, inputs, &place.key("results"));
        self.findings(has, &place.key("has"));
        self.findings(has_not, &place.key("hasNot"));
        let than = time.as_ref().and_then(|it| it.than.as_ref());
        if than.is_some_and(Vec::is_empty) {
            let place = place.key("time").key("than");
            self.report(place.error("`than` has no input to compare with"));
        }
    }

    fn results(
        &mut self,
        results: &BTreeMap<String, ExpectedResult>,
        inputs: &[String],
        place: &TreeCursor<'_>,
    ) {
        for (name, result) in results {
            let place = place.key(name);
            if !inputs.is_empty() && !inputs.iter().any(|input| is_of_input(name, input)) {
                // A file that exists is named correctly: the mistake is then in an input.
                let is_file = path_of(self.folder, name).exists();
                let meant =
                    if is_file { None } else { likely(name, inputs.iter().map(String::as_str)) };
                let question = meant.map(|it| format!("; did you mean `{it}`?"));
                let question = question.unwrap_or_default();
                let known: Vec<_> = inputs.iter().map(|it| format!("`{it}`")).collect();
                let known = format!("the inputs are {}", known.join(", "));
                let mistake =
                    place.key_error(format!("`{name}` is no input of this test{question}"));
                self.report(mistake.with_help(known));
            }
            self.result(result, &place);
        }
    }

    fn result(&mut self, result: &ExpectedResult, place: &TreeCursor<'_>) {
        let ExpectedResult { decision, rule, says, says_not, patch_touches, patch_says, recorded } =
            result;
        self.texts(place, "says", says);
        self.texts(place, "saysNot", says_not);
        self.texts(place, "patchSays", patch_says);
        if *decision == Some(ExpectedDecision::Unreadable) {
            for (key, says_something) in [
                ("rule", rule.is_some()),
                ("patchTouches", patch_touches.is_some()),
                ("patchSays", !patch_says.is_empty()),
                ("recorded", recorded.is_some()),
            ] {
                if says_something {
                    self.report(
                        place
                            .key(key)
                            .error(format!("an input that PoolGuard cannot read has no `{key}`")),
                    );
                }
            }
        }
    }

    fn findings(&mut self, findings: &[ExpectedFinding], place: &TreeCursor<'_>) {
        for (place, finding) in place.items(findings) {
            let ExpectedFinding { rule, status, severity, pool, node, object, says } = finding;
            let texts = [rule, status, severity, pool, node, object];
            let is_empty = texts.iter().all(|it| it.is_none()) && says.is_empty();
            if is_empty && !self.file.is_broken(&place) {
                let help = "add `rule`, `status` or another key of the finding";
                self.report(
                    place.error("this finding is empty: any finding matches").with_help(help),
                );
            }
            self.texts(&place, "says", says);
        }
    }

    fn texts(&mut self, place: &TreeCursor<'_>, key: &str, texts: &[String]) {
        for (place, text) in place.key(key).items(texts) {
            self.no_empty_text(&place, text);
        }
    }

    /// Reports a text that is empty. An empty text is in every message, and an empty name is no file.
    fn no_empty_text(&mut self, place: &TreeCursor<'_>, text: &str) {
        if text.trim().is_empty() {
            self.report(place.error("this text is empty"));
        }
    }
}

/// Whether the result of this name belongs to an input: the file itself, one of its documents, or a file of a folder.
fn is_of_input(name: &str, input: &str) -> bool {
    name.strip_prefix(input.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || is_document_number(rest))
}

/// Whether a text is the number of a document, for example `#2`.
fn is_document_number(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|number| number.parse::<usize>().is_ok())
}

/// Returns the mistake that a file cannot be read, with the name that was likely meant.
pub(super) fn unreadable_file(
    place: &TreeCursor<'_>,
    name: &str,
    why: &str,
    siblings: &[String],
) -> Diagnostic {
    let meant = likely(name, siblings.iter().map(String::as_str));
    let question = match meant {
        Some(meant) => Cow::from(format!("; did you mean `{meant}`?")),
        None => Cow::from(""),
    };
    place.error(format!("cannot read `{name}`: {why}{question}"))
}

/// Returns the mistake that no result has this name, with the names that there are.
pub(super) fn unknown_result(root: &TreeCursor<'_>, name: &str, known: &[&str]) -> Diagnostic {
    let place = root.key("expect").key("results").key(name);
    let meant = likely(name, known.iter().copied());
    let question = meant.map(|it| format!("; did you mean `{it}`?")).unwrap_or_default();
    let known: Vec<_> = known.iter().map(|it| format!("`{it}`")).collect();
    let help = format!("the results are {}", known.join(", "));
    place.key_error(format!("no result has the name `{name}`{question}")).with_help(help)
}
