//! The full check of a journal.
//!
//! Promises: reads everything that is kept, twice where two ways to the same state exist, and names every breach it
//! meets: of checksums, chain, order, digests, snapshots, and of "one success a task". Leaves repairing to people.

use std::collections::BTreeMap;

use lepton_domain::ids::TaskId;
use lepton_domain::ledger::{Event, StateDigest};
use lepton_domain::task::State;
use lepton_proto::journal::v1::SnapshotRef;

use super::super::codec::{self, Damage, Hash};
use super::super::follow::FollowError;
use super::super::read::{self, Known, Stored, Walk, at};
use super::super::snapshot::{self, SnapshotError};
use super::super::{Position, Replica};
use lepton_coordination::etcd::Etcd;

/// Breaches that are kept; more say nothing new.
pub const BREACHES_MAX: usize = 100;

/// Restarts because a leader swapped snapshots meanwhile.
const ROUNDS_MAX: u32 = 4;

/// Report of a check; see [`Replica`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// Every breach, in words; at most [`BREACHES_MAX`].
    pub breaches: Vec<String>,
    /// Segments read.
    pub segment_count: u64,
    /// Events in them.
    pub event_count: u64,
    /// Every task that was submitted in the kept journal or stands in its snapshot, with its last state; also tasks
    /// whose record was purged since.
    pub tasks: BTreeMap<TaskId, State>,
    /// State digest after the last segment.
    pub digest: Option<StateDigest>,
    /// The last segment.
    pub position: Position,
}

impl Verification {
    /// Returns whether every check held.
    pub fn is_ok(&self) -> bool {
        self.breaches.is_empty()
    }

    /// Tasks that ended with success.
    pub fn succeeded_count(&self) -> u64 {
        self.count(|state| state == State::Succeeded)
    }

    /// Tasks that ended otherwise.
    pub fn ended_otherwise_count(&self) -> u64 {
        self.count(|state| state.is_final() && state != State::Succeeded)
    }

    /// Tasks that have not ended.
    pub fn live_count(&self) -> u64 {
        self.count(|state| !state.is_final())
    }

    fn count(&self, which: impl Fn(State) -> bool) -> u64 {
        self.tasks.values().filter(|state| which(**state)).count() as u64
    }

    fn breach(&mut self, breach: impl ToString) {
        if self.breaches.len() < BREACHES_MAX {
            self.breaches.push(breach.to_string());
        }
    }

    /// Applies an event to the state of its task, independently of the [`Ledger`](lepton_domain::ledger::Ledger).
    fn note(&mut self, event: &Event) {
        self.event_count += 1;
        let (task, state) = match event {
            Event::Submitted(submission) => (submission.id, State::Pending),
            Event::Started { attempt, .. } => (attempt.task, State::Running),
            Event::AttemptFailed { attempt, .. }
            | Event::AttemptLost { attempt, .. }
            | Event::AttemptReturned { attempt, .. } => (attempt.task, State::Pending),
            Event::Succeeded { attempt, .. } => (attempt.task, State::Succeeded),
            Event::Failed { task, .. } => (*task, State::Failed),
            Event::Cancelled { task, .. } => (*task, State::Cancelled),
            Event::Expired { task } => (*task, State::Expired),
            Event::EpochStarted { .. }
            | Event::FormatActivated { .. }
            | Event::Purged { .. }
            | Event::KindPaused { .. }
            | Event::KindResumed { .. } => return,
        };
        let before = self.tasks.insert(task, state);
        if let Some(ended) = before.filter(|before| before.is_final()) {
            self.breach(format!("task {task} had ended {ended} and became {state}"));
        }
    }
}

/// Checks the journal. An error means that etcd did not answer; what is wrong with the journal is in the result.
pub async fn verify(etcd: &Etcd) -> Result<Verification, FollowError> {
    let mut verification = Verification::default();
    for _ in 0..ROUNDS_MAX {
        let known = match read::manifest(etcd).await {
            Err(error) if !error.is_transient() => {
                verification.breach(error);
                return Ok(verification);
            }
            known => known?,
        };
        let first = read::first_segment(etcd, 0).await?;
        verification = round(etcd, &known).await?;
        if verification.is_ok() {
            break;
        }
        // A breach may be a snapshot that was swapped out, or segments that were trimmed, under our eyes.
        let swapped = read::manifest(etcd).await?.revision != known.revision;
        if !swapped && read::first_segment(etcd, 0).await? == first {
            break;
        }
    }
    Ok(verification)
}

async fn round(etcd: &Etcd, known: &Known) -> Result<Verification, FollowError> {
    let mut check = Check {
        verification: Verification::default(),
        replica: Replica::new(),
        newest: None,
        base: 0,
    };
    let older = check.load(etcd, known.manifest.older.as_ref()).await?;
    check.newest = check.load(etcd, known.manifest.newest.as_ref()).await?;
    // Without an older snapshot everything is kept, and the newest has to follow from it.
    let first = read::first_segment(etcd, 0).await?;
    let replay_all = known.manifest.older.is_none();
    check.first_is_kept(first, known);
    check.replica = older
        .or_else(|| check.newest.clone().filter(|_| !replay_all))
        .unwrap_or_default();
    check.replica.know(known);
    check.base = check.replica.position.segment;
    check.covered(etcd, first).await?;
    check.replay(etcd).await?;
    Ok(check.finish())
}

