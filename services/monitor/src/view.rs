//! What the monitor shows: a value that is made about once a second and read by everyone.
//!
//! Promises: a reader never waits for the watching, nor the watching for a reader. Leaves how it looks to `console`.

use lepton_domain::incident::{Incident, IncidentState};
use lepton_domain::time::Timestamp;

use crate::stats::ring::{Point, Rates};

/// The mesh at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    /// When it was looked at.
    pub at: Timestamp,
    /// Live instances, by service and id.
    pub rows: Vec<Row>,
    /// Incidents, the newest first.
    pub incidents: Vec<Incident>,
}

/// One live instance.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Its id.
    pub id: String,
    /// Its service.
    pub service: String,
    /// Where it serves.
    pub address: String,
    /// The version of its program.
    pub version: String,
    /// When it started.
    pub started: Timestamp,
    /// How it does.
    pub state: RowState,
    /// Its part among its like, as it says itself; empty without parts.
    pub role: String,
    /// Whether it holds the leadership of its service.
    pub leader: bool,
    /// The epoch that it leads or follows; 0 without one.
    pub epoch: u64,
    /// Its load; `None` until it was heard, and while it is not.
    pub load: Option<Load>,
}

/// How an instance does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RowState {
    /// It is registered and has not been heard yet.
    Connecting,
    /// It answers, and would refuse a request.
    Starting,
    /// A request would succeed.
    Ready,
    /// It finishes what it has.
    Draining,
    /// It stopped answering a moment ago.
    Silent,
}

/// The load of an instance.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load {
    /// Requests or attempts in progress.
    pub in_flight: u32,
    /// Requests or tasks that wait.
    pub queued: u32,
    /// How many it can do at once; 0 for no fixed number.
    pub slots: u32,
    /// What happens per second.
    pub rates: Rates,
    /// The last minute, the oldest first.
    pub recent: Vec<Point>,
    /// Median latency of the last second, microseconds; 0 when nothing finished.
    pub latency_us: u64,
    /// What 99 of 100 did not exceed then, microseconds; 0 when nothing finished.
    pub latency_p99_us: u64,
    /// Memory of its process, bytes.
    pub resident_bytes: u64,
}

#[cfg(test)]
impl Row {
    /// A ready instance of this service that says nothing of itself.
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

impl View {
    /// Incidents that last, the newest first.
    pub fn open(&self) -> impl Iterator<Item = &Incident> {
        self.incidents
            .iter()
            .filter(|incident| incident.state == IncidentState::Open)
    }

    /// Incidents that are over, the newest first.
    pub fn closed(&self) -> impl Iterator<Item = &Incident> {
        self.incidents
            .iter()
            .filter(|incident| incident.state == IncidentState::Closed)
    }
}
