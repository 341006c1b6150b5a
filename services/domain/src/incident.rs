//! Incidents, and the rule "instance gone".
//!
//! Promises: an instance that leaves without draining opens one incident; the same id back closes it, and so does a
//! replacement, which closes one only; history is bounded. Leaves discovering instances, and telling people, to the
//! monitor.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{IncidentId, InstanceId};
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// The rule that this module decides.
pub const INSTANCE_GONE: &str = "instance-gone";
/// The most incidents that are kept; beyond, the oldest closed one goes first.
pub const INCIDENTS_MAX: usize = 1_000;
/// Time for which an instance answers without a break before it counts as back: what crashes at every start is not
/// back.
pub const STEADY_AFTER: Duration = Duration::from_secs(2);

/// Something that needs attention, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// The rule that opened it.
    pub rule: String,
    /// Open or closed.
    pub state: IncidentState,
    /// Its subject: an instance id.
    pub subject: String,
    /// Time of its begin.
    pub opened: Timestamp,
    /// Time of its end.
    pub closed: Option<Timestamp>,
    /// One sentence for people.
    pub summary: String,
}

/// State of an [`Incident`].
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
    /// Its service.
    pub service: String,
    /// The place that it fills, such as `worker-1`, where places have names: whoever fills it next replaces it.
    pub name: Option<String>,
    /// True if it announced that it is about to leave.
    pub draining: bool,
    /// Since when it has answered without a break.
    pub since: Timestamp,
    /// Time of its last answer.
    pub heard: Timestamp,
}

/// Changes made by an observation.
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
    open: BTreeMap<InstanceId, Missing>,
    seen: BTreeMap<InstanceId, Seen>,
}

/// An instance that is missed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Missing {
    incident: IncidentId,
    was: Seen,
}

/// An instance as the last observation saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    live: Live,
    first: Timestamp,
    /// True if it has ended an incident since it came, and so can end no other.
    spent: bool,
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

    /// Number of open incidents.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    fn begin(&mut self, id: IncidentId, subject: InstanceId, was: Seen, now: Timestamp) -> Change {
        let incident = Incident {
            id,
            rule: INSTANCE_GONE.to_owned(),
            state: IncidentState::Open,
            subject: subject.to_string(),
            opened: now,
            closed: None,
            summary: format!("{subject}, a {}, stopped answering without draining", was.live.service),
        };
        self.open.insert(subject, Missing { incident: id, was });
        self.kept.insert(id, incident.clone());
        Change::Opened(incident)
    }

    /// Ends the incident that this instance makes up for, if there is one and it has not done so before.
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

    /// The instance whose place a newcomer takes: that of its name; without a name, of the one missed longest.
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

    /// Takes in who lives now, and gives those who are no more there.
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
