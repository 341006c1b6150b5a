//! Incidents as the monitor's service shows them, and their order in listings.
//!
//! Leaves opening and closing incidents to [`lepton_domain::incident`].

use std::cmp::Reverse;

use lepton_domain::incident::{Incident, IncidentState};

use super::condition::severity;
use super::time::timestamp;
use super::{ConvertError, Problem};
use crate::monitor::v1 as wire;
use crate::page::Listing;

impl From<&Incident> for wire::Incident {
    fn from(incident: &Incident) -> Self {
        let state = match incident.state {
            IncidentState::Open => wire::State::Open,
            IncidentState::Closed => wire::State::Closed,
        };
        Self {
            id: incident.id.to_string(),
            rule: incident.rule.clone(),
            state: state.into(),
            subject: incident.subject.clone(),
            open_time: Some(timestamp(incident.opened)),
            close_time: incident.closed.map(timestamp),
            summary: incident.summary.clone(),
            severity: severity(incident.severity).into(),
        }
    }
}

/// Position of an incident in a listing: newest first, as ids grow with the time of opening.
pub type IncidentKey = Reverse<u128>;

/// Returns the position of an incident.
pub fn key(incident: &Incident) -> IncidentKey {
    Reverse(incident.id.as_u128())
}

/// Returns the listing that a request pages through.
pub fn listing(request: &wire::ListIncidentsRequest) -> Listing {
    Listing::new("ListIncidents", &[&request.state])
}

/// Reads the state that a caller asks for; unspecified asks for all.
pub fn read_state(field: &'static str, number: i32) -> Result<Option<IncidentState>, ConvertError> {
    match wire::State::try_from(number) {
        Ok(wire::State::Unspecified) => Ok(None),
        Ok(wire::State::Open) => Ok(Some(IncidentState::Open)),
        Ok(wire::State::Closed) => Ok(Some(IncidentState::Closed)),
        Err(_) => Err(ConvertError::new(field, Problem::Unknown(number.into()))),
    }
}

#[cfg(test)]
mod tests {
    use lepton_domain::condition::Severity;
    use lepton_domain::ids::IncidentId;
    use lepton_domain::time::Timestamp;

    use super::*;

    #[test]
    fn an_open_incident_has_no_end() {
        let mut incident = Incident {
            id: IncidentId::from_u128(1),
            rule: "instance-gone".to_owned(),
            state: IncidentState::Open,
            severity: Severity::Page,
            subject: "worker-1".to_owned(),
            opened: Timestamp::from_micros(1_000_000),
            closed: None,
            summary: "gone".to_owned(),
        };
        let open = wire::Incident::from(&incident);
        assert_eq!((open.state(), open.close_time), (wire::State::Open, None));
        assert_eq!(open.severity(), wire::Severity::Page);
        (incident.state, incident.closed) = (IncidentState::Closed, Some(Timestamp::from_micros(2_000_000)));
        let closed = wire::Incident::from(&incident);
        assert_eq!(closed.close_time.map(|time| time.seconds), Some(2));
        assert_eq!(closed.state(), wire::State::Closed);
    }

    #[test]
    fn every_state_can_be_asked_for() {
        assert_eq!(read_state("state", 0), Ok(None));
        assert_eq!(read_state("state", 2), Ok(Some(IncidentState::Closed)));
        assert!(read_state("state", 9).is_err());
    }
}
