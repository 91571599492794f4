//! A replica: the binary as a process, with what it logs and what its admin port says.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

/// Nothing in these tests takes this long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// A running replica, which ends with the test.
pub(crate) struct Replica {
    pub(crate) webhook: SocketAddr,
    pub(crate) admin: SocketAddr,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Drop for Replica {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Replica {
    /// Starts the binary, and waits until it says where it listens.
    pub(crate) async fn start(arguments: &[String]) -> Self {
        Self::start_in(&[], arguments).await
    }

    /// The same with variables of the environment, of which there is none else.
    pub(crate) async fn start_in(environment: &[(&str, &str)], arguments: &[String]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_poolguard"))
            .args(arguments)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::<Mutex<Vec<String>>>::default();
        collect(child.stderr.take().unwrap(), Arc::clone(&log));
        collect(child.stdout.take().unwrap(), Arc::clone(&log));
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut replica = Self { webhook: unknown, admin: unknown, child, log };
        let line = replica.logged("listening on https://").await;
        let (_, rest) = line.split_once("https://").unwrap();
        let (webhook, rest) = rest.split_once(" (admin on http://").unwrap();
        let (admin, _) = rest.split_once(')').unwrap();
        replica.webhook = webhook.parse().unwrap();
        replica.admin = admin.parse().unwrap();
        replica
    }

    /// Everything that it has logged, audit lines included.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// How many lines have this text.
    pub(crate) fn lines(&self, text: &str) -> usize {
        self.log().iter().filter(|line| line.contains(text)).count()
    }

    /// Waits for a line with this text.
    pub(crate) async fn logged(&self, text: &str) -> String {
        let find = || self.log().into_iter().find(|line| line.contains(text));
        let found = timeout(PATIENCE, async {
            loop {
                if let Some(line) = find() {
                    return line;
                }
                sleep(Duration::from_millis(5)).await;
            }
        });
        found.await.unwrap_or_else(|_| panic!("no line {text:?}: {:#?}", self.log()))
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) {
        self.readiness(|text| text.starts_with("HTTP/1.1 200 ")).await;
    }

    /// Waits until its readiness says something.
    pub(crate) async fn readiness(&self, is_it: impl Fn(&str) -> bool) -> String {
        self.admin_says("/readyz", is_it).await
    }

    /// Waits until a series of its metrics has a value.
    pub(crate) async fn metric(&self, series: &str, is_it: impl Fn(f64) -> bool) -> f64 {
        let is_met = |text: &str| value(text, series).is_some_and(&is_it);
        let text = self.admin_says("/metrics", is_met).await;
        value(&text, series).unwrap()
    }

    /// What a series of its metrics is now; nothing yet is 0.
    pub(crate) async fn metric_now(&self, series: &str) -> f64 {
        value(&self.get("/metrics").await, series).unwrap_or_default()
    }

    async fn admin_says(&self, path: &str, is_it: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let said = timeout(PATIENCE, async {
            loop {
                last = self.get(path).await;
                if is_it(&last) {
                    return last.clone();
                }
                sleep(Duration::from_millis(10)).await;
            }
        });
        let said = said.await.ok();
        said.unwrap_or_else(|| panic!("{path} says {last}\n{:#?}", self.log()))
    }

    /// What its admin port answers.
    pub(crate) async fn get(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(self.admin).await else { return String::new() };
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        drop(stream.read_to_string(&mut text).await);
        text
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for its end; the exit code.
    pub(crate) async fn ended(&mut self) -> i32 {
        let ended = timeout(PATIENCE, async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status.code().unwrap();
                }
                sleep(Duration::from_millis(5)).await;
            }
        });
        ended.await.unwrap()
    }
}

/// The value of the first series that starts so.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(series))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Waits until something is so that can only be asked for.
pub(crate) async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let met = timeout(PATIENCE, async {
        while !is_so().await {
            sleep(Duration::from_millis(20)).await;
        }
    });
    met.await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn collect(stream: impl std::io::Read + Send + 'static, log: Arc<Mutex<Vec<String>>>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            log.lock().unwrap().push(line);
        }
    });
}
