//! A reader for the lines of any input. It reads one line at a time, and keeps only the beginning of a long line.

use std::io::{self, BufRead, Read};

/// The largest number of bytes that are kept of a line: records are a few hundred bytes.
const LINE_MAX: usize = 1 << 20;

/// Calls the function with each line, without its end, and its number. It cuts lines that are too long.
pub(super) fn each(input: &mut impl BufRead, take: &mut impl FnMut(u64, &[u8])) -> io::Result<()> {
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        let count = input.by_ref().take(LINE_MAX as u64).read_until(b'\n', &mut line)?;
        if count == 0 {
            return Ok(());
        }
        number += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if count == LINE_MAX {
            input.skip_until(b'\n')?;
        }
        take(number, &line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<(u64, usize)> {
        let mut lines = Vec::new();
        each(&mut io::BufReader::with_capacity(7, input), &mut |number, line| {
            lines.push((number, line.len()));
        })
        .unwrap();
        lines
    }

    #[test]
    fn the_last_line_needs_no_end() {
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"a\n\nbc"), [(1, 1), (2, 0), (3, 2)]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_the_next_is_whole() {
        let mut input = vec![b'x'; LINE_MAX * 3];
        input.extend(b"\nnext\n");
        assert_eq!(lines(&input), [(1, LINE_MAX), (2, 4)]);
    }
}
