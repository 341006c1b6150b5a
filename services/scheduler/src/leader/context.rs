//! Everything around a leader: settings, stores, and the places where it publishes.

use std::time::Duration;

use lepton_coordination::etcd::Etcd;
use lepton_core::blob::Blobs;
use lepton_core::conditions::Conditions;
use lepton_core::random::Random;
use lepton_domain::ledger::Policy;
use lepton_domain::queue::Queue;
use tokio::sync::watch;

use super::peer_mark::PeerMarks;
use crate::config::Tuning;
use crate::formats::SupportedFormats;
use crate::status::SchedulerStatus;
use crate::sweeper::Sweeper;

/// Everything that a leader needs besides its ledger and the journal's writer.
pub(crate) struct LeaderContext {
    /// Limits and intervals.
    pub tuning: Tuning,
    /// Rules of the ledger.
    pub policy: Policy,
    /// Empty queue, with the order in which tasks start.
    pub queue: Queue,
    /// Time that tasks wait which nothing can run, after which that is a condition.
    pub unplaceable_after: Duration,
    /// Conditions that this scheduler reports.
    pub conditions: Conditions,
    /// Store of snapshots.
    pub etcd: Etcd,
    /// Archive of trimmed segments.
    pub blobs: Blobs,
    /// Deletes the blobs of purged tasks.
    pub sweeper: Sweeper,
    /// Source of snapshot ids.
    pub random: Random,
    /// Publishes the position.
    pub status: watch::Sender<SchedulerStatus>,
    /// Formats that the schedulers support.
    pub formats: SupportedFormats,
    /// Judge of the marks that peers show.
    pub peer_marks: PeerMarks,
}
