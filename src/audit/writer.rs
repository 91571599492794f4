//! The thread that writes the audit stream.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender},
    thread::{self, JoinHandle},
    time::Duration,
};

use tracing::error;

use super::Message;

/// How long lines wait for others to be written with: waking a thread for every line of a burst
/// would cost more than the line.
const GATHERING: Duration = Duration::from_millis(10);

/// The running thread.
#[derive(Debug)]
pub struct Writer {
    thread: JoinHandle<()>,
    queue: SyncSender<Message>,
}

impl Writer {
    pub(super) fn start(
        lines: Receiver<Message>,
        queue: SyncSender<Message>,
        mut out: impl io::Write + Send + 'static,
    ) -> io::Result<Self> {
        let run = move || write_all(&lines, &mut out);
        let thread = thread::Builder::new().name("audit".to_owned()).spawn(run)?;
        Ok(Self { thread, queue })
    }

    /// Writes what is queued, and ends.
    pub fn finish(self) {
        let Self { thread, queue } = self;
        // Where the thread is gone already, there is nothing to wait for.
        drop(queue.send(Message::Stop));
        drop(thread.join());
    }
}

/// Writes batches until it is told to stop. A sink that fails is reported once, and tried again.
fn write_all(lines: &Receiver<Message>, out: &mut impl io::Write) {
    let mut has_failed = false;
    let mut batch = Vec::new();
    while let Ok(first) = lines.recv() {
        batch.clear();
        let mut stops = append(&mut batch, first);
        if !stops {
            thread::sleep(GATHERING);
        }
        while let Ok(next) = lines.try_recv() {
            stops |= append(&mut batch, next);
        }
        let written = out.write_all(&batch).and_then(|()| out.flush());
        if let Err(error) = &written
            && !has_failed
        {
            error!(%error, "cannot write the audit stream");
        }
        has_failed = written.is_err();
        if stops {
            return;
        }
    }
}

/// Whether it is time to stop.
fn append(batch: &mut Vec<u8>, message: Message) -> bool {
    match message {
        Message::Line(line) => {
            batch.extend(line);
            false
        }
        Message::Stop => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc::sync_channel};

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_queued_is_written_before_the_end() {
        let (queue, lines) = sync_channel(16);
        let out = Shared::default();
        let writer = Writer::start(lines, queue.clone(), out.clone()).unwrap();
        for line in ["one\n", "two\n"] {
            queue.send(Message::Line(line.into())).unwrap();
        }
        writer.finish();
        assert_eq!(*out.0.lock().unwrap(), b"one\ntwo\n");
    }
}
