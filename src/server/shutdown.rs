//! The shutdown of the process: PoolGuard reports not ready at once, serves on until clients have learnt of
//! it, and then drains.

use std::{
    convert::Infallible,
    future::{Future, pending},
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::{
    select,
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// The stage of the shutdown. A process only moves to later stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Stage {
    /// Serving, until told otherwise.
    Serving,
    /// Serving, but reporting not ready: the endpoints of a Service lose a pod only after a while.
    Leaving,
    /// Serving, and asking every client to close its connection. By now a client that connects
    /// again reaches another replica.
    Closing,
    /// Finishing what has begun; the server takes the connections that have already arrived, and no others.
    Draining,
}

/// The stage, shared by everything that acts on it. Clones are the same lifecycle.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stage: AtomicU8,
    draining: CancellationToken,
}

impl Lifecycle {
    /// Whether the process has been told to end.
    pub fn is_leaving(&self) -> bool {
        self.is_at_least(Stage::Leaving)
    }

    /// Whether clients are asked to close their connections.
    pub fn is_closing(&self) -> bool {
        self.is_at_least(Stage::Closing)
    }

    /// Whether the server has to stop accepting connections.
    pub fn is_draining(&self) -> bool {
        self.is_at_least(Stage::Draining)
    }

    /// Completes when the server has to stop accepting connections.
    pub async fn draining(&self) {
        self.0.draining.cancelled().await;
    }

    /// Moves the lifecycle on to `stage`, unless it has reached that stage already.
    pub fn advance(&self, stage: Stage) {
        self.0.stage.fetch_max(stage as u8, Ordering::Relaxed);
        if stage == Stage::Draining {
            // After the stage: whoever this wakes sees it.
            self.0.draining.cancel();
        }
    }

    fn is_at_least(&self, stage: Stage) -> bool {
        self.0.stage.load(Ordering::Relaxed) >= stage as u8
    }
}

/// A source of requests to end the process.
pub trait Signals {
    /// Waits for the next request to end the process.
    fn next(&mut self) -> impl Future<Output = ()> + Send;
}

/// SIGTERM and SIGINT.
#[derive(Debug)]
pub struct ProcessSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl ProcessSignals {
    /// Takes over both signals from here on.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

impl Signals for ProcessSignals {
    async fn next(&mut self) {
        select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Signals that the program sends itself.
impl Signals for mpsc::Receiver<()> {
    async fn next(&mut self) {
        if self.recv().await.is_none() {
            // Whoever could have sent one is gone: none will come.
            pending::<()>().await;
        }
    }
}

/// The way in which the work ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending<T> {
    /// An end by itself, before or after a signal.
    Finished(T),
    /// An end by a second signal, in the middle of the work.
    Interrupted,
}

/// Runs `work` until it ends. The first signal takes `lifecycle` down in order: the process serves
/// on for `delay`, and in the second half of it asks clients to close their connections. `work` is
/// expected to end once it has drained. A second signal ends it at once.
pub async fn run_until_signalled<T>(
    work: impl Future<Output = T>,
    signals: &mut impl Signals,
    lifecycle: &Lifecycle,
    delay: Duration,
) -> Ending<T> {
    let mut work = pin!(work);
    select! {
        result = &mut work => return Ending::Finished(result),
        () = signals.next() => {}
    }
    info!(delay = ?delay, "shutting down: PoolGuard reports not ready, and answers requests for \
     the time of --shutdown-delay");
    lifecycle.advance(Stage::Leaving);
    let descent = async {
        sleep(delay / 2).await;
        lifecycle.advance(Stage::Closing);
        sleep(delay / 2).await;
        lifecycle.advance(Stage::Draining);
        pending::<Infallible>().await
    };
    select! {
        // A second signal wins over everything that is ready at the same time.
        biased;
        () = signals.next() => Ending::Interrupted,
        result = &mut work => Ending::Finished(result),
        never = descent => match never {},
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const DELAY: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn the_first_signal_goes_down_in_order() {
        let (send, mut signals) = mpsc::channel(1);
        let lifecycle = Lifecycle::default();
        let start = Instant::now();
        let work = async {
            assert!(!lifecycle.is_leaving());
            send.send(()).await.expect("somebody listens");
            sleep(Duration::from_secs(1)).await;
            assert!(lifecycle.is_leaving() && !lifecycle.is_closing());
            sleep(Duration::from_secs(2)).await;
            assert!(lifecycle.is_closing() && !lifecycle.is_draining());
            lifecycle.draining().await;
            start.elapsed()
        };
        let ending = run_until_signalled(work, &mut signals, &lifecycle, DELAY).await;
        let Ending::Finished(elapsed) = ending else { panic!("nobody sent a second signal") };
        assert!(elapsed >= DELAY && elapsed < DELAY + Duration::from_millis(10), "{elapsed:?}");
        assert!(lifecycle.is_draining());
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_it_at_once() {
        let (send, mut signals) = mpsc::channel(2);
        let lifecycle = Lifecycle::default();
        send.send(()).await.expect("somebody listens");
        send.send(()).await.expect("somebody listens");
        let start = Instant::now();
        let ending = run_until_signalled(pending::<()>(), &mut signals, &lifecycle, DELAY).await;
        assert_eq!(ending, Ending::Interrupted);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_ends_by_itself_needs_no_signal() {
        let (_send, mut signals) = mpsc::channel(1);
        let lifecycle = Lifecycle::default();
        let ending = run_until_signalled(async { 7 }, &mut signals, &lifecycle, DELAY).await;
        assert_eq!(ending, Ending::Finished(7));
    }
}
