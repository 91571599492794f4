//! A burst of denials against a burst of allows: whether records of denials slow answers, and whether
//! all of them come out.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::{task::JoinSet, time::sleep, try_join};

use crate::{
    Fixtures, Server,
    client::Client,
    fixture::Body,
    process::{Cores, Stream, spawn_poolguard, waited_for_core},
    records::{Records, Tally},
    run::Load,
    statistics::Latency,
};

pub(crate) const REQUESTS: u32 = 10_000;

/// A server is a few percent faster or slower than another for as long as it runs, by where its memory
/// happens to be: one after another makes its rounds, in turn with one of every other choice.
const SERVERS: u32 = 6;

/// Rounds of each server: many in all, and short, as those of the latency.
const ROUNDS: u32 = 12;

/// How often somebody else asks: so rarely that it adds little to the burst.
const OTHERS_PAUSE: Duration = Duration::from_millis(1);

/// One burst.
pub(crate) struct Burst {
    /// From the first request to the last answer.
    pub(crate) seconds: f64,
    /// CPU time of the server meanwhile.
    pub(crate) cpu_seconds: f64,
    /// From a request to its answer.
    pub(crate) latency: Latency,
    /// That of plain pods which are allowed on another connection meanwhile.
    pub(crate) others: Latency,
    /// What every sink has of it.
    pub(crate) tallies: Vec<Tally>,
}

/// One burst of either kind.
pub(crate) struct Round {
    pub(crate) denied: Burst,
    pub(crate) allowed: Burst,
}

/// A choice of sinks and cores, and the rounds with it.
pub(crate) struct Bursts {
    pub(crate) with: &'static str,
    pub(crate) rounds: Vec<Round>,
}

/// With standard output alone, and with a file beside it: as servers are run, free to use the cores
/// there are, which the load does as well; and with one core for answers and records together, where
/// their cost shows undiluted.
pub(crate) fn all(load: &Load, fixtures: &Fixtures, folder: &Path) -> anyhow::Result<Vec<Bursts>> {
    let mut choices = vec![
        ("stdout, on any core", false, Cores::Any),
        ("stdout and a file, on any core", true, Cores::Any),
    ];
    if load.cores == Cores::OneForServers {
        choices.push(("stdout, on one core", false, Cores::OneForServers));
        choices.push(("stdout and a file, on one core", true, Cores::OneForServers));
    }
    let mut all: Vec<Bursts> =
        choices.iter().map(|(with, _, _)| Bursts { with, rounds: Vec::new() }).collect();
    for server in 0..SERVERS {
        let mut servers = Vec::new();
        for (index, (_, has_file, cores)) in choices.iter().enumerate() {
            let file = has_file.then(|| folder.join(format!("audit-{server}-{index}.jsonl")));
            let mut bursting = Bursting::start(load, fixtures, *cores, file)?;
            // Its code paged in, its buffers grown.
            bursting.round(0)?;
            servers.push(bursting);
        }
        for round in 0..ROUNDS {
            for (bursts, server) in all.iter_mut().zip(&mut servers) {
                bursts.rounds.push(server.round(round)?);
            }
        }
    }
    Ok(all)
}

/// A server whose records are kept, and connections that stay open.
struct Bursting<'l> {
    load: &'l Load,
    fixtures: &'l Fixtures,
    server: Server,
    records: Records,
    clients: Vec<Client>,
    other: Client,
}

impl<'l> Bursting<'l> {
    fn start(
        load: &'l Load,
        fixtures: &'l Fixtures,
        cores: Cores,
        file: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let stream = Stream::Kept { file: file.as_deref() };
        let mut server = spawn_poolguard(&fixtures.small, cores, stream)?;
        let stdout = server.stdout.take().context("no standard output")?;
        let records = Records::read(stdout, file);
        load.wait_until_ready(&server, &fixtures.denied)?;
        records.settle(1)?;
        let (clients, other) = load.runtime.block_on(async {
            anyhow::Ok((load.clients(&server).await?, load.client(&server).await?))
        })?;
        Ok(Self { load, fixtures, server, records, clients, other })
    }

    /// Which burst goes first changes with every round.
    fn round(&mut self, number: u32) -> anyhow::Result<Round> {
        let Fixtures { denied, allowed, .. } = self.fixtures;
        if number.is_multiple_of(2) {
            let allowed = self.burst(allowed, 0)?;
            Ok(Round { denied: self.burst(denied, REQUESTS)?, allowed })
        } else {
            let denied = self.burst(denied, REQUESTS)?;
            Ok(Round { denied, allowed: self.burst(allowed, 0)? })
        }
    }

    /// Every connection sends its next request when it has the answer to the last one. The next burst
    /// begins when all that is to be written is written.
    fn burst(&mut self, body: &Body, denials: u32) -> anyhow::Result<Burst> {
        let Self { load, fixtures, server, records, clients, other } = self;
        let (seconds, cpu_seconds, latency, others) = load.runtime.block_on(async {
            let left = Arc::new(AtomicU32::new(REQUESTS));
            let (waited, cpu, start) = (waited_for_core()?, server.cpu_seconds()?, Instant::now());
            let mut tasks = JoinSet::new();
            for client in clients.drain(..) {
                tasks.spawn(answer_what_is_left(client, body.request.clone(), Arc::clone(&left)));
            }
            let burst = async {
                let mut samples = Vec::new();
                while let Some(ended) = tasks.join_next().await {
                    let (client, latencies) = ended??;
                    clients.push(client);
                    samples.extend(latencies);
                }
                let seconds = start.elapsed().as_secs_f64();
                anyhow::Ok((samples, seconds, server.cpu_seconds()? - cpu))
            };
            let others = answer_others(other, &fixtures.allowed.request, &left);
            let ((samples, seconds, cpu_seconds), others) = try_join!(burst, others)?;
            let waited = waited_for_core()?.saturating_sub(waited).as_secs_f64() / seconds;
            let (latency, others) = (Latency::of(samples, waited), Latency::of(others, waited));
            anyhow::Ok((seconds, cpu_seconds, latency, others))
        })?;
        let tallies = records.settle(denials)?;
        Ok(Burst { seconds, cpu_seconds, latency, others, tallies })
    }
}

async fn answer_what_is_left(
    mut client: Client,
    request: Vec<u8>,
    left: Arc<AtomicU32>,
) -> anyhow::Result<(Client, Vec<Duration>)> {
    let mut samples = Vec::new();
    while left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    {
        samples.push(call(&mut client, &request).await?);
    }
    Ok((client, samples))
}

async fn answer_others(
    client: &mut Client,
    request: &[u8],
    left: &AtomicU32,
) -> anyhow::Result<Vec<Duration>> {
    let mut samples = Vec::new();
    while left.load(Ordering::Relaxed) > 0 {
        samples.push(call(client, request).await?);
        sleep(OTHERS_PAUSE).await;
    }
    Ok(samples)
}

async fn call(client: &mut Client, request: &[u8]) -> anyhow::Result<Duration> {
    let sent = Instant::now();
    client.call(request).await?;
    Ok(sent.elapsed())
}
