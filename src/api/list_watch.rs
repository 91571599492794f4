//! Lists and watches, for ever: a list in pages, then what changes, until the server says otherwise.
//!
//! Objects reach their [`WatchSink`] as the text that the server wrote. Every line of a watch confirms
//! what is known, bookmarks included: that is how old facts can be told from a quiet cluster.

pub mod one;

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

/// A node carries 50 images in its status: this many are 750 kB, and a list of 5,000 passes through
/// in pieces that do not show in the memory.
const PAGE: u32 = 50;

/// Seconds that a watch lasts; it then goes on where it was.
const WATCH_SECONDS: u32 = 290;

/// API servers send a bookmark every minute: without a line in this time the connection is dead.
const SILENCE: Duration = Duration::from_secs(150);

/// A right that is granted is used after this long at the latest.
const REFUSED_WAIT: Duration = Duration::from_secs(10);

/// A resource that the cluster lacks is looked for again after this long.
const ABSENT_WAIT: Duration = Duration::from_mins(1);

/// A watch that ends sooner than this without a line is a failure in disguise.
const SHORT: Duration = Duration::from_secs(1);

/// What to list and watch.
#[derive(Clone, Debug)]
pub struct WatchSource {
    /// The collection, as `/api/v1/nodes`.
    pub path: String,
    /// Whether only metadata is asked for.
    pub metadata_only: bool,
    /// The only object that is asked for.
    pub name: Option<String>,
    /// Whether a cluster may lack the resource, which then has no objects.
    pub may_be_absent: bool,
    /// What it takes.
    pub right: PolicyRule,
}

/// Where objects go.
pub trait WatchSink: Send {
    /// A list begins.
    fn begin(&mut self);
    /// An object of the list.
    fn list(&mut self, object: &str);
    /// The list is complete.
    fn end(&mut self);
    /// An object is there, or has changed.
    fn apply(&mut self, object: &str);
    /// An object is gone.
    fn delete(&mut self, object: &str);
    /// What is known is what is there, as of now.
    fn confirm(&mut self) {}
    /// It is not known any more what is there, and why.
    fn fail(&mut self, _why: &str) {}
}

/// Why a list or a watch ended.
#[derive(Debug)]
enum Failure {
    /// The version is too old to go on from: list again.
    Gone,
    /// Anything else, and when the server wants to be asked again.
    Other(String, Option<Duration>),
    /// A right is missing, and an administrator must grant it.
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
    /// How long to wait before the next try.
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

/// Follows a collection for ever.
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

/// Lists everything; the version to watch from.
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

/// Reads the answer to a request, instead of what was read before.
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

/// Watches from a version, which is kept up, until the server ends it; and whether it said anything.
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

/// Gives a line to the sink, and keeps up the version to go on from after it. A line that says none leaves it
/// as it was: a watch from no version would begin anywhere.
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
