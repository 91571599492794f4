//! Lines on their way from the requests to the thread that writes them.

use std::{
    io::{self, ErrorKind},
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use tracing::{error, info};

/// The largest size of the queued lines: enough for a few seconds in which every decision is a denial.
const BYTES_MAX: usize = 4 << 20;

/// The memory that a buffer keeps when a burst is over.
const BYTES_KEPT: usize = 256 << 10;

/// The longest time that lines wait for others to be written with; `DEBOUNCE_MIN` is the shortest.
/// Waking a thread for every line of a burst would cost more than the line.
const DEBOUNCE: Duration = Duration::from_millis(2);
const DEBOUNCE_MIN: Duration = Duration::from_micros(250);

/// The smallest number of bytes that is worth waking the thread for; `PIECE` is the largest, because a pipe
/// takes 64 KiB before its reader must have read them.
const PIECE_LEAST: usize = 15 << 10;
const PIECE: usize = 60 << 10;

/// The pause before PoolGuard writes to a failed sink again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Written lines, back to back. A request appends to them, and the writing thread takes them all at
/// once: neither holds the lock for longer than that.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    drops: Option<Drops>,
    stops: bool,
}

/// Records that there was no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Drops {
    /// The number of records.
    pub(super) count: u64,
    /// The time at which the first of them was dropped.
    pub(super) since: Timestamp,
}

/// Lines that have left the queue, as far as they are not written.
#[derive(Debug, Default)]
struct Batch {
    lines: Vec<u8>,
    written: usize,
}

impl Queue {
    /// Appends a line of this time, and returns whether there was room for it.
    pub(super) fn push(&self, now: Timestamp, line: &[u8]) -> bool {
        let mut state = self.state();
        if state.lines.len().saturating_add(line.len()) > BYTES_MAX {
            let drops = state.drops.get_or_insert(Drops { count: 0, since: now });
            drops.count += 1;
            return false;
        }
        let was_empty = state.lines.is_empty();
        state.lines.extend_from_slice(line);
        drop(state);
        if was_empty {
            self.changed.notify_one();
        }
        true
    }

    /// Lets [`Self::write_all`] end once everything is written.
    pub(super) fn stop(&self) {
        self.state().stops = true;
        self.changed.notify_one();
    }

    /// Writes lines until the queue is closed; `report` writes the line that tells of drops. A sink that
    /// fails is tried again with what it has not taken, while the queue fills.
    ///
    /// Returns how many lines it had to give up in the end.
    pub(super) fn write_all(
        &self,
        name: &str,
        out: &mut dyn io::Write,
        report: impl Fn(&mut Vec<u8>, Timestamp, Drops),
    ) -> u64 {
        let mut batch = Batch::default();
        let mut gathering = DEBOUNCE;
        let mut has_failed = false;
        loop {
            let stops = self.take(&mut batch, &report);
            gathering = paced(gathering, batch.lines.len());
            match batch.write(out) {
                Ok(()) => {
                    if has_failed {
                        info!("the audit stream to {name} works again");
                    }
                    has_failed = false;
                }
                Err(error) => {
                    if !has_failed {
                        error!(%error, "cannot write the audit stream to {name}: PoolGuard tries \
                         again every second");
                    }
                    has_failed = true;
                }
            }
            if stops {
                return batch.lines_left();
            }
            if has_failed {
                self.pause();
            } else {
                thread::sleep(gathering);
            }
        }
    }

    /// Waits for lines, unless some are left over; then moves all of them into the batch, if it is empty or
    /// will have no other chance. Returns whether this is the end.
    fn take(&self, batch: &mut Batch, report: &impl Fn(&mut Vec<u8>, Timestamp, Drops)) -> bool {
        let is_left = !batch.lines.is_empty();
        let idle = |state: &mut State| state.lines.is_empty() && !state.stops && !is_left;
        let mut state =
            self.changed.wait_while(self.state(), idle).unwrap_or_else(PoisonError::into_inner);
        if !is_left {
            mem::swap(&mut state.lines, &mut batch.lines);
        } else if state.stops {
            batch.lines.append(&mut state.lines);
        } else {
            return false;
        }
        // They came after every line of the batch.
        if let Some(drops) = state.drops.take() {
            report(&mut batch.lines, Timestamp::now(), drops);
        }
        state.stops
    }

