//! The measurements.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::{
    runtime::{Builder, Runtime},
    sync::Notify,
    task::{JoinSet, yield_now},
    time::sleep,
};
use tokio_rustls::TlsConnector;

use crate::{
    Fixtures, Server, Subject,
    client::{Client, connector},
    fixture::Body,
    process::{self, Cores, spawn_noop, waited_for_core},
    statistics::{Latency, median},
};

/// As many as an API server under load keeps.
pub(crate) const CONNECTIONS: usize = 16;

const CLOSED_ROUNDS: u32 = 8;
/// Short ones, and many: a host that takes the core away for some milliseconds spoils a round's p99, and
/// not the median of all.
const OPEN_ROUNDS: u32 = 25;

/// Before the first measurement of a server: its code paged in, its connections' buffers grown.
const WARM_UP: Duration = Duration::from_millis(500);

/// One server under as much load as the connections can carry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throughput {
    pub(crate) per_second: f64,
    pub(crate) per_cpu_second: f64,
}

/// The no-op and the subject in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair<T> {
    pub(crate) noop: T,
    pub(crate) subject: T,
}

impl<T> Pair<T> {
    /// Whoever goes first changes with every round, in case that matters.
    fn measure(
        round: u32,
        noop: &Server,
        subject: &Server,
        measure: impl Fn(&Server) -> anyhow::Result<T>,
    ) -> anyhow::Result<Self> {
        if round.is_multiple_of(2) {
            let noop = measure(noop)?;
            Ok(Self { noop, subject: measure(subject)? })
        } else {
            let subject = measure(subject)?;
            Ok(Self { noop: measure(noop)?, subject })
        }
    }
}

/// A body and the rounds with it.
pub(crate) struct Closed {
    pub(crate) body: &'static str,
    pub(crate) bytes: usize,
    pub(crate) rounds: Vec<Pair<Throughput>>,
}

/// One server with one cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) cluster: &'static str,
    pub(crate) ready_milliseconds: f64,
    pub(crate) at_start: f64,
    /// After the first load: connections have their buffers, the allocator its arenas.
    pub(crate) warm: f64,
    pub(crate) after_load: f64,
    pub(crate) peak: f64,
}

/// Everything that was measured.
pub(crate) struct Results {
    pub(crate) closed: Vec<Closed>,
    /// Requests per second in the open loop.
    pub(crate) rate: f64,
    pub(crate) open: Vec<Pair<Latency>>,
    pub(crate) memory: Vec<Memory>,
    /// `None` where PoolGuard is not the subject.
    pub(crate) binary_megabytes: Option<f64>,
}

pub(crate) fn all(
    load: &Load,
    subject: Subject,
    fixtures: &Fixtures,
    folder: &Path,
    budget: Duration,
) -> anyhow::Result<Results> {
    let noop = spawn_noop(load.cores)?;
    let mut started = load.start(subject, fixtures, Cluster::Small)?;
    load.warm_up(&mut started, fixtures)?;
    let mut closed = Vec::new();
    let phase = budget.mul_f64(0.55) / (CLOSED_ROUNDS * 2 * 2);
    for body in [&fixtures.denied, &fixtures.allowed] {
        closed.push(load.closed_rounds(&noop, &started.server, body, phase)?);
    }
    let saturation =
        median(closed.iter().take(1).flat_map(|c| &c.rounds).map(|r| r.subject.per_second));
    let rate = saturation / 2.0;
    let phase = budget.mul_f64(0.3) / (OPEN_ROUNDS * 2);
    let open = (0..OPEN_ROUNDS)
        .map(|round| {
            Pair::measure(round, &noop, &started.server, |server| {
                load.open(server, &fixtures.allowed, rate, phase)
            })
        })
        .collect::<anyhow::Result<_>>()?;
    let mut memory = vec![started.after_load()?];
    drop(noop);

    let mut started = load.start(subject, fixtures, Cluster::Large)?;
    load.warm_up(&mut started, fixtures)?;
    load.closed(&started.server, &fixtures.denied, budget.mul_f64(0.05))?;
    load.closed(&started.server, &fixtures.allowed, budget.mul_f64(0.05))?;
    memory.push(started.after_load()?);

    let binary_megabytes = match subject {
        Subject::PoolGuard => Some(process::stripped_megabytes(folder)?),
        Subject::Noop => None,
    };
    Ok(Results { closed, rate, open, memory, binary_megabytes })
}

#[derive(Clone, Copy)]
enum Cluster {
    Small,
    Large,
}

/// A server that has just answered its first request.
struct Started {
    server: Server,
    memory: Memory,
}

impl Started {
    fn after_load(&self) -> anyhow::Result<Memory> {
        let after_load = self.server.resident_mebibytes()?;
        Ok(Memory { after_load, peak: self.server.peak_mebibytes()?, ..self.memory })
    }
}

/// Where the load comes from.
pub(crate) struct Load {
    pub(crate) runtime: Runtime,
    tls: TlsConnector,
    pub(crate) cores: Cores,
}

