//! A test, read from its file.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use anstream::adapter::strip_str;

use super::{
    find::{FoundTest, is_test_file, path_of},
    mistakes,
    raw::{Command, Expect, RawTest, Run, format},
    script::Generated,
};
use crate::{
    cli::input::error_text,
    config::{Decoration, Diagnostic, SourceFile, TreeCursor},
};

/// A test whose file has no mistake.
pub(super) struct TestCase {
    pub(super) folder: PathBuf,
    pub(super) file: SourceFile,
    pub(super) command: Command,
    pub(super) run: Run,
    pub(super) expect: Expect,
}

/// The name of a test, and the texts that describe it to people.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) name: String,
    pub(super) title: Option<String>,
    pub(super) why: Option<String>,
    pub(super) kind: Option<String>,
}

/// The reason why a test has no result: a mistake in its file, or in a file that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mistake {
    /// The mistake with the lines that it is about, for terminals.
    pub(super) rendered: String,
    /// The same mistake as plain text; for mistakes in a test, one line each.
    pub(super) lines: String,
    /// Whether the mistake is in the file of the test itself.
    pub(super) is_in_test: bool,
}

/// A test, or the mistake that keeps it from running.
pub(super) struct ReadTest {
    pub(super) about: About,
    pub(super) outcome: Result<TestCase, Mistake>,
    /// The files that the test names.
    pub(super) used: HashSet<PathBuf>,
}

impl ReadTest {
    /// Reads the file of a test, and looks whether the files that it names exist.
    pub(super) fn read(found: FoundTest) -> Self {
        let FoundTest { name, file: path } = found;
        let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
        let mut about = About { name, title: None, why: None, kind: None };
        let shown = path.display().to_string();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                let error = anyhow::Error::new(error).context(format!("cannot read {shown}"));
                let outcome = Err(Mistake::of_test(&error));
                return Self { about, outcome, used: HashSet::new() };
            }
        };
        let (mut file, raw) = SourceFile::read::<RawTest>(shown, text, format());
        let raw = raw.unwrap_or_default();
        let mut found = mistakes::find(&raw, &file, &folder);
        let root = file.root();
        let named = raw.run.as_ref().map(|run| named_files(run, raw.expect.as_ref(), &root));
        let used = named.iter().flatten().map(|(_, name)| path_of(&folder, name)).collect();
        // What a script writes exists only while the test runs.
        let script = raw.run.as_ref().and_then(|run| run.generate.as_ref());
        for (place, name) in named.iter().flatten() {
            if script.is_none_or(|script| script == name) {
                found.extend(missing_file(&folder, place, name));
            }
        }
        file.add(found);
        let RawTest { title, why, kind, sources: _, run, expect } = raw;
        (about.title, about.why, about.kind) = (title, why, kind);
        let command = run.as_ref().and_then(|run| run.command);
        let outcome = match (Mistake::in_file(&file), command, run, expect) {
            (None, Some(command), Some(run), Some(expect)) => {
                Ok(TestCase { folder, file, command, run, expect })
            }
            // Without one of these keys there is a mistake.
            (mistake, _, _, _) => Err(mistake.unwrap_or_default()),
        };
        Self { about, outcome, used }
    }

    /// Whether the name or the kind contains a text.
    pub(super) fn matches(&self, filter: &str) -> bool {
        let About { name, kind, .. } = &self.about;
        name.contains(filter) || kind.as_ref().is_some_and(|kind| kind.contains(filter))
    }
}

impl Mistake {
    /// The error of a file that a test names.
    pub(super) fn of(error: &anyhow::Error) -> Self {
        let rendered = error_text(error);
        let lines = strip_str(&rendered).to_string();
        Self { rendered, lines, is_in_test: false }
    }

    /// An error of the test itself.
    pub(super) fn of_test(error: &anyhow::Error) -> Self {
        Self { is_in_test: true, ..Self::of(error) }
    }

    /// The first error in one line.
    pub(super) fn headline(&self) -> &str {
        let is_error = |line: &&str| line.starts_with("error");
        let mut lines = self.lines.lines();
        lines.clone().find(is_error).or_else(|| lines.next()).unwrap_or_default()
    }

    /// The mistakes in the file of a test.
    fn in_file(file: &SourceFile) -> Option<Self> {
        let mistakes = file.mistakes()?;
        let (rendered, lines) = (mistakes.render(Decoration::Styled), mistakes.to_string());
        Some(Self { rendered, lines, is_in_test: true })
    }
}

impl TestCase {
    /// Checks that the files exist, now that a script has written some of them.
    pub(super) fn find_files(&mut self, generated: &Generated) -> Result<(), Mistake> {
        let named = named_files(&self.run, Some(&self.expect), &self.file.root());
        let missing = named.iter().filter(|(_, name)| generated.file(name).is_none());
        let missing =
            missing.filter_map(|(place, name)| missing_file(&self.folder, place, name)).collect();
        self.file.add(missing);
        self.without_mistakes()
    }

    /// Returns the mistakes that were found while the test ran, if there are any, as an error.
    pub(super) fn without_mistakes(&self) -> Result<(), Mistake> {
        Mistake::in_file(&self.file).map_or(Ok(()), Err)
    }
}

/// The files that a test names, each with its place.
fn named_files<'f>(
    run: &Run,
    expect: Option<&Expect>,
    root: &TreeCursor<'f>,
) -> Vec<(TreeCursor<'f>, String)> {
    let place = root.key("run");
    let Run { config, cluster, plan, generate, inputs, .. } = run;
    let mut files = Vec::new();
    for (key, name) in
        [("config", config), ("cluster", cluster), ("plan", plan), ("generate", generate)]
    {
        files.extend(name.as_ref().map(|name| (place.key(key), name)));
    }
    files.extend(place.key("inputs").items(inputs));
    let time = expect.and_then(|it| it.time.as_ref());
    let than = time.and_then(|it| it.than.as_deref()).unwrap_or_default();
    files.extend(root.key("expect").key("time").key("than").items(than));
    // An empty name is a mistake of its own.
    files.retain(|(_, name)| !name.trim().is_empty());
    files.into_iter().map(|(place, name)| (place, name.clone())).collect()
}

/// The mistake of a file that does not exist.
fn missing_file(folder: &Path, place: &TreeCursor<'_>, name: &str) -> Option<Diagnostic> {
    let path = path_of(folder, name);
    let error = fs::metadata(&path).err()?;
    let is_absent = error.kind() == io::ErrorKind::NotFound;
    let why = if is_absent { "there is no such file".to_owned() } else { error.to_string() };
    Some(mistakes::unreadable_file(place, name, &why, &siblings(&path, name)))
}

/// The files beside the one that is missing, named as the test would name them.
fn siblings(path: &Path, name: &str) -> Vec<String> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let entries = fs::read_dir(folder.unwrap_or_else(|| Path::new(".")));
    let names = entries.into_iter().flatten().flatten().map(|it| it.file_name());
    let before = name.rfind('/').and_then(|slash| name.get(..=slash)).unwrap_or_default();
    let mut siblings: Vec<_> = names
        .filter(|name| !is_test_file(name))
        .map(|name| format!("{before}{}", name.to_string_lossy()))
        .collect();
    siblings.sort();
    siblings
}