    /// Leaves a sink alone for a while, unless it is time to stop.
    fn pause(&self) {
        let goes_on = |state: &mut State| !state.stops;
        drop(self.changed.wait_timeout_while(self.state(), RETRY_AFTER, goes_on));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the time to gather lines next, after `taken` bytes came in this time: as long as a piece takes
/// to come.
fn paced(gathering: Duration, taken: usize) -> Duration {
    match taken {
        ..PIECE_LEAST => (gathering * 2).min(DEBOUNCE),
        PIECE_LEAST..=PIECE => gathering,
        _ => (gathering / 2).max(DEBOUNCE_MIN),
    }
}

impl Batch {
    /// Writes the rest of the batch, from where the last attempt failed.
    fn write(&mut self, out: &mut dyn io::Write) -> io::Result<()> {
        while let Some(rest) = self.lines.get(self.written..)
            && !rest.is_empty()
        {
            match out.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        out.flush()?;
        self.lines.clear();
        self.lines.shrink_to(BYTES_KEPT);
        self.written = 0;
        Ok(())
    }

    fn lines_left(&self) -> u64 {
        let rest = self.lines.get(self.written..).unwrap_or_default();
        rest.iter().map(|byte| u64::from(*byte == b'\n')).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn report(lines: &mut Vec<u8>, _: Timestamp, drops: Drops) {
        lines.extend(format!("dropped {}\n", drops.count).bytes());
    }

    fn push(queue: &Queue, line: &str) -> bool {
        queue.push(Timestamp::UNIX_EPOCH, line.as_bytes())
    }

    /// Takes so many bytes, then fails so many times, and then takes everything.
    #[derive(Clone, Debug, Default)]
    struct FullDisk {
        room: usize,
        failures: usize,
        text: Arc<Mutex<Vec<u8>>>,
    }

    impl io::Write for FullDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = if self.failures > 0 { bytes.len().min(self.room) } else { bytes.len() };
            if count == 0 {
                self.failures -= 1;
                return Err(ErrorKind::StorageFull.into());
            }
            self.room = self.room.saturating_sub(count);
            self.text.lock().unwrap().extend(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_faster_lines_come_the_sooner_they_are_written() {
        let after = |gathering, taken| (0..9).fold(gathering, |it, _| paced(it, taken));
        assert_eq!(after(DEBOUNCE, PIECE + 1), DEBOUNCE_MIN);
        assert_eq!(after(DEBOUNCE_MIN, PIECE), DEBOUNCE_MIN);
        assert_eq!(after(DEBOUNCE_MIN, PIECE_LEAST - 1), DEBOUNCE);
    }

    #[test]
    fn what_is_queued_is_written_before_the_end() {
        let queue = Queue::default();
        for line in ["one\n", "two\n"] {
            assert!(push(&queue, line));
        }
        queue.stop();
        let mut out = Vec::new();
        assert_eq!(queue.write_all("a test", &mut out, report), 0);
        assert_eq!(out, b"one\ntwo\n");
    }

    #[test]
    fn a_full_queue_refuses_lines_and_says_so_after_those_that_it_took() {
        let queue = Queue::default();
        assert!(push(&queue, &"x".repeat(BYTES_MAX - 1)));
        assert!(!push(&queue, "y\n"), "not even in part");
        assert!(push(&queue, "x"));
        assert!(!push(&queue, "\n"));
        queue.stop();
        let mut out = Vec::new();
        queue.write_all("a test", &mut out, report);
        assert!(out[..BYTES_MAX].iter().all(|byte| *byte == b'x'));
        assert_eq!(&out[BYTES_MAX..], b"dropped 2\n");
        assert!(push(&queue, "z\n"));
        let mut out = Vec::new();
        queue.write_all("a test", &mut out, report);
        assert_eq!(out, b"z\n", "drops are told once");
    }

    #[test]
    fn a_burst_leaves_little_memory_behind() {
        let mut batch = Batch { lines: vec![b'x'; BYTES_MAX], written: 0 };
        batch.write(&mut io::sink()).unwrap();
        assert!(batch.lines.capacity() <= BYTES_KEPT);
    }

    #[test]
    fn a_full_disk_that_has_room_again_gets_every_line_whole() {
        let queue = Arc::new(Queue::default());
        let disk = FullDisk { room: 6, failures: 1, ..FullDisk::default() };
        let (lines, mut out) = (Arc::clone(&queue), disk.clone());
        assert!(push(&queue, "one\ntwo\n"));
        let writing = thread::spawn(move || lines.write_all("a test", &mut out, report));
        assert!(push(&queue, "three\n"));
        while disk.text.lock().unwrap().len() < "one\ntwo\nthree\n".len() {
            thread::sleep(Duration::from_millis(5));
        }
        queue.stop();
        assert_eq!(writing.join().unwrap(), 0);
        assert_eq!(*disk.text.lock().unwrap(), b"one\ntwo\nthree\n");
    }

    #[test]
    fn a_sink_that_fails_to_the_end_is_counted() {
        let queue = Queue::default();
        assert!(push(&queue, "one\ntwo\nthree\n"));
        queue.stop();
        let mut out = FullDisk { room: 5, failures: usize::MAX, ..FullDisk::default() };
        assert_eq!(queue.write_all("a test", &mut out, report), 2);
    }
}
