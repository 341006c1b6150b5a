//! State of one instance: its registry entry, its stream, and the [`Liveness`] that follows from both.
//!
//! Promises: pure, with the time as an argument. An instance is live as long as its reports arrive, whatever its entry
//! contains; it is gone when they end without a drain or an orderly end. Leaves incidents to [`crate::incident_rules`].

use std::time::Duration;

use lepton_coordination::registry::{Instance, NodeState};
use lepton_domain::condition::Condition;
use lepton_domain::incident::Live;
use lepton_domain::incident::reported::ConditionReport;
use lepton_domain::time::Timestamp;
use lepton_proto::convert::condition::read_conditions;
use lepton_proto::fleet::v1::WatchStatsResponse;

use crate::stats::ring::SampleRing;

#[cfg(test)]
mod tests;

/// Consecutive failures, the break itself included, after which a broken stream can mean a loss.
const FAILURES_MIN: u32 = 3;
/// Least time of a break that means a loss: the deregistration of an orderly exit arrives through etcd.
const BREAK_MIN: Duration = Duration::from_millis(400);

/// Additional time beyond the longest silence for an instance that has never sent a report: it may still be starting.
const FIRST_REPORT_EXTRA: Duration = Duration::from_secs(10);

/// Role of a leader in its reports.
const LEADER: &str = "leader";

/// Metadata key under which a supervisor registers the name of the slot that an instance fills.
const NAME: &str = "name";

/// Observed state of one instance.
#[derive(Debug)]
pub(crate) struct InstanceState {
    /// Registry entry, or the last one.
    pub instance: Instance,
    /// Set while its registry entry exists.
    pub registered: bool,
    /// Its last report.
    pub last: Option<WatchStatsResponse>,
    /// Conditions in its last report.
    conditions: Vec<Condition>,
    /// Recent samples.
    pub ring: SampleRing,
    stream: StreamState,
    /// Longest silence of a live instance.
    silence_max: Duration,
    /// Set if it ended its stream in order and has sent no report since.
    ended: bool,
}

/// State of the stats stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StreamState {
    /// No report yet; opened at this monotonic time.
    Opening { from: Duration },
    /// Reports arrive.
    Open {
        since: Timestamp,
        last_report: Timestamp,
        received_at: Duration,
    },
    /// Broken after reports had arrived.
    Broken {
        since: Timestamp,
        last_report: Timestamp,
        at: Duration,
        failures: u32,
    },
}

/// Verdict about an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// Registered, no report yet.
    Unknown,
    /// Reports arrive.
    Answering,
    /// No reports at present; it may be shutting down, or reconnect at once.
    Suspect,
    /// No reports, and no orderly end.
    Gone,
    /// Left in order, or is no longer registered anywhere.
    Left,
}

impl InstanceState {
    /// State of a newly discovered instance, at monotonic time `now`.
    pub fn new(instance: Instance, samples: usize, silence_max: Duration, now: Duration) -> Self {
        Self {
            instance,
            registered: true,
            last: None,
            conditions: Vec::new(),
            ring: SampleRing::new(samples),
            stream: StreamState::Opening { from: now },
            silence_max,
            ended: false,
        }
    }

    /// Records a report that arrived at wall time `now` and monotonic time `at`.
    pub fn record_report(&mut self, stats: WatchStatsResponse, now: Timestamp, at: Duration) {
        let since = match self.stream {
            StreamState::Open { since, received_at, .. } if !self.is_silent(received_at, at) => since,
            _ => now,
        };
        self.stream = StreamState::Open {
            since,
            last_report: now,
            received_at: at,
        };
        self.ended = false;
        self.ring.push(at, &stats);
        self.conditions = read_conditions(&stats.conditions);
        self.last = Some(stats);
    }

    /// Its last word about conditions, at monotonic time `now`; `None` once it has left.
    pub fn condition_report(&self, now: Duration) -> Option<ConditionReport> {
        let liveness = self.liveness(now);
        (liveness != Liveness::Left).then(|| ConditionReport {
            conditions: self.conditions.clone(),
            answering: liveness == Liveness::Answering,
        })
    }

