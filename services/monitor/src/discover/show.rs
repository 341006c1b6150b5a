//! Makes the view and the metrics out of what is known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lepton_coordination::election::Leader;
use lepton_core::metrics::{Gauge, Gauges, Metrics};
use lepton_proto::fleet::v1::WatchStatsResponse;

use super::Observer;
use super::track::{Standing, Track};
use crate::view::{Load, Row, RowState, View};

/// Points of the small curve beside each instance.
const RECENT: usize = 60;

/// The metrics of the watching.
#[derive(Debug)]
pub(super) struct Figures {
    instances: Gauges,
    ignored: Gauge,
    open: Gauge,
    /// How many there are of each service, also of those that have none any more.
    counts: BTreeMap<String, u32>,
}

impl Figures {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            instances: metrics.gauges("lepton_monitor_instances", "Live instances, by service"),
            ignored: metrics.gauge("lepton_monitor_instances_ignored", "Instances beyond the limit", &[]),
            open: metrics.gauge("lepton_monitor_incidents_open", "Incidents that last", &[]),
            counts: BTreeMap::new(),
        }
    }

    /// So many are beyond the limit.
    pub(super) fn ignored(&self, count: u32) {
        self.ignored.set(f64::from(count));
    }

    fn set(&mut self, rows: &[Row], open: usize) {
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

impl Observer {
    /// Publishes the present view.
    pub(super) fn show(&mut self, now: Duration) {
        let mut rows: Vec<Row> = self
            .tracks
            .values()
            .filter_map(|watched| self.row(&watched.track, now))
            .collect();
        rows.sort_by(|a, b| (&a.service, &a.id).cmp(&(&b.service, &b.id)));
        self.figures.set(&rows, self.rules.open());
        let view = View {
            at: self.context.clock.now(),
            rows,
            incidents: self.rules.incidents(),
        };
        self.view.send_replace(Arc::new(view));
    }

    /// An instance as it is shown; `None` when it is gone.
    fn row(&self, track: &Track, now: Duration) -> Option<Row> {
        let standing = track.standing(now);
        let state = match standing {
            Standing::Gone | Standing::Left => return None,
            _ if track.is_draining() => RowState::Draining,
            Standing::Unknown => RowState::Connecting,
            Standing::Suspect => RowState::Silent,
            Standing::Answering if track.last.as_ref().is_some_and(|stats| stats.ready) => RowState::Ready,
            Standing::Answering => RowState::Starting,
        };
        let leader = self.leader(&track.instance.service);
        let leader = leader.filter(|leader| leader.instance == track.instance.id);
        let told = track.last.as_ref();
        Some(Row {
            id: track.instance.id.to_string(),
            service: track.instance.service.clone(),
            address: track.instance.address.clone(),
            version: track.instance.version.clone(),
            started: track.instance.started,
            state,
            role: told.map(|stats| stats.role.clone()).unwrap_or_default(),
            epoch: leader
                .as_ref()
                .map_or(told.map_or(0, |stats| stats.epoch), |leader| leader.epoch.0),
            leader: leader.is_some(),
            // What it told before it fell silent is not true now, and must not stand in any sum.
            load: told
                .filter(|_| standing == Standing::Answering)
                .map(|stats| load(track, stats)),
        })
    }

    fn leader(&self, service: &str) -> Option<Leader> {
        self.sources.leaders.get(service)?.view().borrow().clone()
    }
}

fn load(track: &Track, stats: &WatchStatsResponse) -> Load {
    Load {
        in_flight: stats.in_flight,
        queued: stats.queued,
        slots: stats.slots,
        rates: track.ring.rates(),
        recent: track.ring.recent(RECENT),
        latency_us: stats.latency_p50_us,
        latency_p99_us: stats.latency_p99_us,
        resident_bytes: stats.resident_bytes,
    }
}
