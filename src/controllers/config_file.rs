//! The config file, looked at now and then: a mounted ConfigMap changes by a symbolic link that is
//! swapped, which the file's own name does not show, but its content does.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::telemetry::log_once::LogOnce;

/// The name, in messages, of a config that no file holds.
pub const DEFAULTS: &str = "built-in defaults";

/// A config file, and the text that it held when PoolGuard last read it.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    path: Option<PathBuf>,
    text: String,
    failure_log: LogOnce,
}

/// The result of a look at the file.
#[derive(Debug, PartialEq, Eq)]
pub enum FileChange {
    /// The text is the same as before, or the file still cannot be read for the same reason.
    Same,
    /// The text has changed.
    Changed,
    /// The file cannot be read any more, for the first time or for another reason than before.
    Unreadable(String),
}

impl ConfigFile {
    /// Creates the config file with the text that it holds now. Without a path, the config never changes.
    pub fn new(path: Option<PathBuf>, text: String) -> Self {
        Self { path, text, failure_log: LogOnce::default() }
    }

    /// Returns the name of the config in messages.
    pub fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| DEFAULTS.to_owned(), |path| path.display().to_string())
    }

    /// Returns the text that the file held when it was last readable.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the file could be read when PoolGuard last looked at it.
    pub fn is_readable(&self) -> bool {
        self.failure_log.why().is_none()
    }

    /// The hash of a config's text: 64 bits of FNV-1a, the same in every version and on every machine.
    pub fn hash(text: &str) -> String {
        let add = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, add))
    }

    /// Reads the file again, and compares its text with the last one.
    pub fn look(&mut self) -> FileChange {
        let Some(path) = &self.path else { return FileChange::Same };
        match read(path) {
            Ok(text) if text == self.text => {
                self.failure_log.end();
                FileChange::Same
            }
            Ok(text) => {
                self.failure_log.end();
                self.text = text;
                FileChange::Changed
            }
            Err(error) => {
                let why = format!("cannot read {}: {error}", path.display());
                if self.failure_log.is_news(&why) {
                    FileChange::Unreadable(why)
                } else {
                    FileChange::Same
                }
            }
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A volume as a kubelet mounts it: `config.yaml → ..data/config.yaml`, `..data → ..1`.
    fn mount(folder: &Path, generation: &str, text: &str) {
        fs::create_dir(folder.join(generation)).expect("creates");
        fs::write(folder.join(generation).join("config.yaml"), text).expect("writes");
        let new = folder.join("..data_tmp");
        symlink(generation, &new).expect("links");
        fs::rename(&new, folder.join("..data")).expect("swaps");
    }

    #[test]
    fn two_swaps_of_the_volume_in_a_row_are_seen() {
        let folder = tempfile::tempdir().expect("creates");
        mount(folder.path(), "..1", "one");
        let path = folder.path().join("config.yaml");
        symlink("..data/config.yaml", &path).expect("links");
        let mut file = ConfigFile::new(Some(path), "one".to_owned());
        assert_eq!(file.look(), FileChange::Same);
        for (generation, text) in [("..2", "two"), ("..3", "three")] {
            mount(folder.path(), generation, text);
            assert_eq!((file.look(), file.text()), (FileChange::Changed, text));
            assert_eq!(file.look(), FileChange::Same);
        }
    }

    #[test]
    fn a_file_that_is_gone_is_reported_once_and_its_text_is_kept() {
        let folder = tempfile::tempdir().expect("creates");
        let path = folder.path().join("config.yaml");
        let mut file = ConfigFile::new(Some(path.clone()), "one".to_owned());
        assert!(file.is_readable());
        assert!(matches!(file.look(), FileChange::Unreadable(_)));
        assert!(!file.is_readable());
        assert_eq!((file.look(), file.text()), (FileChange::Same, "one"));
        fs::write(&path, "two").expect("writes");
        assert_eq!((file.look(), file.text()), (FileChange::Changed, "two"));
    }

    #[test]
    fn a_hash_tells_configs_apart_and_stays_the_same() {
        assert_eq!(ConfigFile::hash(""), "cbf29ce484222325");
        assert_eq!(ConfigFile::hash("foobar"), "85944171f73967e8");
    }

    #[test]
    fn defaults_never_change() {
        let mut file = ConfigFile::new(None, String::new());
        assert_eq!((file.look(), file.name().as_str()), (FileChange::Same, DEFAULTS));
    }
}