    /// Returns true if it answers, or did a moment ago, and reported that it leads its service.
    pub fn leads(&self, now: Duration) -> bool {
        let leads = self.last.as_ref().is_some_and(|stats| stats.role == LEADER);
        leads && matches!(self.liveness(now), Liveness::Answering | Liveness::Suspect)
    }

    /// Records a broken or refused stream, at monotonic time `now`.
    pub fn record_failure(&mut self, now: Duration) {
        self.stream = match self.stream {
            StreamState::Opening { from } => StreamState::Opening { from },
            StreamState::Open { since, last_report, .. } => StreamState::Broken {
                since,
                last_report,
                at: now,
                failures: 1,
            },
            StreamState::Broken {
                since,
                last_report,
                at,
                failures,
            } => StreamState::Broken {
                since,
                last_report,
                at,
                failures: failures.saturating_add(1),
            },
        };
    }

    /// Records that the instance ended its stream in order.
    pub fn record_end(&mut self, now: Duration) {
        self.ended = true;
        self.record_failure(now);
    }

    /// Discards the silence until `now`, during which the monitor process itself was suspended.
    pub fn reset_after_pause(&mut self, now: Duration) {
        match &mut self.stream {
            StreamState::Opening { from: at } | StreamState::Open { received_at: at, .. } => *at = now,
            StreamState::Broken { .. } => {}
        }
    }

    /// Reports whether it accepts no new work.
    pub fn is_draining(&self) -> bool {
        let reported = self.last.as_ref().is_some_and(|stats| stats.draining);
        reported || self.ended || self.instance.state == NodeState::Draining
    }

    /// Judges it at monotonic time `now`.
    pub fn liveness(&self, now: Duration) -> Liveness {
        let lost = match self.stream {
            StreamState::Opening { .. } if !self.registered => return Liveness::Left,
            StreamState::Opening { from } => {
                let late = now.saturating_sub(from) > self.silence_max + FIRST_REPORT_EXTRA;
                return if late && !self.is_draining() {
                    Liveness::Gone
                } else {
                    Liveness::Unknown
                };
            }
            StreamState::Open { received_at, .. } if !self.is_silent(received_at, now) => return Liveness::Answering,
            // Its connection stands. Without an entry it is stopped rather than gone in order: an exit closes it.
            StreamState::Open { .. } => {
                return if self.is_draining() {
                    Liveness::Suspect
                } else {
                    Liveness::Gone
                };
            }
            StreamState::Broken { at, failures, .. } => failures >= FAILURES_MIN && now.saturating_sub(at) >= BREAK_MIN,
        };
        match (self.registered, self.is_draining()) {
            // The entry of a killed one stays for seconds: one that left has deleted it.
            (false, _) => Liveness::Left,
            (true, false) if lost => Liveness::Gone,
            (true, _) => Liveness::Suspect,
        }
    }

    /// Input of the rule [`lepton_domain::incident::observe`]; `None` until the first report.
    pub fn live(&self) -> Option<Live> {
        let (StreamState::Open { since, last_report, .. } | StreamState::Broken { since, last_report, .. }) =
            self.stream
        else {
            return None;
        };
        Some(self.live_since(since, last_report))
    }

    /// Input of the rule for an overdue instance that never sent a report: live, but only since `now`, so that it
    /// replaces no other.
    pub fn expected(&self, now: Timestamp) -> Option<Live> {
        matches!(self.stream, StreamState::Opening { .. }).then(|| self.live_since(now, now))
    }

    fn live_since(&self, since: Timestamp, last_report: Timestamp) -> Live {
        Live {
            service: self.instance.service.clone(),
            name: self.instance.metadata.get(NAME).cloned(),
            draining: self.is_draining(),
            since,
            heard: last_report,
        }
    }

    fn is_silent(&self, received_at: Duration, now: Duration) -> bool {
        now.saturating_sub(received_at) > self.silence_max
    }
}
