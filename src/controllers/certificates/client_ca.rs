//! The file of the clients' authority, which is followed as it changes.

use std::{convert::Infallible, fs, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::time::sleep;
use tracing::{error, info};

use crate::{
    server::tls::{Certificates, TlsError, server_config},
    telemetry::{
        log_once::LogOnce,
        metrics::{Metrics, label},
    },
};

/// The interval at which PoolGuard reads the file.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The follower of the client CA file: new connections are checked against the authority that the file holds.
/// Open connections stay as they are.
pub struct ClientCa {
    path: PathBuf,
    /// The content of the file when it was last good.
    content: Vec<u8>,
    certificates: Arc<Certificates>,
    tls: Arc<ArcSwap<ServerConfig>>,
    metrics: Arc<Metrics>,
    failure_log: LogOnce,
}

impl ClientCa {
    /// Reads the file for the first time. A file that cannot be used is an error now, not later.
    pub fn open(
        path: PathBuf,
        certificates: Arc<Certificates>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, TlsError> {
        // Before it is used: if it changes in between, the next look sees that.
        let content = fs::read(&path).unwrap_or_default();
        let settings = server_config(Arc::clone(&certificates), Some(&path))?;
        let tls = Arc::new(ArcSwap::from(settings));
        Ok(Self { path, content, certificates, tls, metrics, failure_log: LogOnce::default() })
    }

    /// The settings that new connections get.
    pub fn tls(&self) -> Arc<ArcSwap<ServerConfig>> {
        Arc::clone(&self.tls)
    }

    /// Reads the file and, if it has changed, uses its authority for new connections. If the file cannot be used,
    /// the old authority stays in place.
    pub fn look(&mut self) {
        let path = self.path.display();
        let content = match fs::read(&self.path) {
            Ok(content) if content == self.content => return,
            Ok(content) => content,
            Err(error) => return self.complain(&format!("cannot read {path}: {error}")),
        };
        match server_config(Arc::clone(&self.certificates), Some(&self.path)) {
            Ok(settings) => {
                self.content = content;
                self.failure_log.end();
                self.tls.store(settings);
                self.metrics.certificate_reloaded(label::ReloadResult::Success);
                info!("using the new client CA in {}", self.path.display());
            }
            Err(error) => self.complain(&error.to_string()),
        }
    }

    fn complain(&mut self, why: &str) {
        if self.failure_log.is_news(why) {
            error!("{why}; PoolGuard keeps checking clients against the previous client CA");
            self.metrics.certificate_reloaded(label::ReloadResult::Failure);
        }
    }

    /// Follows the file until the process ends.
    pub async fn run(mut self) -> Infallible {
        loop {
            sleep(POLL_INTERVAL).await;
            self.look();
        }
    }
}
