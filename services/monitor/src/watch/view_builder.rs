//! Construction of the [`MeshView`] and of the metrics from the observed state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lepton_coordination::election::Leader;
use lepton_core::metrics::{Gauge, Gauges, Metrics};
use lepton_proto::fleet::v1::WatchStatsResponse;

use super::InstanceWatcher;
use super::instance_state::{InstanceState, Liveness};
use crate::view::{InstanceLoad, InstanceRow, MeshView, RowState};

/// Points of the curve beside each instance.
const RECENT: usize = 60;

/// Metrics of the [`InstanceWatcher`].
#[derive(Debug)]
pub(super) struct WatchMetrics {
    instances: Gauges,
    ignored: Gauge,
    open: Gauge,
    /// Instances by service, with zeros for services that have none left.
    counts: BTreeMap<String, u32>,
}

impl WatchMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            instances: metrics.gauges("lepton_monitor_instances", "Live instances, by service"),
            ignored: metrics.gauge("lepton_monitor_instances_ignored", "Instances beyond the limit", &[]),
            open: metrics.gauge("lepton_monitor_incidents_open", "Open incidents", &[]),
            counts: BTreeMap::new(),
        }
    }

    /// Sets the number of instances beyond the limit.
    pub(super) fn ignored(&self, count: u32) {
        self.ignored.set(f64::from(count));
    }

    fn set(&mut self, rows: &[InstanceRow], open: usize) {
        self.counts.values_mut().for_each(|count| *count = 0);
        for row in rows {
            *self.counts.entry(row.service.clone()).or_default() += 1;
        }
        for (service, count) in &self.counts {
            let labels = vec![("service", service.clone())];
            self.instances.get_or_create(&labels).set(f64::from(*count));
        }
        self.open.set(open as f64);
    }
}

impl InstanceWatcher {
    /// Publishes the present [`MeshView`].
    pub(super) fn publish(&mut self, now: Duration) {
        let mut rows: Vec<InstanceRow> = self
            .instances
            .values()
            .filter_map(|watched| self.row(&watched.state, now))
            .collect();
        rows.sort_by(|a, b| (&a.service, &a.id).cmp(&(&b.service, &b.id)));
        self.metrics.set(&rows, self.rules.open());
        let view = MeshView {
            at: self.context.clock.now(),
            rows,
            incidents: self.rules.incidents(),
        };
        self.view.send_replace(Arc::new(view));
    }

    /// Row of an instance; `None` once it is gone.
    fn row(&self, state: &InstanceState, now: Duration) -> Option<InstanceRow> {
        let liveness = state.liveness(now);
        let row_state = match liveness {
            Liveness::Gone | Liveness::Left => return None,
            _ if state.is_draining() => RowState::Draining,
            Liveness::Unknown => RowState::Connecting,
            Liveness::Suspect => RowState::Silent,
            Liveness::Answering if state.last.as_ref().is_some_and(|stats| stats.ready) => RowState::Ready,
            Liveness::Answering => RowState::Starting,
        };
        let leader = self.leader(&state.instance.service);
        let leader = leader.filter(|leader| leader.instance == state.instance.id);
        let report = state.last.as_ref();
        Some(InstanceRow {
            id: state.instance.id.to_string(),
            service: state.instance.service.clone(),
            address: state.instance.address.clone(),
            version: state.instance.version.clone(),
            started: state.instance.started,
            state: row_state,
            role: report.map(|stats| stats.role.clone()).unwrap_or_default(),
            epoch: leader
                .as_ref()
                .map_or(report.map_or(0, |stats| stats.epoch), |leader| leader.epoch.0),
            leader: leader.is_some(),
            // An old report is no present load, and must not be part of any sum.
            load: report
                .filter(|_| liveness == Liveness::Answering)
                .map(|stats| load(state, stats)),
        })
    }

    fn leader(&self, service: &str) -> Option<Leader> {
        self.sources.leaders.get(service)?.view().borrow().clone()
    }
}

fn load(state: &InstanceState, stats: &WatchStatsResponse) -> InstanceLoad {
    InstanceLoad {
        in_flight: stats.in_flight,
        queued: stats.queued,
        slots: stats.slots,
        rates: state.ring.rates(),
        recent: state.ring.recent(RECENT),
        latency_us: stats.latency_p50_us,
        latency_p99_us: stats.latency_p99_us,
        resident_bytes: stats.resident_bytes,
    }
}
