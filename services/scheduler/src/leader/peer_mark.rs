//! Comparison of the leader's journal with the marks that peers hold.
//!
//! Promises: a mark counts only where a leader of this incarnation has sealed it; any other is a claim, which changes
//! nothing, is counted, and is reported at a bounded rate.

use std::time::Duration;

use lepton_core::conditions::Conditions;
use lepton_core::context::Context;
use lepton_core::metrics::{Counter, Metrics};
use lepton_domain::condition::{JOURNAL_BEHIND, UNSEALED_MARKS};
use lepton_journal::mark_key::MarkKey;
use lepton_proto::journal::v1::Mark;

use crate::error::LeadershipLost;
use crate::high_water_mark::HighWaterMark;
use crate::message::PeerMark;

#[cfg(test)]
mod tests;

/// Time without an ignored mark after which nothing is reported of them any more.
const QUIET: Duration = Duration::from_secs(60);
/// Shortest time between two reports of ignored marks.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Judge of each [`Mark`] that peers hold.
pub(crate) struct PeerMarks {
    key: MarkKey,
    high_water: HighWaterMark,
    ignored: Counter,
    ahead: Counter,
    conditions: Conditions,
    /// Monotonic time of the last report.
    reported: Option<Duration>,
    /// Marks ignored since then.
    unreported: u64,
}

impl PeerMarks {
    /// Judges by this key; genuine marks that are ahead are kept in `high_water`.
    pub fn new(key: MarkKey, high_water: HighWaterMark, context: &Context) -> Self {
        let metrics = &context.metrics;
        let ignored = "Marks of peers that no leader has sealed";
        Self {
            key,
            high_water,
            ignored: metrics.counter("lepton_scheduler_marks_ignored_total", ignored, &[]),
            ahead: marks_ahead(metrics),
            conditions: context.conditions.clone(),
            reported: None,
            unreported: 0,
        }
    }

    /// Compares a peer's mark with the leader's own position. A peer that has a later segment, or another history,
    /// proves that etcd is not what it was. Its mark is kept, so that this scheduler does not lead again without what it
    /// stands for. `now` is monotonic.
    pub fn compare(&mut self, peer: &PeerMark, own: &Mark, now: Duration) -> Result<(), LeadershipLost> {
        let mark = &peer.mark;
        if mark.incarnation != own.incarnation {
            return Ok(());
        }
        if !self.key.holds(mark) {
            self.ignore(peer, now);
            return Ok(());
        }
        let (seen, last) = (mark.segment, own.segment);
        let lost = if seen > last {
            LeadershipLost::Behind { seen, last }
        } else if seen == last && mark.segment_hash != own.segment_hash {
            LeadershipLost::Diverged(seen)
        } else {
            return Ok(());
        };
        tracing::error!(
            peer = peer.sender,
            seen,
            last,
            "etcd lacks what a peer has seen of the journal"
        );
        self.ahead.inc();
        raise_behind(
            &self.conditions,
            &format!("{} has seen segment {seen}, etcd has {last}", peer.sender),
        );
        self.high_water.advance_to(mark);
        Err(lost)
    }

    fn ignore(&mut self, peer: &PeerMark, now: Duration) {
        self.ignored.inc();
        self.unreported += 1;
        if self
            .reported
            .is_some_and(|last| now.saturating_sub(last) < REPORT_INTERVAL)
        {
            return;
        }
        tracing::warn!(
            peer = peer.sender,
            segment = peer.mark.segment,
            revision = peer.mark.revision,
            ignored = self.unreported,
            "ignored a mark of the journal that no leader has sealed: the peer is of an older release, or makes it up"
        );
        let text = format!(
            "{} shows positions of the journal that no leader has sealed; they change nothing: upgrade it, or find out who it is",
            peer.sender
        );
        self.conditions.raise(UNSEALED_MARKS, &peer.sender, &peer.sender, &text);
        self.reported = Some(now);
        self.unreported = 0;
    }

    /// Clears [`UNSEALED_MARKS`] once peers have shown none for a while.
    pub fn tick(&mut self, now: Duration) {
        if self.reported.is_some_and(|last| now.saturating_sub(last) > QUIET) {
            self.conditions.clear_all(UNSEALED_MARKS);
            self.reported = None;
        }
    }
}

impl Drop for PeerMarks {
    /// Only who leads sees what peers show.
    fn drop(&mut self) {
        self.conditions.clear_all(UNSEALED_MARKS);
    }
}

/// Raises [`JOURNAL_BEHIND`]: etcd lacks a part of the journal.
pub(crate) fn raise_behind(conditions: &Conditions, seen: &str) {
    let text = format!(
        "etcd lacks a part of the journal ({seen}), so that nobody leads: bring back its newer state, or accept the loss with \
         `lepton restore --accept-loss`"
    );
    conditions.raise(JOURNAL_BEHIND, "etcd", "etcd", &text);
}

/// Counter of the times at which etcd turned out to lack what was seen of the journal.
pub(crate) fn marks_ahead(metrics: &Metrics) -> Counter {
    let help = "Times that etcd lacked what a scheduler or a peer had seen of the journal";
    metrics.counter("lepton_scheduler_marks_ahead_total", help, &[])
}
