//! The rules over what is watched, and the incidents that they found.
//!
//! Promises: ids grow with the time of opening, also when the clock goes back. Leaves the decision itself to
//! `lepton-domain`.

use std::collections::BTreeMap;

use lepton_core::random::Random;
use lepton_domain::ids::{IncidentId, InstanceId};
use lepton_domain::incident::{Change, Incident, Incidents, Live, observe};
use lepton_domain::time::Timestamp;

#[cfg(test)]
mod tests;

/// The incidents of this monitor's memory.
#[derive(Debug)]
pub(crate) struct Rules {
    incidents: Incidents,
    random: Random,
    newest: IncidentId,
}

impl Rules {
    /// Nothing found yet.
    pub fn new(random: Random) -> Self {
        Self {
            incidents: Incidents::new(),
            random,
            newest: IncidentId::MIN,
        }
    }

    /// Looks at who lives at `now`. Whether an incident began or ended.
    pub fn look(&mut self, live: &BTreeMap<InstanceId, Live>, now: Timestamp) -> bool {
        let Self {
            incidents,
            random,
            newest,
        } = self;
        let mut ids = || {
            let fresh = IncidentId::v7(now.as_millis(), random.next_u128());
            *newest = fresh.max(IncidentId::from_u128(newest.as_u128() + 1));
            *newest
        };
        let changes = observe(incidents, live, now, &mut ids);
        changes.iter().for_each(tell);
        !changes.is_empty()
    }

    /// Every incident that is kept, the newest first.
    pub fn incidents(&self) -> Vec<Incident> {
        self.incidents.iter().cloned().collect()
    }

    /// How many last.
    pub fn open(&self) -> usize {
        self.incidents.open()
    }
}

fn tell(change: &Change) {
    match change {
        Change::Opened(incident) => {
            tracing::warn!(incident = %incident.id, rule = incident.rule, "opened: {}", incident.summary);
        }
        Change::Closed(incident) => {
            tracing::info!(incident = %incident.id, rule = incident.rule, "closed: {}", incident.summary);
        }
    }
}
