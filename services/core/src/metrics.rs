//! Metrics of one process, in the Prometheus text format.
//!
//! Promises: the registry is locked only while metrics are registered or scraped, never while they are counted; asking
//! for the same metric twice gives the same one. Leaves serving the text to `admin`.
//!
//! Names are `lepton_<subject>_<unit>` in base units (`_seconds`, `_bytes`), those of counters end in `_total`.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::{prometheus_protobuf, text};
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::registry::{Metric, Registry};

use crate::process;

#[cfg(test)]
mod tests;

pub use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model as model;

mod classic;

/// Counts events; only grows.
pub type Counter = prometheus_client::metrics::counter::Counter;
/// Shows a current value.
pub type Gauge = prometheus_client::metrics::gauge::Gauge<f64, AtomicU64>;
/// Counts observed values by size.
pub type Histogram = prometheus_client::metrics::histogram::Histogram;
/// Label names and values, in a fixed order.
pub type Labels = Vec<(&'static str, String)>;
/// One counter for each set of labels.
pub type Counters = Family<Labels, Counter>;
/// One gauge for each set of labels.
pub type Gauges = Family<Labels, Gauge>;
/// One histogram for each set of labels.
pub type Histograms = Family<Labels, Histogram, Buckets>;

/// Bounds for durations of calls: 100 us to 10 s.
pub const SECONDS: &[f64] = &[
    1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Bounds for durations of calls as OpenTelemetry's conventions advise them, and finer ones below: most answers here
/// take less than their first.
pub const CALL_SECONDS: &[f64] = &[
    2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 7.5e-2, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Bounds for sizes of messages: 256 B to 64 MiB.
pub const BYTES: &[f64] = &[
    256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0, 67108864.0,
];

/// The upper bounds of a histogram's buckets.
#[derive(Clone, Copy, Debug)]
pub struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// Registry of metrics. Clones share it.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    registry: Registry,
    counters: HashMap<&'static str, Counters>,
    gauges: HashMap<&'static str, Gauges>,
    histograms: HashMap<&'static str, Histograms>,
}

impl Metrics {
    /// A registry that already has the figures of the process itself.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(process::Collector));
        let (counters, gauges, histograms) = Default::default();
        Self {
            shared: Arc::new(Mutex::new(Shared {
                registry,
                counters,
                gauges,
                histograms,
            })),
        }
    }

    /// The counter of this name (ending in `_total`) with these labels.
    pub fn counter(&self, name: &'static str, help: &str, labels: &[(&'static str, &str)]) -> Counter {
        self.counters(name, help).get_or_create_owned(&own(labels))
    }

    /// The gauge of this name with these labels.
    pub fn gauge(&self, name: &'static str, help: &str, labels: &[(&'static str, &str)]) -> Gauge {
        self.gauges(name, help).get_or_create_owned(&own(labels))
    }

    /// The histogram of this name with these labels. The bounds of the first caller count.
    pub fn histogram(
        &self,
        name: &'static str,
        help: &str,
        labels: &[(&'static str, &str)],
        buckets: &'static [f64],
    ) -> Histogram {
        self.histograms(name, help, buckets).get_or_create_owned(&own(labels))
    }

    /// The counters of this name, for labels that are known only at run time.
    pub fn counters(&self, name: &'static str, help: &str) -> Counters {
        let Shared { registry, counters, .. } = &mut *self.lock();
        // The encoder adds the suffix itself.
        family(
            registry,
            counters,
            name,
            name.strip_suffix("_total").unwrap_or(name),
            help,
            Counters::default,
        )
    }

    /// The gauges of this name, for labels that are known only at run time.
    pub fn gauges(&self, name: &'static str, help: &str) -> Gauges {
        let Shared { registry, gauges, .. } = &mut *self.lock();
        family(registry, gauges, name, name, help, Gauges::default)
    }

    /// The histograms of this name, for labels that are known only at run time.
    pub fn histograms(&self, name: &'static str, help: &str, buckets: &'static [f64]) -> Histograms {
        let Shared {
            registry, histograms, ..
        } = &mut *self.lock();
        family(registry, histograms, name, name, help, || {
            Histograms::new_with_constructor(Buckets(buckets))
        })
    }

    /// All metrics as OpenMetrics text.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.lock().registry)?;
        Ok(text)
    }

    /// Returns all metrics in Prometheus' text format from before OpenMetrics, for those who ask for no other.
    pub fn classic_text(&self) -> Result<String, fmt::Error> {
        Ok(classic::text(&self.text()?))
    }

    /// Returns all metrics as values, for exporters.
    pub fn families(&self) -> Result<Vec<model::MetricFamily>, fmt::Error> {
        prometheus_protobuf::encode(&self.lock().registry)
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A panic elsewhere leaves maps of handles, which are whole after every step.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Metrics")
    }
}

/// The family of this name, registered when it is new.
fn family<F: Metric + Clone>(
    registry: &mut Registry,
    known: &mut HashMap<&'static str, F>,
    name: &'static str,
    registered_name: &str,
    help: &str,
    make: impl FnOnce() -> F,
) -> F {
    let insert = || {
        let family = make();
        // The registry ends the help with a full stop of its own.
        registry.register(registered_name, help.trim_end_matches('.'), family.clone());
        family
    };
    known.entry(name).or_insert_with(insert).clone()
}

/// Labels as a family wants them.
pub fn own(labels: &[(&'static str, &str)]) -> Labels {
    labels
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}
