//! The published state of the mesh: an immutable value, rebuilt about once a second.
//!
//! Promises: readers and the watcher never wait for each other. Leaves rendering to [`crate::console`].

use lepton_domain::incident::{Incident, IncidentState};
use lepton_domain::time::Timestamp;

use crate::stats::ring::{Point, Rates};

/// State of the mesh at one time, as the console shows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct MeshView {
    /// Time of the observation.
    pub at: Timestamp,
    /// Live instances, by service and id.
    pub rows: Vec<InstanceRow>,
    /// Incidents, the newest first.
    pub incidents: Vec<Incident>,
}

/// Row of a live instance.
#[derive(Debug, Clone)]
pub(crate) struct InstanceRow {
    /// Instance id.
    pub id: String,
    /// Service name.
    pub service: String,
    /// Address that it serves on.
    pub address: String,
    /// Version of its program.
    pub version: String,
    /// Start time.
    pub started: Timestamp,
    /// Condition.
    pub state: RowState,
    /// Role among its peers, as it reports it; empty without roles.
    pub role: String,
    /// Set if it holds the leadership of its service.
    pub leader: bool,
    /// Epoch that it leads or follows; 0 without one.
    pub epoch: u64,
    /// Load; `None` without a current report.
    pub load: Option<InstanceLoad>,
}

/// Condition of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowState {
    /// Registered, no report yet.
    Connecting,
    /// Answers, and would refuse a request.
    Starting,
    /// A request would succeed.
    Ready,
    /// Finishes its work and accepts nothing new.
    Draining,
    /// Stopped answering a moment ago.
    Silent,
}

/// Load of an instance, by its last report.
#[derive(Debug, Clone, Default)]
pub(crate) struct InstanceLoad {
    /// Requests or attempts in progress.
    pub in_flight: u32,
    /// Requests or tasks that wait.
    pub queued: u32,
    /// Operations that it can run at once; 0 for no fixed number.
    pub slots: u32,
    /// Changes per second.
    pub rates: Rates,
    /// [`Point`]s of the last minute, the oldest first.
    pub recent: Vec<Point>,
    /// Median latency of the last second, microseconds; 0 when nothing finished.
    pub latency_us: u64,
    /// 99th percentile of the latency in the last second, microseconds; 0 when nothing finished.
    pub latency_p99_us: u64,
    /// Resident memory of its process, bytes.
    pub resident_bytes: u64,
}

#[cfg(test)]
impl InstanceRow {
    /// A ready instance of this service, without a load.
    pub fn of(service: &str) -> Self {
        Self {
            id: format!("{service}-1"),
            service: service.to_owned(),
            address: "127.0.0.1:7000".to_owned(),
            version: "0.1.0".to_owned(),
            started: Timestamp::default(),
            state: RowState::Ready,
            role: String::new(),
            leader: false,
            epoch: 0,
            load: None,
        }
    }
}

impl MeshView {
    /// Open incidents, the newest first.
    pub fn open(&self) -> impl Iterator<Item = &Incident> {
        self.incidents
            .iter()
            .filter(|incident| incident.state == IncidentState::Open)
    }

    /// Closed incidents, the newest first.
    pub fn closed(&self) -> impl Iterator<Item = &Incident> {
        self.incidents
            .iter()
            .filter(|incident| incident.state == IncidentState::Closed)
    }
}