/// A check under way.
struct Check {
    verification: Verification,
    replica: Replica,
    /// The newest snapshot, until the replay has come past it.
    newest: Option<Replica>,
    /// The segment that the replay starts after.
    base: u64,
}

impl Check {
    async fn load(&mut self, etcd: &Etcd, snapshot: Option<&SnapshotRef>) -> Result<Option<Replica>, FollowError> {
        let Some(snapshot) = snapshot else { return Ok(None) };
        match snapshot::load(etcd, snapshot).await {
            Ok(replica) => Ok(Some(replica)),
            Err(SnapshotError::Etcd(error)) => Err(error.into()),
            Err(error) => {
                self.verification.breach(error);
                Ok(None)
            }
        }
    }

    /// Trimming goes up to the floor and spares the last segment.
    fn first_is_kept(&mut self, first: Option<u64>, known: &Known) {
        let (kept_from, snapshots) = (read::floor(&known.manifest) + 1, known.manifest.newest.is_some());
        if first.map_or(snapshots, |first| first > kept_from) {
            self.verification.breach(format!(
                "segments from {kept_from} on must be kept, the first is {first:?}"
            ));
        }
    }

    /// Segments that the snapshot covers and that are not trimmed yet: whole, chained, and ending in the snapshot.
    async fn covered(&mut self, etcd: &Etcd, first: Option<u64>) -> Result<(), FollowError> {
        let mut last: Option<(u64, Hash)> = None;
        let mut walk = Walk::from(etcd, first.unwrap_or(u64::MAX).min(self.base + 1));
        while let Some(range) = walk.next().await? {
            for stored in range.iter().filter(|stored| stored.number <= self.base) {
                match covered(last, stored) {
                    Ok((hash, events)) => {
                        last = Some((stored.number, hash));
                        events.iter().for_each(|event| self.verification.note(event));
                    }
                    Err(why) => self.verification.breach(at(stored.number)(why)),
                }
                self.verification.segment_count += 1;
            }
            if range.last().is_none_or(|last| last.number >= self.base) {
                break;
            }
        }
        let ends_well = last.is_none_or(|last| last == (self.base, self.replica.position.hash));
        if !ends_well {
            self.verification.breach(format!(
                "the snapshot of segment {} does not continue the segments",
                self.base
            ));
        }
        let states = self.replica.ledger.tasks().map(|task| (task.id, task.state));
        self.verification.tasks.extend(states);
        Ok(())
    }

    /// Everything after the snapshot, event by event.
    async fn replay(&mut self, etcd: &Etcd) -> Result<(), FollowError> {
        self.meet_newest();
        let mut walk = Walk::from(etcd, self.base + 1);
        while let Some(range) = walk.next().await? {
            for stored in range {
                self.verification.segment_count += 1;
                match self.replica.apply(&stored) {
                    Ok(events) => events.iter().for_each(|event| self.verification.note(event)),
                    // What follows cannot be checked without it.
                    Err(error) => {
                        self.verification.breach(error);
                        return Ok(());
                    }
                }
                self.meet_newest();
            }
        }
        let missing = self.replica.position.segment + 1;
        if read::first_segment(etcd, missing)
            .await?
            .is_some_and(|later| later > missing)
        {
            self.verification.breach(FollowError::Corrupt {
                segment: missing,
                why: Damage::Missing,
            });
        }
        Ok(())
    }

    /// Compares the replay with the newest snapshot where they meet: both have to agree.
    fn meet_newest(&mut self) {
        let here = self.replica.position.segment;
        let Some(newest) = self.newest.take_if(|newest| newest.position.segment == here) else {
            return;
        };
        let same = |replica: &Replica| (replica.position.hash, replica.position.seq, replica.ledger.digest());
        if same(&newest) != same(&self.replica) {
            self.verification
                .breach(format!("the snapshot of segment {here} is not what the segments give"));
        }
    }

    fn finish(mut self) -> Verification {
        if let Some(newest) = &self.newest {
            let (snapshot, end) = (newest.position.segment, self.replica.position.segment);
            self.verification.breach(format!(
                "the snapshot goes up to segment {snapshot}, the replay to {end}"
            ));
        }
        for task in self.replica.ledger.tasks() {
            let noted = self.verification.tasks.get(&task.id);
            if noted != Some(&task.state) {
                self.verification
                    .breach(format!("task {} is {}, its events say otherwise", task.id, task.state));
            }
        }
        self.verification.digest = Some(self.replica.ledger.digest());
        self.verification.position = self.replica.position;
        self.verification
    }
}

/// Checks a segment for which there is no state to apply it to.
fn covered(last: Option<(u64, Hash)>, stored: &Stored) -> Result<(Hash, Vec<Event>), Damage> {
    let (segment, hash) = codec::decode_segment(&stored.bytes)?;
    let expected = last.map_or(stored.number, |(number, _)| number + 1);
    if stored.number != expected || segment.number != expected {
        return Err(Damage::Number {
            expected,
            found: segment.number,
        });
    }
    if last.is_some_and(|(_, hash)| segment.previous_hash != hash.as_slice()) {
        return Err(Damage::Chain);
    }
    Ok((hash, codec::events(segment)?))
}
