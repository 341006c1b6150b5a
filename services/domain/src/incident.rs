//! Incidents: the rule "instance gone", and a rule for each kind of reported [`condition`](crate::condition).
//!
//! Promises: an instance that leaves without draining opens one incident; the return of its id closes it, and so does a
//! replacement, which closes one only; a reported condition opens one incident, whoever reports it ([`reported`]); history
//! is bounded. Leaves discovering instances and notifying operators to the monitor.

use std::collections::BTreeMap;
use std::time::Duration;

use self::reported::{ConditionKey, Standing};
use crate::condition::Severity;
use crate::ids::{IncidentId, InstanceId};
use crate::time::Timestamp;

pub mod reported;
#[cfg(test)]
mod tests;

/// Rule about instances, decided in [`observe`]; the other rules are the kinds of conditions.
pub const INSTANCE_GONE: &str = "instance-gone";
/// Most incidents stored; beyond, the oldest closed one is removed first.
pub const INCIDENTS_MAX: usize = 1_000;
/// Uninterrupted time after which an instance counts as back, so that one which crashes at every start does not.
pub const STEADY_AFTER: Duration = Duration::from_secs(2);

/// Incident: something that needs or needed attention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Incident id.
    pub id: IncidentId,
    /// Rule that opened it.
    pub rule: String,
    /// Open or closed.
    pub state: IncidentState,
    /// Urgency.
    pub severity: Severity,
    /// Instance, model, tenant, task or service that it is about.
    pub subject: String,
    /// Time of opening.
    pub opened: Timestamp,
    /// Time of closing.
    pub closed: Option<Timestamp>,
    /// One sentence for operators.
    pub summary: String,
}

/// State of an [`Incident`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IncidentState {
    /// Open.
    Open,
    /// Closed.
    Closed,
}

/// Live instance, as observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Service of the instance.
    pub service: String,
    /// Name of its slot, such as `worker-1`, where slots have names: the next instance in the slot replaces it.
    pub name: Option<String>,
    /// Set once it has announced its drain.
    pub draining: bool,
    /// Start of its present uninterrupted liveness.
    pub since: Timestamp,
    /// Time of its last report.
    pub heard: Timestamp,
}

/// Change that an observation made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Opened incident.
    Opened(Incident),
    /// Closed incident.
    Closed(Incident),
}

/// Incidents, with the instances of the last observation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Incidents {
    kept: BTreeMap<IncidentId, Incident>,
    /// Open incident of each missing instance.
    open: BTreeMap<InstanceId, Missing>,
    seen: BTreeMap<InstanceId, Seen>,
    /// Open incident of each reported condition.
    standing: BTreeMap<ConditionKey, Standing>,
}

/// Missing instance.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Missing {
    incident: IncidentId,
    was: Seen,
}

/// Instance in the last observation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    live: Live,
    first: Timestamp,
    /// Set once it has closed an incident: it cannot close another.
    spent: bool,
}

impl Incidents {
    /// No incidents, no observation.
    pub fn new() -> Self {
        Self::default()
    }

    /// All incidents, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Incident> {
        self.kept.values().rev()
    }

    /// Incident with this id.
    pub fn get(&self, id: &IncidentId) -> Option<&Incident> {
        self.kept.get(id)
    }

    /// Number of open incidents.
    pub fn open(&self) -> usize {
        self.open.len() + self.standing.len()
    }

    fn begin(&mut self, id: IncidentId, subject: InstanceId, was: Seen, now: Timestamp) -> Change {
        let incident = Incident {
            id,
            rule: INSTANCE_GONE.to_owned(),
            state: IncidentState::Open,
            severity: Severity::Ticket,
            subject: subject.to_string(),
            opened: now,
            closed: None,
            summary: format!("{subject}, a {}, stopped answering without draining", was.live.service),
        };
        self.open.insert(subject, Missing { incident: id, was });
        self.kept.insert(id, incident.clone());
        Change::Opened(incident)
    }

    /// Closes the incident that this instance replaces, if there is one and it has not closed one before.
    fn end(&mut self, id: &InstanceId, now: Timestamp) -> Option<Change> {
        let seen = self.seen.get(id).filter(|seen| !seen.spent)?;
        if now.since(seen.live.since) < STEADY_AFTER {
            return None;
        }
        let subject = if self.open.contains_key(id) {
            id.clone()
        } else {
            self.replaced_by(seen)?
        };
        let incident = self.kept.get_mut(&self.open.remove(&subject)?.incident)?;
        incident.state = IncidentState::Closed;
        incident.closed = Some(now);
        if subject == *id {
            incident.summary.push_str(", and is back");
        } else {
            incident.summary.push_str(&format!("; {id} took its place"));
        }
        let change = Change::Closed(incident.clone());
        self.seen.entry(id.clone()).and_modify(|seen| seen.spent = true);
        Some(change)
    }

    /// Missing instance that a newcomer replaces: the one of its slot; without slots, the one missing longest.
    fn replaced_by(&self, newcomer: &Seen) -> Option<InstanceId> {
        let replaces = |missing: &Missing| {
            let was = &missing.was;
            // One that was there beside the lost one, or started together with it, fills a place of its own.
            let started_later = newcomer.first.since(was.first) >= STEADY_AFTER;
            let came_after = started_later && newcomer.first >= was.live.heard;
            was.live.service == newcomer.live.service
                && was.live.name == newcomer.live.name
                && (came_after || newcomer.live.name.is_some())
        };
        let candidates = self.open.iter().filter(|(_, missing)| replaces(missing));
        let (subject, _) = candidates.min_by_key(|(_, missing)| missing.incident)?;
        Some(subject.clone())
    }

    /// Records the live instances, and returns those that are gone.
    fn see(&mut self, live: &BTreeMap<InstanceId, Live>, now: Timestamp) -> BTreeMap<InstanceId, Seen> {
        let mut before = std::mem::take(&mut self.seen);
        for (id, live) in live {
            let known = before.remove(id);
            let (first, spent) = known.map_or((now, false), |seen| (seen.first, seen.spent));
            let seen = Seen {
                live: live.clone(),
                first,
                spent,
            };
            self.seen.insert(id.clone(), seen);
        }
        before
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
            self.open.retain(|_, missing| missing.incident != oldest);
            self.standing.retain(|_, standing| standing.incident != oldest);
        }
    }
}

/// Compares the live instances with the last observation. `ids` must return growing ids, so that the order of ids is
/// the order of opening.
pub fn observe(
    incidents: &mut Incidents,
    live: &BTreeMap<InstanceId, Live>,
    now: Timestamp,
    ids: &mut dyn FnMut() -> IncidentId,
) -> Vec<Change> {
    let lost = incidents.see(live, now);
    let mut changes = Vec::new();
    for (id, was) in lost {
        // One that said it would leave is not missed; one that left again before it was back is missed already.
        if !was.live.draining && !incidents.open.contains_key(&id) {
            changes.push(incidents.begin(ids(), id, was, now));
        }
    }
    changes.extend(live.keys().filter_map(|id| incidents.end(id, now)));
    incidents.trim();
    changes
}
