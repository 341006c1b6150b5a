//! Evaluation of the incident rules over the observed instances.
//!
//! Promises: ids grow with the time of opening, even when the clock is set back. Leaves the decision to
//! [`lepton_domain::incident`].

use std::collections::BTreeMap;

use lepton_core::random::Random;
use lepton_domain::ids::{IncidentId, InstanceId};
use lepton_domain::incident::reported::{ConditionReport, observe_conditions};
use lepton_domain::incident::{Change, Incident, Incidents, Live, observe};
use lepton_domain::time::Timestamp;

#[cfg(test)]
mod tests;

/// Incidents in the memory of this monitor.
#[derive(Debug)]
pub(crate) struct IncidentRules {
    incidents: Incidents,
    random: Random,
    newest: IncidentId,
}

impl IncidentRules {
    /// No incidents, nothing observed.
    pub fn new(random: Random) -> Self {
        Self {
            incidents: Incidents::new(),
            random,
            newest: IncidentId::MIN,
        }
    }

    /// Evaluates the rules over the live instances, and over the last reports of all registered ones, at `now`; returns
    /// true if an incident opened or closed.
    pub fn evaluate(
        &mut self,
        live: &BTreeMap<InstanceId, Live>,
        reports: &BTreeMap<InstanceId, ConditionReport>,
        now: Timestamp,
    ) -> bool {
        let Self {
            incidents,
            random,
            newest,
        } = self;
        let mut ids = || {
            let id = IncidentId::v7(now.as_millis(), random.next_u128());
            *newest = id.max(IncidentId::from_u128(newest.as_u128() + 1));
            *newest
        };
        let mut changes = observe(incidents, live, now, &mut ids);
        changes.extend(observe_conditions(incidents, reports, now, &mut ids));
        changes.iter().for_each(log);
        !changes.is_empty()
    }

    /// All stored incidents, the newest first.
    pub fn incidents(&self) -> Vec<Incident> {
        self.incidents.iter().cloned().collect()
    }

    /// Number of open incidents.
    pub fn open(&self) -> usize {
        self.incidents.open()
    }
}

fn log(change: &Change) {
    match change {
        Change::Opened(incident) => {
            tracing::warn!(incident = %incident.id, rule = incident.rule, "opened: {}", incident.summary);
        }
        Change::Closed(incident) => {
            tracing::info!(incident = %incident.id, rule = incident.rule, "closed: {}", incident.summary);
        }
    }
}
