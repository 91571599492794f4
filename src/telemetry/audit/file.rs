//! A file of lines that is rotated by size and count.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The mode of the file: only its owner and its group can read it, because records name users.
const PERMISSIONS: u32 = 0o640;

/// A file that takes whole lines up to a size. Then it becomes `FILE.1`, what was `FILE.1` becomes
/// `FILE.2`, and the oldest goes.
///
/// Before every line it is looked at anew, so that it may be moved, emptied or deleted meanwhile.
#[derive(Debug)]
pub struct RotatingFile {
    path: PathBuf,
    size: u64,
    count: usize,
    file: File,
    end: End,
}

/// The state of the end of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A whole line, or nothing.
    Line,
    /// A part of a line, whose rest comes next.
    Part,
    /// A part of a line, whose rest was lost with the process that wrote it.
    TornLine,
}

impl RotatingFile {
    /// Opens a file for more lines, or makes it. There are at most `count` files, this one included,
    /// each of at most `size` bytes, or of one line that is longer.
    pub fn open(path: impl Into<PathBuf>, size: u64, count: usize) -> io::Result<Self> {
        let path = path.into();
        let (file, end) = open(&path)?;
        Ok(Self { path, size, count, file, end })
    }

    /// Makes the file ready for the first of these lines, and says how many bytes of them it takes.
    fn prepare(&mut self, lines: &[u8]) -> io::Result<usize> {
        if self.end == End::Line {
            self.look()?;
        }
        if self.end == End::TornLine {
            if self.file.write(b"\n")? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            self.end = End::Line;
        }
        let metadata = self.file.metadata()?;
        if !metadata.is_file() {
            return Ok(lines.len());
        }
        let first = lines.iter().position(|byte| *byte == b'\n').map_or(lines.len(), |end| end + 1);
        if self.end == End::Part {
            return Ok(first);
        }
        let mut room = self.size.saturating_sub(metadata.len());
        if metadata.len() > 0 && room < first as u64 {
            self.rotate()?;
            room = self.size;
        }
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(lines.len());
        let fitting = lines.get(..room).unwrap_or_default();
        Ok(fitting.iter().rposition(|byte| *byte == b'\n').map_or(first, |end| end + 1))
    }

    /// Opens the file again if it is not the one at the path any more.
    fn look(&mut self) -> io::Result<()> {
        let is_same = |there: &Metadata| {
            let here = self.file.metadata()?;
            Ok::<_, io::Error>((here.dev(), here.ino()) == (there.dev(), there.ino()))
        };
        let is_there = match fs::metadata(&self.path) {
            Ok(there) => is_same(&there)?,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if !is_there {
            (self.file, self.end) = open(&self.path)?;
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.count).rev() {
            let (from, to) = (numbered(&self.path, number - 1), numbered(&self.path, number));
            match fs::rename(from, to) {
                // A process that died here left a gap.
                Err(error) if number > 1 && error.kind() == ErrorKind::NotFound => {}
                result => result?,
            }
        }
        if self.count <= 1 {
            fs::remove_file(&self.path)?;
        }
        (self.file, self.end) = open(&self.path)?;
        Ok(())
    }
}

impl Write for RotatingFile {
    /// Writes as many lines as fit, or what is left of one.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if lines.is_empty() {
            return Ok(0);
        }
        let taken = self.prepare(lines)?;
        let count = self.file.write(lines.get(..taken).unwrap_or(lines))?;
        if let Some(last) = count.checked_sub(1).and_then(|last| lines.get(last)) {
            self.end = if *last == b'\n' { End::Line } else { End::Part };
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the path of the file with this number: `FILE`, `FILE.1`, `FILE.2`, …
fn numbered(path: &Path, number: usize) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

fn open(path: &Path) -> io::Result<(File, End)> {
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).create(true).mode(PERMISSIONS).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok((file, End::Line));
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok((file, if last == *b"\n" { End::Line } else { End::TornLine }))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// Ten bytes.
    fn line(number: usize) -> String {
        format!("line {number:04}\n")
    }

    fn folder() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        (folder, path)
    }

    fn text(path: &Path, number: usize) -> String {
        fs::read_to_string(numbered(path, number)).unwrap_or_default()
    }

