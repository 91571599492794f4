//! The audit stream of a webhook for a list of requests, without a socket.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::Instant,
};

use anyhow::{Context, anyhow};
use arc_swap::ArcSwapOption;

use crate::{
    server::{Received, Service},
    service::{AdmissionService, PolicyAndSnapshot},
    telemetry::{
        audit::{Audit, AuditOutput, Format},
        metrics::{
            Metrics,
            label::{AuditSink, WebhookLabel},
        },
    },
};

/// Sends each file to `/validate`, and returns the lines of the audit stream as people see them.
pub(super) fn of(
    guard: Arc<PolicyAndSnapshot>,
    inputs: impl Iterator<Item = PathBuf>,
) -> anyhow::Result<String> {
    let metrics = Arc::new(Metrics::new().context("cannot register the metrics")?);
    let written = SharedBuffer::default();
    let output = AuditOutput {
        name: AuditSink::Stdout.as_str(),
        format: Format::Plain,
        out: Box::new(written.clone()),
        dropped: metrics.audit_dropped(AuditSink::Stdout),
    };
    let (audit, writer) = Audit::start([output], None).context("cannot start the audit stream")?;
    let guard = Arc::new(ArcSwapOption::from(Some(guard)));
    let service = AdmissionService::new(guard, metrics, audit, Arc::new(AtomicBool::new(false)));
    for path in inputs {
        let body =
            fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?.into();
        let received = Received {
            webhook: WebhookLabel::Validate,
            body: &body,
            arrived: Instant::now(),
            is_authenticated: false,
            deadline: None,
        };
        service.answer(received).map_err(|fault| anyhow!("{}: {fault}", path.display()))?;
    }
    writer.finish();
    Ok(String::from_utf8_lossy(&written.bytes()).into_owned())
}

/// Bytes that the thread of the audit stream writes.
#[derive(Clone, Default)]
struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

impl SharedBuffer {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl io::Write for SharedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
