//! Position and load of this scheduler, for peers and stats.
//!
//! Promises: positions and digests are of committed segments only; the latest are kept, so that a leader and its
//! standbys can be compared at the same segment.

use std::collections::VecDeque;

use bytes::Bytes;
use lepton_domain::ids::{Epoch, InstanceId, Seq};
use lepton_domain::ledger::StateDigest;
use lepton_journal::{RECENT_MAX, Replica};
use lepton_proto::convert::snapshot::state_digest_bytes;
use lepton_proto::journal::v1::Mark;
use lepton_proto::scheduler::v1::{GetPositionResponse, SegmentDigest};

#[cfg(test)]
mod tests;

/// Role of this scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Applies what another appends.
    Standby,
    /// Appends.
    Leader,
}

impl Role {
    /// Name in stats.
    pub fn name(self) -> &'static str {
        match self {
            Role::Standby => "standby",
            Role::Leader => "leader",
        }
    }
}

/// Position and load of this scheduler.
#[derive(Debug, Clone)]
pub(crate) struct SchedulerStatus {
    /// Its role.
    pub role: Role,
    /// Its mark, which peers hold against a candidate that is behind.
    pub mark: Mark,
    /// Epoch of the last segment.
    pub epoch: Epoch,
    /// Digests after the latest segments, oldest first.
    pub recent: VecDeque<SegmentDigest>,
    /// Tasks that wait to run; a leader's only.
    pub queued: u32,
    /// Attempts that run; a leader's only.
    pub running: u32,
    /// Attempts that ended while this scheduler led, since its start.
    pub finished_total: u64,
}

impl SchedulerStatus {
    /// A standby that has applied nothing.
    pub fn new() -> Self {
        Self {
            role: Role::Standby,
            mark: Mark::default(),
            epoch: Epoch(0),
            recent: VecDeque::new(),
            queued: 0,
            running: 0,
            finished_total: 0,
        }
    }

    /// Returns to standby: waiting and running tasks are the next leader's.
    pub fn resign(&mut self) {
        self.role = Role::Standby;
        self.queued = 0;
        self.running = 0;
    }

    /// Takes over what a replica has applied.
    pub fn follow(&mut self, replica: &Replica, mark: Mark) {
        self.mark = mark;
        self.epoch = replica.position.epoch;
        self.recent = replica
            .recent
            .iter()
            .map(|one| segment_digest(one.segment, one.seq, &one.digest))
            .collect();
    }

    /// Records a segment that this leader has committed.
    pub fn committed(&mut self, mark: Mark, epoch: Epoch, digest: &StateDigest) {
        self.epoch = epoch;
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent
            .push_back(segment_digest(mark.segment, Seq(mark.seq), digest));
        self.mark = mark;
    }

    /// Records the leader's load, and attempts that have ended since the last time. Returns false, for
    /// [`send_if_modified`](tokio::sync::watch::Sender::send_if_modified): stats are polled, so nobody is woken.
    pub fn record_load(&mut self, queued: usize, running: usize, finished: u64) -> bool {
        self.queued = u32::try_from(queued).unwrap_or(u32::MAX);
        self.running = u32::try_from(running).unwrap_or(u32::MAX);
        self.finished_total += finished;
        false
    }

    /// Digest after the last segment; empty before the first.
    pub fn digest(&self) -> Bytes {
        self.recent
            .back()
            .map(|one| one.state_digest.clone())
            .unwrap_or_default()
    }

    /// Response to a request for the position.
    pub fn response(&self, instance: &InstanceId) -> GetPositionResponse {
        GetPositionResponse {
            instance: instance.to_string(),
            leader: self.role == Role::Leader,
            mark: Some(self.mark.clone()),
            epoch: self.epoch.0,
            state_digest: self.digest(),
            recent: self.recent.iter().cloned().collect(),
        }
    }
}

fn segment_digest(segment: u64, seq: Seq, digest: &StateDigest) -> SegmentDigest {
    SegmentDigest {
        segment,
        seq: seq.0,
        state_digest: state_digest_bytes(digest),
    }
}
