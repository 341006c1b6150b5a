//! How far this scheduler has come, for whoever asks.
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

/// What this scheduler does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Applies what another appends.
    Standby,
    /// Appends.
    Leader,
}

impl Role {
    /// As stats show it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Standby => "standby",
            Role::Leader => "leader",
        }
    }
}

/// How far it has come.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    /// What it does.
    pub role: Role,
    /// Its mark: what it holds against a candidate that is behind.
    pub mark: Mark,
    /// Epoch of the last segment.
    pub epoch: Epoch,
    /// Digests after the latest segments, oldest first.
    pub recent: VecDeque<SegmentDigest>,
    /// Tasks and attempts that wait or run; a leader's only.
    pub queued: u32,
    /// Attempts that run; a leader's only.
    pub running: u32,
    /// Attempts that ended while this scheduler led, since its start.
    pub finished_total: u64,
}

impl Progress {
    /// Nothing seen yet.
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

    /// Leads no more: what waits and runs is the next leader's.
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
            .map(|one| entry(one.segment, one.seq, &one.digest))
            .collect();
    }

    /// Notes a segment that this leader has committed.
    pub fn committed(&mut self, mark: Mark, epoch: Epoch, digest: &StateDigest) {
        self.epoch = epoch;
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(entry(mark.segment, Seq(mark.seq), digest));
        self.mark = mark;
    }

    /// The digest after the last segment; empty before the first.
    pub fn digest(&self) -> Bytes {
        self.recent
            .back()
            .map(|one| one.state_digest.clone())
            .unwrap_or_default()
    }

    /// The answer to whoever asks for the position.
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

fn entry(segment: u64, seq: Seq, digest: &StateDigest) -> SegmentDigest {
    SegmentDigest {
        segment,
        seq: seq.0,
        state_digest: state_digest_bytes(digest),
    }
}
