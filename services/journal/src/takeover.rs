//! Taking over: from the leader key to the right to append.
//!
//! Promises: nobody appends before its own epoch's start has committed after everything that was committed before;
//! a replica that is behind, or an etcd that has lost what somebody saw, does not lead. Leaves winning the key to
//! `election`, and serving to the scheduler.

use std::time::Duration;

use lepton_domain::ledger::Event;
use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::time::Timestamp;
use lepton_proto::journal::v1::Mark;

use super::append::{AppendError, Draft, Writer, prepare};
use super::fence::{Conflict, Fence, Outcome, Repetition};
use super::follow::{self, FollowError};
use super::high_water_mark::{self, Lacks};
use super::{Position, Replica, read};
use lepton_coordination::election::Leadership;
use lepton_coordination::etcd::{Etcd, EtcdError};

/// A jump of journal time beyond this is an alarm: a clock is wrong, or the mesh was down that long.
const TIME_JUMP_MAX: Duration = Duration::from_secs(600);

/// Reads after a refusal. Nobody else writes meanwhile, so only stale reads need more than two.
const ROUNDS_MAX: u32 = 8;

/// Why an instance that won the key does not lead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TakeoverError {
    /// Somebody else leads by now.
    #[error("the leadership was lost before the epoch began")]
    Fenced,
    /// The journal lacks what has been seen. Nobody should lead before a person has accepted the loss.
    #[error("refused to lead: {0}")]
    Lacks(#[from] Lacks),
    /// The replica's last segment is not in the journal: etcd has lost it, or has another in its place.
    #[error("refused to lead: segment {segment}, which this replica has applied, is not in the journal any more")]
    Diverged {
        /// The segment.
        segment: u64,
    },
    /// The journal cannot be followed.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The start of the epoch could not be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// Every attempt met another refusal.
    #[error("the start of the epoch was refused again and again: {0}")]
    Refused(Conflict),
}

impl From<EtcdError> for TakeoverError {
    fn from(error: EtcdError) -> Self {
        Self::Follow(error.into())
    }
}

impl TakeoverError {
    /// Converts to the error that the mesh's caller receives.
    pub fn api_error(&self) -> ApiError {
        match self {
            Self::Fenced => ApiError::new(Reason::NotLeader, self.to_string()),
            Self::Follow(error) => error.api_error(),
            Self::Append(error) => error.api_error(),
            Self::Lacks(_) | Self::Diverged { .. } | Self::Refused(_) => {
                ApiError::new(Reason::DataCorrupt, self.to_string())
            }
        }
    }
}

/// Brings the [`Replica`] to the end of the journal and begins the epoch there. `now` is the wall clock; `known` is the
/// furthest mark that this instance has received. On success the replica has applied the start of the epoch.
pub async fn take_over(
    etcd: &Etcd,
    leadership: &Leadership,
    replica: &mut Replica,
    now: Timestamp,
    known: &Mark,
) -> Result<Writer, TakeoverError> {
    let fence = Fence::new(etcd, leadership.epoch);
    let mut repetition = Repetition::default();
    let mut refusal = TakeoverError::Refused(Conflict::Gap);
    for _ in 0..ROUNDS_MAX {
        let progress = follow::catch_up(etcd, replica).await?;
        if replica.position.epoch > leadership.epoch {
            return Err(TakeoverError::Fenced);
        }
        let store = (leadership.incarnation.as_str(), progress.store_revision);
        match prepare_to_lead(etcd, replica, known, store).await {
            Err(error @ (TakeoverError::Lacks(_) | TakeoverError::Diverged { .. })) => refusal = error,
            Err(error) => return Err(error),
            // An earlier call was given up after it had sent the start, which has landed.
            Ok(()) if replica.position.epoch == leadership.epoch => return resume(fence, leadership, replica).await,
            Ok(()) => match begin(&fence, leadership, replica, now).await? {
                Outcome::Committed { revision } => return Ok(writer(fence, leadership, replica, revision)),
                Outcome::Fenced { .. } => return Err(TakeoverError::Fenced),
                Outcome::Refused(conflict) => refusal = TakeoverError::Refused(conflict),
            },
        }
        // The reads may have been stale: what was seen missing may be there.
        repetition.pause().await;
    }
    Err(refusal)
}

/// Checks that the journal, as read, has everything that was seen of it.
async fn prepare_to_lead(
    etcd: &Etcd,
    replica: &Replica,
    known: &Mark,
    store: (&str, i64),
) -> Result<(), TakeoverError> {
    match high_water_mark::check(etcd, known, store, &replica.position).await? {
        Some(lacks) => Err(lacks.into()),
        None => check_tail(etcd, &replica.position).await,
    }
}

/// Appends the start of the epoch after the replica's last segment, and applies it once it has committed.
async fn begin(
    fence: &Fence,
    leadership: &Leadership,
    replica: &mut Replica,
    now: Timestamp,
) -> Result<Outcome, TakeoverError> {
    let before = &replica.position;
    let draft = Draft {
        format: replica.ledger.format(),
        time: journal_time(before, now),
        first_seq: before.seq.next(),
        state_digest: replica.ledger.digest(),
        events: vec![Event::EpochStarted {
            leader: leadership.instance.clone(),
        }],
    };
    let append = prepare(before, leadership.epoch, &draft)?;
    let outcome = fence.settle(&append).await?;
    if let Outcome::Committed { .. } = outcome {
        replica.advance(append.after, &draft.events, append.sealed.bytes.len())?;
    }
    Ok(outcome)
}

async fn resume(fence: Fence, leadership: &Leadership, replica: &Replica) -> Result<Writer, TakeoverError> {
    let mut writer = writer(fence, leadership, replica, 0);
    match writer.confirm().await {
        Ok(()) => Ok(writer),
        Err(AppendError::Fenced { .. }) => Err(TakeoverError::Fenced),
        Err(error) => Err(error.into()),
    }
}

/// The writer of the epoch that the replica has just begun. The manifest has not moved since the replica read it: the
/// commit compared its revision, and from then on only this epoch can move it.
fn writer(fence: Fence, leadership: &Leadership, replica: &Replica, revision: i64) -> Writer {
    Writer::new(
        (fence, leadership.epoch),
        replica,
        leadership.incarnation.clone(),
        revision,
    )
}

/// Journal time never goes back, and goes on by the time that passed since the last segment.
fn journal_time(before: &Position, now: Timestamp) -> Timestamp {
    let jump = now.since(before.time);
    if before.segment > 0 && jump > TIME_JUMP_MAX {
        tracing::error!(
            seconds = jump.as_secs(),
            "journal time jumps: the mesh was down that long, or a clock is wrong"
        );
    }
    before.time.max(now)
}

/// The segment that the replica ends with has to be the journal's. One at the floor may be trimmed.
async fn check_tail(etcd: &Etcd, position: &Position) -> Result<(), TakeoverError> {
    let segment = position.segment;
    if segment == 0 {
        return Ok(());
    }
    let stored = read::segment(etcd, segment).await?;
    let same = match stored {
        Some(bytes) => *blake3::hash(&bytes).as_bytes() == position.hash,
        None => segment <= position.floor,
    };
    if same {
        Ok(())
    } else {
        Err(TakeoverError::Diverged { segment })
    }
}
