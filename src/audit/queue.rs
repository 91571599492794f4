//! Lines on their way from the requests to the thread that writes them.

use std::{
    io, mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use tracing::error;

use super::clock::Clock;

/// A few seconds of nothing but denials.
const BYTES_MAX: usize = 4 << 20;

/// How long lines wait for others to be written with: waking a thread for every line of a burst
/// would cost more than the line.
const GATHERING: Duration = Duration::from_millis(2);

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
    clock: Clock,
    stops: bool,
}

impl Queue {
    /// Lets `write` append a line of this time; whether there was room for it.
    pub(super) fn push(&self, now: Timestamp, write: impl FnOnce(&mut Vec<u8>, &str)) -> bool {
        let mut state = self.state();
        if state.lines.len() >= BYTES_MAX {
            return false;
        }
        let was_empty = state.lines.is_empty();
        let State { lines, clock, stops: _ } = &mut *state;
        write(lines, clock.text(now));
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

    /// Writes lines until it is told to stop. A sink that fails is reported once, and tried again.
    pub(super) fn write_all(&self, out: &mut impl io::Write) {
        let mut has_failed = false;
        let mut lines = Vec::new();
        loop {
            let idle = |state: &mut State| state.lines.is_empty() && !state.stops;
            let mut state =
                self.changed.wait_while(self.state(), idle).unwrap_or_else(PoisonError::into_inner);
            mem::swap(&mut state.lines, &mut lines);
            let stops = state.stops;
            drop(state);
            let written = out.write_all(&lines).and_then(|()| out.flush());
            lines.clear();
            if let Err(error) = &written
                && !has_failed
            {
                error!(%error, "cannot write the audit stream");
            }
            has_failed = written.is_err();
            if stops {
                return;
            }
            thread::sleep(GATHERING);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_queued_is_written_before_the_end() {
        let queue = Queue::default();
        for line in ["one\n", "two\n"] {
            assert!(queue.push(Timestamp::UNIX_EPOCH, |lines, _| lines.extend(line.bytes())));
        }
        queue.stop();
        let mut out = Vec::new();
        queue.write_all(&mut out);
        assert_eq!(out, b"one\ntwo\n");
    }

    #[test]
    fn a_full_queue_refuses_lines_and_loses_none_that_it_took() {
        let queue = Queue::default();
        assert!(queue.push(Timestamp::UNIX_EPOCH, |lines, _| lines.resize(BYTES_MAX, b'x')));
        assert!(!queue.push(Timestamp::UNIX_EPOCH, |lines, _| lines.push(b'y')));
        queue.stop();
        let mut out = Vec::new();
        queue.write_all(&mut out);
        assert_eq!(out.len(), BYTES_MAX);
        assert!(queue.push(Timestamp::UNIX_EPOCH, |lines, _| lines.push(b'z')));
    }

    #[test]
    fn a_sink_that_fails_does_not_end_the_stream() {
        struct Broken;
        impl io::Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let queue = Queue::default();
        assert!(queue.push(Timestamp::UNIX_EPOCH, |lines, _| lines.push(b'x')));
        queue.stop();
        queue.write_all(&mut Broken);
    }
}
