//! Conditions on the stats stream.
//!
//! Promises: whatever an instance reports is bounded when it is read. Leaves collecting them to `lepton-core`.

use lepton_domain::condition::{Condition, Severity};
use lepton_domain::text::cut;

use crate::fleet::v1 as wire;
use crate::monitor::v1 as monitor;

/// Most conditions read from one report.
const CONDITIONS_MAX: usize = 256;
/// Bytes of a text that are read.
const TEXT_BYTES_MAX: usize = 512;

impl From<&Condition> for wire::Condition {
    fn from(condition: &Condition) -> Self {
        Self {
            kind: condition.kind.clone(),
            key: condition.key.clone(),
            subject: condition.subject.clone(),
            text: condition.text.clone(),
            severity: severity(condition.severity).into(),
        }
    }
}

/// Severity on the wire.
pub fn severity(severity: Severity) -> monitor::Severity {
    match severity {
        Severity::Ticket => monitor::Severity::Ticket,
        Severity::Page => monitor::Severity::Page,
    }
}

/// Reads the conditions of a report: at most 256, with texts cut at 512 bytes. Those without a kind are left out; an
/// unknown severity is a ticket.
pub fn read_conditions(reported: &[wire::Condition]) -> Vec<Condition> {
    let named = reported.iter().take(CONDITIONS_MAX).filter(|it| !it.kind.is_empty());
    named.map(read).collect()
}

fn read(reported: &wire::Condition) -> Condition {
    let bounded = |text: &str| cut(text, TEXT_BYTES_MAX).into_owned();
    Condition {
        kind: bounded(&reported.kind),
        key: bounded(&reported.key),
        subject: bounded(&reported.subject),
        text: bounded(&reported.text),
        severity: match reported.severity() {
            monitor::Severity::Page => Severity::Page,
            monitor::Severity::Ticket | monitor::Severity::Unspecified => Severity::Ticket,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(kind: &str, text: &str) -> Condition {
        Condition {
            kind: kind.to_owned(),
            key: "/x".to_owned(),
            subject: "worker-1".to_owned(),
            text: text.to_owned(),
            severity: Severity::Page,
        }
    }

    #[test]
    fn a_condition_arrives_as_it_was_sent() {
        let sent = condition("disk-full", "99 % are used");
        assert_eq!(read_conditions(&[(&sent).into()]), [sent]);
    }

    #[test]
    fn a_report_is_read_within_bounds() {
        let long = wire::Condition::from(&condition("disk-full", &"t".repeat(5_000)));
        let odd = wire::Condition {
            severity: 77,
            ..long.clone()
        };
        let nameless = wire::Condition {
            kind: String::new(),
            ..long.clone()
        };
        let read = read_conditions(&[odd, nameless]);
        assert_eq!(
            (read.len(), read[0].severity, read[0].text.len()),
            (1, Severity::Ticket, TEXT_BYTES_MAX)
        );
        assert_eq!(read_conditions(&vec![long; 1_000]).len(), CONDITIONS_MAX);
    }
}
