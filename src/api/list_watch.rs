//! The list and watch of a collection, until the process ends. A list in pages comes first, and then a
//! watch of the changes, until the API server ends it.
//!
//! Objects reach their [`WatchSink`] as the text that the API server wrote. Every line of a watch, also a
//! bookmark, confirms that the sink is up to date. A sink can therefore distinguish outdated facts from a
//! quiet cluster.

pub mod single_object;

use std::{
    convert::Infallible,
    fmt,
    pin::pin,
    time::{Duration, Instant},
};

use futures_util::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use kube::{
    Client,
    api::{ListParams, WatchParams},
    core::Request,
};
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};

use crate::{
    api::{
        backoff::Backoff,
        client::{self, REQUEST_TIMEOUT},
        rbac::PolicyRule,
    },
    cluster::wire::{ListPage, WatchLine},
};

/// The number of objects in a page of a list. A node carries 50 images in its status, so this many nodes
/// are 750 kB, and a list of 5,000 nodes passes through in pieces that do not show in the memory.
const PAGE: u32 = 50;

/// The number of seconds that a watch lasts. The next watch continues where it ended.
const WATCH_SECONDS: u32 = 290;

/// The longest time without a line of a watch. API servers send a bookmark every minute, so the
/// connection is dead after this time.
const SILENCE: Duration = Duration::from_secs(150);

/// The longest wait after a list or watch for which a right is missing. PoolGuard uses a newly granted
/// right after this time at the latest.
const REFUSED_WAIT: Duration = Duration::from_secs(10);

/// The field selector of pods that have not ended; a pod that has ended holds no node.
pub const RUNNING_PODS: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// The time after which PoolGuard looks again for a resource that the cluster lacks.
const ABSENT_WAIT: Duration = Duration::from_mins(1);

/// The shortest time that a watch without a line may last. If it ends sooner, PoolGuard retries with
/// back-off, as after a failure.
const SHORT: Duration = Duration::from_secs(1);

/// The collection to list and watch.
#[derive(Clone, Debug)]
pub struct WatchSource {
    /// The path of the collection, as `/api/v1/nodes`.
    pub path: String,
    /// Whether PoolGuard requests only the metadata of the objects.
    pub metadata_only: bool,
    /// The name of the only object that PoolGuard requests.
    pub name: Option<String>,
    /// Whether a cluster may lack the resource. PoolGuard then handles it as a resource without objects.
    pub may_be_absent: bool,
    /// The right that the list and the watch need.
    pub right: PolicyRule,
}

/// The receiver of the objects of a list and watch.
pub trait WatchSink: Send {
    /// Begins a list.
    fn begin(&mut self);
    /// Receives an object of the list.
    fn list(&mut self, object: &str);
    /// Ends the list, which is now complete.
    fn end(&mut self);
    /// Receives an object that was created or has changed.
    fn apply(&mut self, object: &str);
    /// Receives an object that was deleted.
    fn delete(&mut self, object: &str);
    /// Confirms that the sink has received all objects and changes up to now.
    fn confirm(&mut self) {}
    /// Reports the reason why the sink no longer knows which objects exist.
    fn fail(&mut self, _why: &str) {}
}

/// The reason why a list or a watch ended.
#[derive(Debug)]
enum Failure {
    /// The API server no longer has this resource version. PoolGuard has to list again.
    Gone,
    /// Any other error, and the time after which the API server asks the client to retry, if it names one.
    Other(String, Option<Duration>),
    /// The API server denied the request because a right is missing. An administrator must grant it.
    Refused(String),
    /// The cluster does not have the resource, and need not have it.
    Absent,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the resource version is too old"),
            Self::Absent => f.write_str("the cluster does not have this resource"),
            Self::Other(why, _) | Self::Refused(why) => f.write_str(why),
        }
    }
}

impl Failure {
    /// Returns the time to wait before the next attempt.
    fn wait(&self, backoff: &mut Backoff) -> Duration {
        match self {
            Self::Gone | Self::Absent => backoff.wait(),
            Self::Other(_, asked_for) => backoff.wait().max(asked_for.unwrap_or_default()),
            Self::Refused(_) => backoff.wait().min(REFUSED_WAIT),
        }
    }

