//! The tests of a folder: each is a folder with a test file.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs, io,
    path::{Component, Path, PathBuf},
};

use anyhow::Context;

/// The names that the file of a test may have.
const TEST_FILES: [&str; 3] = ["case.json", "case.yaml", "case.yml"];

/// The depth to which folders in folders are searched.
const DEPTH_MAX: usize = 8;

/// The largest size of a test file in bytes. Longer files are no tests.
const TEST_BYTES_MAX: u64 = 64 << 10;

/// The files that a folder contains.
#[derive(Debug, Default)]
pub(super) struct FoundFiles {
    /// The tests, by name.
    pub(super) tests: Vec<FoundTest>,
    /// All other files.
    others: Vec<PathBuf>,
}

/// A test that was found.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FoundTest {
    /// The path from the searched folder to the folder of the test, for example `aws/intruder-is-denied`.
    pub(super) name: String,
    /// The file of the test.
    pub(super) file: PathBuf,
}

impl FoundFiles {
    /// Searches a folder, or takes the one test whose file is named.
    pub(super) fn search(place: &Path) -> anyhow::Result<Self> {
        let mut found = Self::default();
        let context = || format!("cannot read {}", place.display());
        if place.is_file() {
            anyhow::ensure!(
                place.file_name().is_some_and(is_test_file),
                "{} is no test: PoolGuard reads the folders that contain {}",
                place.display(),
                names("or")
            );
            found.tests.push(FoundTest { name: own_name(place), file: place.to_owned() });
            return Ok(found);
        }
        found.search_folder(place, "", 0).with_context(context)?;
        found.tests.sort();
        anyhow::ensure!(
            !found.tests.is_empty(),
            "{} contains no test: PoolGuard looked for {} in this folder and in all folders \
             below it",
            place.display(),
            names("and")
        );
        Ok(found)
    }

    fn search_folder(&mut self, folder: &Path, name: &str, depth: usize) -> io::Result<()> {
        let mut entries =
            fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        let mut has_test = false;
        for path in entries {
            let Some(file_name) = path.file_name() else { continue };
            if path.is_dir() {
                let file_name = file_name.to_string_lossy();
                if depth < DEPTH_MAX && !file_name.starts_with('.') {
                    let slash = if name.is_empty() { "" } else { "/" };
                    self.search_folder(&path, &format!("{name}{slash}{file_name}"), depth + 1)?;
                }
            } else if is_test_file(file_name) && !has_test {
                has_test = true;
                let name = if name.is_empty() { own_name(&path) } else { name.to_owned() };
                self.tests.push(FoundTest { name, file: path });
            } else {
                self.others.push(path);
            }
        }
        Ok(())
    }

    /// The files that look like tests, and that PoolGuard does not run: no test uses them, and they have another name
    /// than the file of a test, or are the second one in a folder.
    pub(super) fn stray_tests(&self, used: &HashSet<PathBuf>) -> impl Iterator<Item = &Path> {
        let is_used = |file: &Path| {
            file.ancestors().any(|it| used.contains(&it.components().collect::<PathBuf>()))
        };
        let others = self.others.iter().map(PathBuf::as_path);
        others.filter(move |file| !is_used(file) && looks_like_a_test(file))
    }
}

/// Whether a file of this name is that of a test.
pub(super) fn is_test_file(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| TEST_FILES.contains(&name))
}

/// The names of test files as a message lists them.
pub(super) fn names(conjunction: &str) -> String {
    let [first, second, third] = TEST_FILES;
    format!("`{first}`, `{second}` {conjunction} `{third}`")
}

/// The name of the folder that a file is in.
fn own_name(file: &Path) -> String {
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().and_then(Path::file_name);
    folder.map_or_else(|| "test".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Whether a file has the two keys that every test has at its top level.
fn looks_like_a_test(file: &Path) -> bool {
    if fs::metadata(file).map_or(u64::MAX, |it| it.len()) > TEST_BYTES_MAX {
        return false;
    }
    let Ok(text) = fs::read_to_string(file) else { return false };
    let is_json = text.trim_start().starts_with('{');
    ["run", "expect"].into_iter().all(|key| {
        if is_json {
            text.contains(&format!("\"{key}\":"))
        } else {
            text.lines().any(|line| line.starts_with(&format!("{key}:")))
        }
    })
}

/// Returns the path of a file that a test names, from the folder of the test. The path has no `..` where that
/// is possible, so that the same file has one path.
pub(super) fn path_of(folder: &Path, name: &str) -> PathBuf {
    let mut path: PathBuf = folder.components().collect();
    for part in Path::new(name).components() {
        let is_named = matches!(path.components().next_back(), Some(Component::Normal(_)));
        match part {
            Component::CurDir => {}
            Component::ParentDir if is_named => {
                path.pop();
            }
            Component::ParentDir
            | Component::Normal(_)
            | Component::RootDir
            | Component::Prefix(_) => path.push(part),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_path() {
        for (folder, name, path) in [
            ("a/b", "c.yaml", "a/b/c.yaml"),
            ("a/b", "./c.yaml", "a/b/c.yaml"),
            ("a/b", "../c/d.yaml", "a/c/d.yaml"),
            ("a", "../../c.yaml", "../c.yaml"),
            ("..", "../c.yaml", "../../c.yaml"),
            ("a/./b/", "c.yaml", "a/b/c.yaml"),
            ("a", "/c.yaml", "/c.yaml"),
        ] {
            assert_eq!(path_of(Path::new(folder), name), Path::new(path), "{folder} {name}");
        }
    }
}
