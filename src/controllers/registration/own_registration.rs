//! Configurations that PoolGuard writes itself.

use std::time::Instant;

use serde_json::Value;

use super::{
    additions::CloudAdditions,
    configuration::{Configuration, StepResult},
    drift::with_additions,
    status::Drift,
    write::WriteScope,
};
use crate::api::list_watch::single_object::ObservedObject;

impl Configuration {
    /// Writes the desired configuration and reports the reason, unless the back-off delays the write.
    pub(super) async fn overwrite(
        &mut self,
        desired: &Value,
        seen: &ObservedObject,
        drift: Drift,
        additions: CloudAdditions,
    ) -> StepResult {
        if let Some(wait) = self.write_backoff.wait(desired, Instant::now()) {
            return StepResult { look_again: wait, drift: Some(drift) };
        }
        if self.is_outdated(seen, additions) {
            self.log_update(&drift);
        } else {
            self.report_drift(&drift).await;
        }
        let body = match seen.object() {
            Some(live) => with_additions(desired, live, additions),
            None => desired.clone(),
        };
        if self.write(&body, WriteScope::Everything(additions), drift.reason()).await {
            self.agree(desired);
            StepResult::WRITTEN
        } else {
            StepResult::soon(drift)
        }
    }
}