    /// Logs the error: as an error if a right is missing, and else as a warning, because the API server recovers.
    fn log(&self, path: &str) {
        if matches!(self, Self::Refused(_)) {
            error!(path, "cannot watch {path}: {self}; PoolGuard tries again");
        } else {
            warn!(path, "cannot watch {path}: {self}; PoolGuard tries again");
        }
    }
}

/// Lists and watches a collection until the process ends.
pub async fn follow(client: Client, source: WatchSource, mut sink: impl WatchSink) -> Infallible {
    let mut backoff = Backoff::default();
    let mut version = None;
    let mut last_failure: Option<String> = None;
    loop {
        let started = Instant::now();
        let (result, is_news) = match &mut version {
            None => match list(&client, &source, &mut sink).await {
                Ok(listed) => {
                    version = Some(listed);
                    (Ok(()), true)
                }
                Err(failure) => (Err(failure), false),
            },
            Some(version) => watch(&client, &source, &mut sink, version).await,
        };
        if is_news {
            backoff.reset();
            if let Some(before) = last_failure.take() {
                info!(path = source.path, before, "watching {} again", source.path);
            }
        }
        match result {
            Ok(()) if is_news || started.elapsed() > SHORT => {}
            Ok(()) => sleep(backoff.wait()).await,
            Err(Failure::Gone) => {
                debug!(
                    path = source.path,
                    "the watch is too far behind, so PoolGuard lists all \
                 objects again"
                );
                version = None;
                if !is_news {
                    sleep(backoff.wait()).await;
                }
            }
            Err(Failure::Absent) => {
                version = None;
                sink.begin();
                sink.end();
                sink.confirm();
                sleep(ABSENT_WAIT).await;
            }
            Err(failure) => {
                let wait = failure.wait(&mut backoff);
                let why = failure.to_string();
                if last_failure.as_ref() != Some(&why) {
                    failure.log(&source.path);
                }
                sink.fail(&why);
                last_failure = Some(why);
                sleep(wait).await;
            }
        }
    }
}

/// Lists all objects of the collection. Returns the resource version from which to watch.
async fn list(
    client: &Client,
    source: &WatchSource,
    sink: &mut impl WatchSink,
) -> Result<String, Failure> {
    sink.begin();
    let mut parameters = ListParams { limit: Some(PAGE), ..ListParams::default() };
    parameters.field_selector = source.field_selector();
    // One buffer for all pages, read where they lie: as texts they would be copied twice.
    let mut text = Vec::new();
    loop {
        let request = Request::new(&*source.path);
        let request = if source.metadata_only {
            request.list_metadata(&parameters)
        } else {
            request.list(&parameters)
        };
        let request = request.map_err(|error| Failure::Other(error.to_string(), None))?;
        timeout(REQUEST_TIMEOUT, read_page(client, source, request, &mut text))
            .await
            .map_err(|_| Failure::Other("the API server does not answer".to_owned(), None))??;
        let not_json = |error: &dyn fmt::Display| {
            Failure::Other(format!("the list is not JSON: {error}"), None)
        };
        let text = str::from_utf8(&text).map_err(|error| not_json(&error))?;
        let page = ListPage::read(text).map_err(|error| not_json(&error))?;
        let items = page.items().into_iter().flatten();
        items.for_each(|object| sink.list(object));
        let Some(next) = page.next() else {
            sink.end();
            sink.confirm();
            return Ok(page.resource_version().to_owned());
        };
        parameters.continue_token = Some(next.to_owned());
    }
}

/// Reads the answer to a request into `text`, and replaces the text of the page before.
async fn read_page(
    client: &Client,
    source: &WatchSource,
    request: http::Request<Vec<u8>>,
    text: &mut Vec<u8>,
) -> Result<(), Failure> {
    text.clear();
    let body = client.request_stream(request).await.map_err(|error| source.failure(&error))?;
    let read = pin!(body).read_to_end(text).await;
    read.map(drop).map_err(|error| {
        Failure::Other(
            format!(
                "the connection broke during the list: \
     {error}"
            ),
            None,
        )
    })
}