impl Load {
    pub(crate) fn new(cores: Cores) -> anyhow::Result<Self> {
        // One thread for the load, so that the servers have the other cores.
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, tls: connector()?, cores })
    }

    /// Starts the subject; it is ready when it answers.
    fn start(
        &self,
        subject: Subject,
        fixtures: &Fixtures,
        cluster: Cluster,
    ) -> anyhow::Result<Started> {
        let (path, name) = match cluster {
            Cluster::Small => (&fixtures.small, "7 nodes"),
            Cluster::Large => (&fixtures.large, "5,000 nodes"),
        };
        let server = subject.spawn(path, self.cores)?;
        self.wait_until_ready(&server, &fixtures.denied)?;
        let ready_milliseconds = server.spawned.elapsed().as_secs_f64() * 1e3;
        let at_start = server.resident_mebibytes()?;
        let memory = Memory {
            cluster: name,
            ready_milliseconds,
            at_start,
            warm: at_start,
            after_load: at_start,
            peak: at_start,
        };
        Ok(Started { server, memory })
    }

    /// Until it has answered one request.
    pub(crate) fn wait_until_ready(&self, server: &Server, body: &Body) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            let mut client = self.client(server).await?;
            while let Err(error) = client.call(&body.request).await {
                // A 503 until the snapshot is there; anything else is for the end of patience.
                if server.spawned.elapsed() > Duration::from_mins(1) {
                    return Err(error.context("it never became ready"));
                }
                sleep(Duration::from_millis(1)).await;
                client = self.client(server).await?;
            }
            Ok(())
        })
    }

    fn warm_up(&self, started: &mut Started, fixtures: &Fixtures) -> anyhow::Result<()> {
        for body in [&fixtures.denied, &fixtures.allowed] {
            self.closed(&started.server, body, WARM_UP)?;
        }
        started.memory.warm = started.server.resident_mebibytes()?;
        Ok(())
    }

    fn closed_rounds(
        &self,
        noop: &Server,
        subject: &Server,
        body: &Body,
        phase: Duration,
    ) -> anyhow::Result<Closed> {
        self.closed(noop, body, WARM_UP)?;
        let rounds = (0..CLOSED_ROUNDS)
            .map(|round| {
                Pair::measure(round, noop, subject, |server| self.closed(server, body, phase))
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Closed { body: body.name, bytes: body.request.len(), rounds })
    }

    /// Every connection sends its next request when it has the answer to the last one.
    fn closed(
        &self,
        server: &Server,
        body: &Body,
        duration: Duration,
    ) -> anyhow::Result<Throughput> {
        self.runtime.block_on(async {
            let stop = Arc::new(AtomicBool::new(false));
            let mut tasks = JoinSet::new();
            let mut clients = self.clients(server).await?;
            let (start, cpu) = (Instant::now(), server.cpu_seconds()?);
            for mut client in clients.drain(..) {
                let (stop, request) = (Arc::clone(&stop), body.request.clone());
                tasks.spawn(async move {
                    let mut answered = 0_u32;
                    while !stop.load(Ordering::Relaxed) {
                        client.call(&request).await?;
                        answered += 1;
                    }
                    anyhow::Ok((client, answered))
                });
            }
            // Spins instead of sleeping: a client that sleeps is woken inside the server's write, at
            // the server's cost, and the more often the slower the server is.
            while start.elapsed() < duration {
                yield_now().await;
            }
            stop.store(true, Ordering::Relaxed);
            let mut answered = 0.0;
            while let Some(ended) = tasks.join_next().await {
                let (client, count) = ended??;
                answered += f64::from(count);
                clients.push(client);
            }
            let cpu = server.cpu_seconds()? - cpu;
            let per_second = answered / start.elapsed().as_secs_f64();
            Ok(Throughput { per_second, per_cpu_second: answered / cpu })
        })
    }

    /// Requests become due at a fixed rate, whatever the server does. Latency counts from there, so
    /// that a server which makes requests wait cannot hide it.
    fn open(
        &self,
        server: &Server,
        body: &Body,
        rate: f64,
        duration: Duration,
    ) -> anyhow::Result<Latency> {
        self.runtime.block_on(async {
            let queue = Arc::new(Queue::default());
            let mut tasks = JoinSet::new();
            for client in self.clients(server).await? {
                tasks.spawn(answer_due(client, body.request.clone(), Arc::clone(&queue)));
            }
            let waited = waited_for_core()?;
            let (start, interval) = (Instant::now(), Duration::from_secs_f64(rate.recip()));
            let mut next = start;
            while next < start + duration {
                while next <= Instant::now() {
                    queue.push(next);
                    next += interval;
                }
                // Spins instead of sleeping: a timer is too coarse for what lies between requests.
                yield_now().await;
            }
            queue.close();
            let mut samples = Vec::new();
            while let Some(ended) = tasks.join_next().await {
                samples.extend(ended??);
            }
            let waited = waited_for_core()?.saturating_sub(waited).as_secs_f64();
            Ok(Latency::of(samples, waited / start.elapsed().as_secs_f64()))
        })
    }

    pub(crate) async fn clients(&self, server: &Server) -> anyhow::Result<Vec<Client>> {
        let mut clients = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            clients.push(self.client(server).await?);
        }
        Ok(clients)
    }

    pub(crate) async fn client(&self, server: &Server) -> anyhow::Result<Client> {
        Client::connect(server.address, &self.tls).await.context("cannot connect")
    }
}

/// Requests that are due, oldest first.
#[derive(Default)]
struct Queue {
    due: Mutex<VecDeque<Instant>>,
    closed: AtomicBool,
    wake: Notify,
}

impl Queue {
    fn push(&self, due: Instant) {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).push_back(due);
        self.wake.notify_one();
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.wake.notify_waiters();
    }

    /// The next one, or `None` when there will be no more.
    async fn next(&self) -> Option<Instant> {
        loop {
            let woken = self.wake.notified();
            let due = self.due.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match due {
                None if self.closed.load(Ordering::Relaxed) => return None,
                None => woken.await,
                Some(due) => return Some(due),
            }
        }
    }
}

async fn answer_due(
    mut client: Client,
    request: Vec<u8>,
    queue: Arc<Queue>,
) -> anyhow::Result<Vec<Duration>> {
    let mut samples = Vec::new();
    while let Some(due) = queue.next().await {
        client.call(&request).await?;
        samples.push(due.elapsed());
    }
    Ok(samples)
}
