//! Incidents of reported conditions.
//!
//! Promises: an incident for each kind and key, however many instances report it, open from the first report on. An
//! instance holds it open from its report until it reports without it, or leaves: in order, or as its registration
//! lapses. Silence is no evidence: an instance whose stream broke holds what it last reported, unless another that
//! reported the same withdraws it meanwhile. The incident closes once nobody has held it for [`OVER_AFTER`], so that
//! a condition that flickers, or that passes to a new leader, is one incident. Leaves the reports to the monitor.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Change, INCIDENTS_MAX, Incident, IncidentState, Incidents};
use crate::condition::Condition;
use crate::ids::{IncidentId, InstanceId};
use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// Most conditions with an open incident; further ones are ignored until one of them ends.
pub const STANDING_MAX: usize = INCIDENTS_MAX / 2;
/// Time in which nobody has held it, after which a condition is over: longer than a new leader takes to find it again.
pub const OVER_AFTER: Duration = Duration::from_secs(10);
/// Reporters that a summary names.
const NAMED_MAX: usize = 3;

/// Kind and key of a condition.
pub(super) type ConditionKey = (String, String);

/// Last report of a registered instance about its conditions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConditionReport {
    /// Conditions that stood.
    pub conditions: Vec<Condition>,
    /// Set while its reports arrive; otherwise this is its last word from before.
    pub answering: bool,
}

/// Condition with an open incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// Its incident.
    pub(super) incident: IncidentId,
    /// Instances that hold it open, each with its last report of it.
    holders: BTreeMap<InstanceId, Condition>,
    /// Time since which nobody holds it open.
    unheld: Option<Timestamp>,
}

impl ConditionReport {
    fn find(&self, (kind, key): &ConditionKey) -> Option<&Condition> {
        let mut conditions = self.conditions.iter();
        conditions.find(|it| it.kind == *kind && it.key == *key)
    }
}

impl Standing {
    fn new(incident: IncidentId) -> Self {
        Self {
            incident,
            holders: BTreeMap::new(),
            unheld: None,
        }
    }

    /// Removes holders that have left or withdrawn their report; a withdrawal also counts for those that are silent.
    fn release_holders(&mut self, key: &ConditionKey, reports: &BTreeMap<InstanceId, ConditionReport>) {
        let withdraws = |report: &ConditionReport| report.answering && report.find(key).is_none();
        let withdrawn = self.holders.keys().filter_map(|id| reports.get(id)).any(withdraws);
        self.holders.retain(|id, _| match reports.get(id) {
            None => false,
            Some(report) if report.answering => report.find(key).is_some(),
            Some(_) => !withdrawn,
        });
    }

    /// Summary of the incident; `None` while nobody holds it open.
    fn summary(&self) -> Option<String> {
        let text = &self.holders.values().next()?.text;
        let names: Vec<&str> = self.holders.keys().take(NAMED_MAX).map(InstanceId::as_str).collect();
        let more = self.holders.len() - names.len();
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        Some(format!("{text}; reported by {}{more}", names.join(", ")))
    }
}

impl Incidents {
    /// Adds the conditions of answering instances, and opens incidents for new ones.
    fn hold_reported(
        &mut self,
        reports: &BTreeMap<InstanceId, ConditionReport>,
        now: Timestamp,
        ids: &mut dyn FnMut() -> IncidentId,
    ) -> Vec<IncidentId> {
        let mut opened = Vec::new();
        for (instance, report) in reports.iter().filter(|(_, report)| report.answering) {
            for condition in &report.conditions {
                let key = (condition.kind.clone(), condition.key.clone());
                if !self.standing.contains_key(&key) {
                    if self.standing.len() >= STANDING_MAX {
                        continue;
                    }
                    let id = ids();
                    opened.push(id);
                    self.kept.insert(id, incident(id, condition, now));
                    self.standing.insert(key.clone(), Standing::new(id));
                }
                if let Some(standing) = self.standing.get_mut(&key) {
                    standing.unheld = None;
                    standing.holders.insert(instance.clone(), condition.clone());
                }
            }
        }
        opened
    }

    /// Brings the summaries of open incidents up to date.
    fn summarize(&mut self) {
        for standing in self.standing.values() {
            let incident = self.kept.get_mut(&standing.incident);
            if let (Some(incident), Some(summary)) = (incident, standing.summary()) {
                let severities = standing.holders.values().map(|condition| condition.severity);
                incident.severity = severities.max().unwrap_or(incident.severity);
                incident.summary = summary;
            }
        }
    }

    /// Closes the incidents of conditions that nobody has held open for [`OVER_AFTER`].
    fn close_unheld(&mut self, now: Timestamp) -> Vec<Change> {
        let mut closed = Vec::new();
        self.standing.retain(|_, standing| {
            if !standing.holders.is_empty() {
                return true;
            }
            let since = *standing.unheld.get_or_insert(now);
            let over = now.since(since) >= OVER_AFTER;
            if over {
                closed.push(standing.incident);
            }
            !over
        });
        let mut close = |id: IncidentId| {
            let incident = self.kept.get_mut(&id)?;
            incident.state = IncidentState::Closed;
            incident.closed = Some(now);
            Some(Change::Closed(incident.clone()))
        };
        closed.into_iter().filter_map(&mut close).collect()
    }
}

fn incident(id: IncidentId, condition: &Condition, now: Timestamp) -> Incident {
    Incident {
        id,
        rule: condition.kind.clone(),
        state: IncidentState::Open,
        severity: condition.severity,
        subject: condition.subject.clone(),
        opened: now,
        closed: None,
        summary: condition.text.clone(),
    }
}

/// Compares the last reports of all registered instances with the open incidents. `ids` must return growing ids, so that
/// the order of ids is the order of opening.
pub fn observe_conditions(
    incidents: &mut Incidents,
    reports: &BTreeMap<InstanceId, ConditionReport>,
    now: Timestamp,
    ids: &mut dyn FnMut() -> IncidentId,
) -> Vec<Change> {
    for (key, standing) in &mut incidents.standing {
        standing.release_holders(key, reports);
    }
    let opened = incidents.hold_reported(reports, now, ids);
    incidents.summarize();
    let opened = opened.iter().filter_map(|id| incidents.get(id).cloned());
    let mut changes: Vec<Change> = opened.map(Change::Opened).collect();
    changes.extend(incidents.close_unheld(now));
    incidents.trim();
    changes
}