/// Watches from a resource version, which it keeps up to date, until the API server ends the watch. Also
/// returns whether the API server sent a line.
async fn watch(
    client: &Client,
    source: &WatchSource,
    sink: &mut impl WatchSink,
    version: &mut String,
) -> (Result<(), Failure>, bool) {
    let mut lines = match open(client, source, version).await {
        Ok(lines) => lines,
        Err(failure) => return (Err(failure), false),
    };
    let mut line = Vec::new();
    let mut is_news = false;
    loop {
        line.clear();
        let failure = match timeout(SILENCE, lines.read_until(b'\n', &mut line)).await {
            Ok(Ok(0)) => return (Ok(()), is_news),
            Ok(Ok(_)) => match take(&line, sink, version) {
                Ok(()) => {
                    is_news = true;
                    continue;
                }
                Err(failure) => failure,
            },
            Ok(Err(error)) => {
                Failure::Other(format!("the connection of the watch broke: {error}"), None)
            }
            Err(_) => Failure::Other("the watch has sent nothing for too long".to_owned(), None),
        };
        return (Err(failure), is_news);
    }
}

async fn open(
    client: &Client,
    source: &WatchSource,
    version: &str,
) -> Result<impl AsyncBufRead + Unpin + use<>, Failure> {
    let mut parameters = WatchParams::default().timeout(WATCH_SECONDS);
    parameters.field_selector = source.field_selector();
    let request = Request::new(&*source.path);
    let request = if source.metadata_only {
        request.watch_metadata(&parameters, version)
    } else {
        request.watch(&parameters, version)
    };
    let request = request.map_err(|error| Failure::Other(error.to_string(), None))?;
    let opened = timeout(REQUEST_TIMEOUT, client.request_stream(request))
        .await
        .map_err(|_| Failure::Other("the API server does not answer".to_owned(), None))?;
    opened.map(Box::pin).map_err(|error| source.failure(&error))
}

/// Passes a line to the sink, and updates the resource version from which the next watch continues. A
/// line without a version leaves the version unchanged, because a watch without a version would begin
/// anywhere.
fn take(line: &[u8], sink: &mut impl WatchSink, version: &mut String) -> Result<(), Failure> {
    let damaged = |error: &dyn fmt::Display| {
        Failure::Other(format!("the watch sent a line that PoolGuard cannot read: {error}"), None)
    };
    let text = str::from_utf8(line).map_err(|error| damaged(&error))?;
    let (line, next) = WatchLine::read(text.trim_end()).map_err(|error| damaged(&error))?;
    match line {
        WatchLine::Apply(object) => sink.apply(object),
        WatchLine::Delete(object) => sink.delete(object),
        WatchLine::Bookmark => {}
        WatchLine::Error { code: 410, .. } => return Err(Failure::Gone),
        WatchLine::Error { message, .. } => return Err(Failure::Other(message, None)),
    }
    sink.confirm();
    if !next.is_empty() {
        *version = next;
    }
    Ok(())
}

impl WatchSource {
    fn field_selector(&self) -> Option<String> {
        self.name.as_ref().map(|name| format!("metadata.name={name}"))
    }

    fn failure(&self, error: &kube::Error) -> Failure {
        let why = client::explain_with(error, &self.right).to_string();
        match client::code(error) {
            Some(410) => Failure::Gone,
            // A version that the server has not reached: it was restored from a backup.
            Some(504) if why.contains("Too large resource version") => Failure::Gone,
            Some(403) => Failure::Refused(why),
            Some(404) if self.may_be_absent => Failure::Absent,
            _ => Failure::Other(why, client::retry_after(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Names(Vec<String>);

    impl WatchSink for Names {
        fn begin(&mut self) {}
        fn list(&mut self, _: &str) {}
        fn end(&mut self) {}

        fn apply(&mut self, object: &str) {
            self.0.push(object.to_owned());
        }

        fn delete(&mut self, _: &str) {}
    }

    #[test]
    fn a_line_without_a_version_does_not_restart_the_watch_from_anywhere() {
        let (mut names, mut version) = (Names::default(), "7".to_owned());
        for (metadata, expected) in [
            (r#"{"resourceVersion":"8"}"#, "8"),
            ("{}", "8"),
            (r#"{"resourceVersion":""}"#, "8"),
            (r#"{"resourceVersion":"9"}"#, "9"),
        ] {
            let line = format!(r#"{{"type":"ADDED","object":{{"metadata":{metadata}}}}}"#);
            take(line.as_bytes(), &mut names, &mut version).expect("can be read");
            assert_eq!(version, expected);
        }
        assert_eq!(names.0.len(), 4);
    }
}
