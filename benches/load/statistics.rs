//! Medians and percentiles.

use std::time::Duration;

/// The median; of nothing, not a number.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle.wrapping_sub(1)), values.get(middle)) {
        (Some(below), Some(above)) if values.len().is_multiple_of(2) => below.midpoint(*above),
        (_, Some(middle)) => *middle,
        (_, None) => f64::NAN,
    }
}

/// Three percentiles of latency, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    /// The share of the time that the load itself waited for a core: what a busy machine adds.
    pub(crate) load_waited: f64,
}

impl Latency {
    pub(crate) fn of(mut samples: Vec<Duration>, load_waited: f64) -> Self {
        samples.sort_unstable();
        let at = |per_mille: usize| {
            let sample = samples.get(samples.len() * per_mille / 1000);
            sample.map_or(f64::NAN, |sample| sample.as_secs_f64() * 1e3)
        };
        Self { p50: at(500), p99: at(990), p999: at(999), load_waited }
    }
}
