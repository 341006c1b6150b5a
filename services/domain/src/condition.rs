//! Conditions: states of an instance or of its surroundings that need attention, reported until they end.
//!
//! Promises: a condition is identified by its kind and key alone, so that several instances that report the same one
//! mean one incident. Leaves storing the own ones to `lepton-core` and making incidents of them to
//! [`incident`](crate::incident).

/// Kind of a [`Condition`], with the severity of its incidents. Its name is the rule of the incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConditionKind {
    name: &'static str,
    severity: Severity,
}

/// A service has had no leader for some time. Key and subject: the service. Reported by monitors.
pub const NO_LEADER: ConditionKind = ConditionKind::page("no-leader");
/// The blob store does not answer, or is not the one that it was. Key: its location. Reported by those who use it.
pub const BLOB_STORE_UNAVAILABLE: ConditionKind = ConditionKind::page("blob-store-unavailable");
/// Tasks wait that no connected worker could run. Key: tenant, kind and required labels; subject: the tenant. Reported by
/// the leading scheduler.
pub const UNPLACEABLE_TASKS: ConditionKind = ConditionKind::ticket("unplaceable-tasks");
/// etcd lacks a part of the journal that a scheduler or a peer has seen, so that nobody may lead. Key and subject: `etcd`.
/// Reported by the schedulers that know of it.
pub const JOURNAL_BEHIND: ConditionKind = ConditionKind::page("journal-behind");
/// A peer shows marks of the journal that no leader has sealed. Key and subject: the peer. Reported by the leading scheduler.
pub const UNSEALED_MARKS: ConditionKind = ConditionKind::ticket("unsealed-marks");

impl ConditionKind {
    /// Kind whose incidents can wait for working hours. `name` is in kebab-case, as `disk-full`.
    pub const fn ticket(name: &'static str) -> Self {
        let severity = Severity::Ticket;
        Self { name, severity }
    }

    /// Kind whose incidents need somebody now. `name` is in kebab-case, as `no-leader`.
    pub const fn page(name: &'static str) -> Self {
        let severity = Severity::Page;
        Self { name, severity }
    }

    /// Name, the `rule` of its incidents.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Severity of its incidents.
    pub const fn severity(self) -> Severity {
        self.severity
    }
}

/// Urgency of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Severity {
    /// Can wait for working hours.
    #[default]
    Ticket,
    /// Needs somebody now.
    Page,
}

/// State that needs attention, as an instance reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Name of its [`ConditionKind`].
    pub kind: String,
    /// Distinguishes conditions of one kind; the same from every instance that sees the same one.
    pub key: String,
    /// Instance, model, tenant, task or service that it is about.
    pub subject: String,
    /// One sentence for operators: the state, and the remedy. It may change while the condition stands.
    pub text: String,
    /// Urgency.
    pub severity: Severity,
}
