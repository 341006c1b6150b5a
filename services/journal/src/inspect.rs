//! Looking at the journal from outside: its extent, its events, and whether it keeps every promise that it can show.
//!
//! Promises: reads only, needs no leader and disturbs none. What it shows is what plain reads showed, which may lag
//! behind what is committed. Leaves output to the services and the command line.

pub mod entry;
pub mod verify;
mod wire;

use std::collections::VecDeque;

use futures::stream::{self, Stream};
use lepton_domain::ids::{Epoch, Seq};
use lepton_domain::ledger::StateDigest;
use lepton_domain::time::Timestamp;

use super::follow::{self, FollowError};
use super::read::{self, Walk, at};
use super::{LEADER_SERVICE, Replica, codec};
pub use entry::Entry;
use lepton_coordination::election::{self, Leader};
use lepton_coordination::etcd::{Etcd, EtcdError};
pub use verify::{Verification, verify};

/// The extent of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The leader, if there is one.
    pub leader: Option<Leader>,
    /// The cluster's incarnation; empty while it has none.
    pub incarnation: String,
    /// First segment that is kept; 0 while there is none.
    pub first_segment: u64,
    /// Last segment; 0 while there is none.
    pub last_segment: u64,
    /// The last event.
    pub seq: Seq,
    /// Bytes of the kept segments.
    pub bytes: u64,
    /// Segment up to which the newest snapshot goes; 0 while there is none.
    pub snapshot_segment: u64,
    /// Journal time of the last segment.
    pub journal_time: Timestamp,
    /// State digest after it.
    pub digest: StateDigest,
    /// Tasks in the ledger after it.
    pub task_count: u64,
}

/// Replays the journal from its newest snapshot and describes it.
pub async fn status(etcd: &Etcd) -> Result<Status, FollowError> {
    let incarnation = etcd.get(etcd.keys().incarnation()).await?;
    let leader = election::current(etcd, LEADER_SERVICE).await?;
    let first_segment = read::first_segment(etcd, 0).await?.unwrap_or(0);
    let mut replica = Replica::new();
    let progress = follow::catch_up(etcd, &mut replica).await?;
    let replayed_from = replica.position.segment - progress.segments + 1;
    let bytes = progress.bytes + bytes_before(etcd, first_segment, replayed_from).await?;
    Ok(Status {
        leader,
        incarnation: incarnation
            .and_then(|it| it.value_str().ok().map(str::to_owned))
            .unwrap_or_default(),
        first_segment,
        last_segment: replica.position.segment,
        seq: replica.position.seq,
        bytes,
        snapshot_segment: replica.manifest.newest.as_ref().map_or(0, |newest| newest.segment),
        journal_time: replica.position.time,
        digest: replica.ledger.digest(),
        task_count: replica.ledger.len() as u64,
    })
}

/// Bytes of the segments `[first, end)`. etcd reports no sizes without the values.
async fn bytes_before(etcd: &Etcd, first: u64, end: u64) -> Result<u64, EtcdError> {
    let mut walk = Walk::from(etcd, first);
    let mut bytes = 0;
    while let Some(range) = walk.next().await? {
        let before = range.iter().filter(|stored| stored.number < end);
        bytes += before.map(|stored| stored.bytes.len() as u64).sum::<u64>();
        if range.last().is_some_and(|last| last.number >= end) {
            break;
        }
    }
    Ok(bytes)
}

/// Streams the kept events, oldest first: from segment `from` on, 0 for the first; `limit` events at most, 0 for all.
pub fn dump(etcd: Etcd, from: u64, limit: u64) -> impl Stream<Item = Result<Entry, FollowError>> + Send {
    let left = if limit == 0 { u64::MAX } else { limit };
    let reader = Reader {
        etcd,
        next: from,
        entries: VecDeque::new(),
    };
    stream::try_unfold((reader, left), |(mut reader, left)| async move {
        let entry = if left == 0 { None } else { reader.next().await? };
        Ok(entry.map(|entry| (entry, (reader, left - 1))))
    })
}

/// Position of a dump.
struct Reader {
    etcd: Etcd,
    next: u64,
    entries: VecDeque<Entry>,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Entry>, FollowError> {
        while self.entries.is_empty() {
            let mut range = read::range(&self.etcd, self.next).await?;
            if range.is_empty() {
                // Before what is kept, in a hole, or at the end.
                let Some(first) = read::first_segment(&self.etcd, self.next).await? else {
                    return Ok(None);
                };
                range = read::range(&self.etcd, first).await?;
            }
            self.next = range.last().map_or(self.next, |last| last.number + 1);
            for stored in range {
                self.take(&stored)?;
            }
        }
        Ok(self.entries.pop_front())
    }

    fn take(&mut self, stored: &read::Stored) -> Result<(), FollowError> {
        let segment = stored.number;
        let (decoded, _) = codec::decode_segment(&stored.bytes).map_err(at(segment))?;
        let (epoch, first) = (Epoch(decoded.epoch), decoded.first_seq);
        let time = Timestamp::from_micros(decoded.journal_time_us);
        let events = codec::events(decoded).map_err(at(segment))?;
        let entries = (first..).zip(events).map(|(seq, event)| Entry {
            segment,
            epoch,
            seq: Seq(seq),
            time,
            event,
        });
        self.entries.extend(entries);
        Ok(())
    }
}