    /// All files, the oldest first.
    fn all(path: &Path) -> String {
        (0..10).rev().map(|number| text(path, number)).collect()
    }

    #[test]
    fn files_are_rotated_by_size_at_the_end_of_a_line_and_the_oldest_goes() {
        let (_folder, path) = folder();
        let mut file = RotatingFile::open(&path, 35, 3).unwrap();
        for number in 0..10 {
            file.write_all(line(number).as_bytes()).unwrap();
        }
        assert_eq!(text(&path, 0), line(9));
        assert_eq!(text(&path, 1), [line(6), line(7), line(8)].concat());
        assert_eq!(text(&path, 2), [line(3), line(4), line(5)].concat());
        assert!(!numbered(&path, 3).exists());
    }

    #[test]
    fn a_batch_is_spread_over_files() {
        let (_folder, path) = folder();
        let lines: String = (0..10).map(line).collect();
        RotatingFile::open(&path, 35, 9).unwrap().write_all(lines.as_bytes()).unwrap();
        assert_eq!(all(&path), lines);
        assert_eq!(text(&path, 0), line(9));
    }

    #[test]
    fn one_file_alone_starts_anew() {
        let (_folder, path) = folder();
        let lines: String = (0..4).map(line).collect();
        RotatingFile::open(&path, 35, 1).unwrap().write_all(lines.as_bytes()).unwrap();
        assert_eq!(all(&path), line(3));
    }

    #[test]
    fn a_line_that_is_too_long_has_a_file_of_its_own() {
        let (_folder, path) = folder();
        let long = format!("{}\n", "x".repeat(100));
        let mut file = RotatingFile::open(&path, 35, 5).unwrap();
        for line in [&line(0), &long, &line(1)] {
            file.write_all(line.as_bytes()).unwrap();
        }
        assert_eq!([text(&path, 2), text(&path, 1), text(&path, 0)], [line(0), long, line(1)]);
    }

    #[test]
    fn a_restart_appends_and_ends_the_line_that_a_crash_has_cut() {
        let (_folder, path) = folder();
        fs::write(&path, format!("{}{{\"version\":1,\"ti", line(0))).unwrap();
        let mut file = RotatingFile::open(&path, 1000, 2).unwrap();
        assert_eq!(text(&path, 0).lines().count(), 2, "nothing is written before it must");
        file.write_all(line(1).as_bytes()).unwrap();
        drop(file);
        RotatingFile::open(&path, 1000, 2).unwrap().write_all(line(2).as_bytes()).unwrap();
        assert_eq!(
            text(&path, 0),
            format!("{}{{\"version\":1,\"ti\n{}{}", line(0), line(1), line(2))
        );
    }

    #[test]
    fn a_line_goes_on_where_it_was_cut() {
        let (_folder, path) = folder();
        let mut file = RotatingFile::open(&path, 12, 3).unwrap();
        file.write_all(b"line 00").unwrap();
        file.write_all(b"00\nline 0001\n").unwrap();
        assert_eq!([text(&path, 1), text(&path, 0)], [line(0), line(1)]);
    }

    #[test]
    fn an_audit_file_may_be_moved_emptied_and_deleted() {
        let (_folder, path) = folder();
        let mut file = RotatingFile::open(&path, 1000, 3).unwrap();
        let mut write = |number| file.write_all(line(number).as_bytes()).unwrap();
        write(0);
        fs::rename(&path, path.with_extension("old")).unwrap();
        write(1);
        assert_eq!(text(&path, 0), line(1));
        fs::remove_file(&path).unwrap();
        write(2);
        assert_eq!(text(&path, 0), line(2));
        File::create(&path).unwrap();
        write(3);
        assert_eq!(text(&path, 0), line(3));
    }

    #[test]
    fn a_gap_that_a_crash_left_is_no_obstacle() {
        let (_folder, path) = folder();
        fs::write(numbered(&path, 3), line(0)).unwrap();
        let lines: String = (1..4).map(line).collect();
        RotatingFile::open(&path, 10, 9).unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(all(&path).ends_with(&lines), "{}", all(&path));
    }

    #[test]
    fn a_full_disk_is_an_error_and_no_panic() {
        let mut file = RotatingFile::open("/dev/full", 100, 3).unwrap();
        let error = file.write_all(line(0).as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }
}
