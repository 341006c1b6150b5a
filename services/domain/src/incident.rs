//! Incidents, and the rule "instance gone".
//!
//! Promises: an instance that leaves without draining opens one incident; the same id back closes it; history is
//! bounded. Leaves discovering instances, and telling people, to the monitor.

use std::collections::BTreeMap;

use crate::ids::{IncidentId, InstanceId};
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// The rule that this module decides.
pub const INSTANCE_GONE: &str = "instance-gone";
/// The most incidents that are kept; beyond, the oldest closed one goes first.
pub const INCIDENTS_MAX: usize = 1_000;

/// Something that needs attention, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// Which rule opened it.
    pub rule: String,
    /// Whether it lasts.
    pub state: IncidentState,
    /// What it is about: an instance id.
    pub subject: String,
    /// When it began.
    pub opened: Timestamp,
    /// When it ended.
    pub closed: Option<Timestamp>,
    /// One sentence for people.
    pub summary: String,
}

/// Whether an incident lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IncidentState {
    /// It lasts.
    Open,
    /// It is over.
    Closed,
}

/// A live instance, as discovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Which service it is of.
    pub service: String,
    /// Whether it announced that it is about to leave.
    pub draining: bool,
}

/// What an observation changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// This incident began.
    Opened(Incident),
    /// This incident ended.
    Closed(Incident),
}

/// Incidents, and the view that the last observation left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Incidents {
    kept: BTreeMap<IncidentId, Incident>,
    /// The open incident of each subject.
    open: BTreeMap<InstanceId, IncidentId>,
    seen: BTreeMap<InstanceId, Live>,
}

impl Incidents {
    /// No incidents, nothing seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every incident kept, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Incident> {
        self.kept.values().rev()
    }

    /// The incident of this id.
    pub fn get(&self, id: &IncidentId) -> Option<&Incident> {
        self.kept.get(id)
    }

    /// How many last.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    fn begin(&mut self, id: IncidentId, subject: InstanceId, was: &Live, now: Timestamp) -> Change {
        let incident = Incident {
            id,
            rule: INSTANCE_GONE.to_owned(),
            state: IncidentState::Open,
            subject: subject.to_string(),
            opened: now,
            closed: None,
            summary: format!("{} {subject} left without draining", was.service),
        };
        self.open.insert(subject, id);
        self.kept.insert(id, incident.clone());
        Change::Opened(incident)
    }

    fn end(&mut self, subject: &InstanceId, now: Timestamp) -> Option<Change> {
        let incident = self.kept.get_mut(&self.open.remove(subject)?)?;
        incident.state = IncidentState::Closed;
        incident.closed = Some(now);
        incident.summary.push_str(", and is back");
        Some(Change::Closed(incident.clone()))
    }

    fn trim(&mut self) {
        while self.kept.len() > INCIDENTS_MAX {
            let closed = self
                .kept
                .values()
                .find(|incident| incident.state == IncidentState::Closed);
            let Some(oldest) = closed.or(self.kept.values().next()).map(|incident| incident.id) else {
                return;
            };
            self.kept.remove(&oldest);
            self.open.retain(|_, id| *id != oldest);
        }
    }
}

/// Compares the live instances with those seen last. Ids for new incidents come from `ids`, which must give growing
/// ones, so that order of ids is order of opening.
pub fn observe(
    incidents: &mut Incidents,
    live: &BTreeMap<InstanceId, Live>,
    now: Timestamp,
    ids: &mut dyn FnMut() -> IncidentId,
) -> Vec<Change> {
    let mut changes: Vec<_> = live.keys().filter_map(|id| incidents.end(id, now)).collect();
    let seen = std::mem::replace(&mut incidents.seen, live.clone());
    for (id, was) in seen {
        // One that said it would leave is not missed.
        if !live.contains_key(&id) && !was.draining {
            changes.push(incidents.begin(ids(), id, &was, now));
        }
    }
    incidents.trim();
    changes
}
