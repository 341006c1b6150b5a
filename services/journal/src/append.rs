//! Appending: the one writer of an epoch.
//!
//! Promises: segments commit in order, one at a time, each at most once; a slot never gets other bytes than those
//! first sent. A caller that gives up waiting leaves the append pending, and nothing else can be written until
//! `settle` has decided it. After a fence or a conflict the writer is closed for good. Leaves gathering batches, and
//! what to answer to whom, to the scheduler.

use etcd_client::TxnOp;
use lepton_domain::ids::{Epoch, Seq};
use lepton_domain::ledger::{Event, StateDigest};
use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::time::Timestamp;
use lepton_proto::convert::snapshot::state_digest_bytes;
use lepton_proto::journal::v1::{self as wire, Manifest, Mark};
use prost::Message;

pub use super::fence::Conflict;
use super::fence::{Fence, InFlight, Outcome, Repetition, found};
use super::mark_key::MarkKey;
use super::swap::Swap;
use super::{Position, Replica, codec, high_water_mark, read, replay};
use lepton_coordination::etcd::EtcdError;

/// A batch is closed at this size, bytes. Larger ones delay the answer more than they save.
pub const BATCH_BYTES_MAX: usize = 64 << 10;
/// A batch is closed at this size while a backlog is worked off, bytes.
pub const BACKLOG_BATCH_BYTES_MAX: usize = 256 << 10;
/// A batch is closed at this many events.
pub const BATCH_EVENTS_MAX: usize = 2_000;
/// Largest event, bytes.
pub const EVENT_BYTES_MAX: usize = 64 << 10;
/// Largest segment, bytes. etcd takes requests up to 1.5 MiB.
pub const SEGMENT_BYTES_MAX: usize = 1 << 20;

/// Content of the next segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Format of the segment: that of the ledger before the first event.
    pub format: u32,
    /// Journal time; not before that of the segment before.
    pub time: Timestamp,
    /// Number of the first event.
    pub first_seq: Seq,
    /// Digest of the ledger before the first event.
    pub state_digest: StateDigest,
    /// The events, in order.
    pub events: Vec<Event>,
}

/// A segment that will not be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Its number.
    pub segment: u64,
    /// A revision of the store in which it is there.
    pub revision: i64,
}

/// Why something was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Another instance leads, or nobody. The ledger that went ahead of the journal must be thrown away.
    #[error("this epoch no longer leads")]
    Fenced {
        /// True if the pending append surely never committed.
        definitely_not_committed: bool,
    },
    /// The journal is not as this leader left it. The ledger must be thrown away.
    #[error("the journal is not as this leader left it: {0}")]
    Conflict(Conflict),
    /// A fence or a conflict came before: this writer writes nothing any more.
    #[error("this writer was closed by a fence or a conflict")]
    Closed,
    /// An earlier append or swap has not been decided; `settle` it first.
    #[error("an earlier write is not settled yet")]
    Unsettled,
    /// The draft does not follow the last segment. Nothing was sent.
    #[error("the draft starts with event {found:?} at {time:?}; it must start with {expected:?}, not before {last:?}")]
    OutOfOrder {
        /// The number that must come.
        expected: Seq,
        /// The number that came.
        found: Seq,
        /// Journal time of the last segment.
        last: Timestamp,
        /// Journal time of the draft.
        time: Timestamp,
    },
    /// An event or the segment is over its limit. Nothing was sent.
    #[error("{bytes} bytes in one piece; {max} is the limit")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// etcd refused. What was pending still is: `settle` it, or give up the epoch.
    #[error(transparent)]
    Etcd(#[from] EtcdError),
}

impl AppendError {
    /// Converts to the error that the mesh's caller receives.
    pub fn api_error(&self) -> ApiError {
        match self {
            Self::Etcd(error) => error.api_error(),
            Self::Fenced {
                definitely_not_committed: true,
            }
            | Self::Closed => ApiError::new(Reason::NotLeader, self.to_string()),
            Self::Fenced {
                definitely_not_committed: false,
            }
            | Self::Unsettled => ApiError::new(Reason::OutcomeUnknown, self.to_string()),
            Self::Conflict(_) => ApiError::new(Reason::DataCorrupt, self.to_string()),
            Self::TooLarge { .. } => ApiError::new(Reason::RequestTooLarge, self.to_string()),
            // The leader numbers its drafts from the last segment on.
            Self::OutOfOrder { .. } => ApiError::new(Reason::Internal, self.to_string()),
        }
    }
}

/// The writer of one epoch, made by a takeover and owned by one task.
pub struct Writer {
    pub(super) fence: Fence,
    pub(super) epoch: Epoch,
    pub(super) position: Position,
    pub(super) manifest: Manifest,
    pub(super) pending: Option<Pending>,
    pub(super) bytes_since_snapshot: u64,
    incarnation: String,
    revision: i64,
    mark_key: Option<MarkKey>,
    closed: bool,
}

/// A write whose outcome is not known.
pub(super) enum Pending {
    Append(InFlight),
    Swap(Swap),
}

impl Writer {
    /// The writer of an epoch that has committed its start.
    pub(super) fn new((fence, epoch): (Fence, Epoch), replica: &Replica, incarnation: String, revision: i64) -> Self {
        let (position, manifest) = (replica.position.clone(), replica.manifest.clone());
        let bytes_since_snapshot = replica.bytes_since_snapshot;
        let (pending, mark_key, closed) = (None, None, false);
        Self {
            fence,
            epoch,
            position,
            manifest,
            pending,
            bytes_since_snapshot,
            incarnation,
            revision,
            mark_key,
            closed,
        }
    }

    /// Makes it seal its marks under this key.
    pub fn sealing(self, key: MarkKey) -> Self {
        let mark_key = Some(key);
        Self { mark_key, ..self }
    }

    /// The last committed segment.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// The epoch that it writes for.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The end of the journal as this leader has proved it; see [`high_water_mark`].
    pub fn mark(&self) -> Mark {
        let mark = high_water_mark::of(&self.position, &self.incarnation, self.revision);
        match &self.mark_key {
            Some(key) => key.seal(mark),
            None => mark,
        }
    }

    /// Bytes of the segments since the newest snapshot, and of that snapshot.
    pub fn growth(&self) -> (u64, u64) {
        (self.bytes_since_snapshot, read::snapshot_bytes(&self.manifest))
    }

    /// Appends a segment and waits until etcd has decided, however long that takes. Dropping the future leaves the
    /// append pending.
    pub async fn append(&mut self, draft: Draft) -> Result<Committed, AppendError> {
        self.check_settled()?;
        let append = prepare(&self.position, self.epoch, &draft)?;
        self.pending = Some(Pending::Append(append));
        self.settle().await?;
        Ok(Committed {
            segment: self.position.segment,
            revision: self.revision,
        })
    }

    /// Decides what is pending, if anything: repeats it until etcd has answered.
    pub async fn settle(&mut self) -> Result<(), AppendError> {
        self.check_open()?;
        match &self.pending {
            None => Ok(()),
            Some(Pending::Append(append)) => {
                let outcome = self.fence.settle(append).await?;
                self.record(outcome)
            }
            Some(Pending::Swap(swap)) => {
                let outcome = swap.settle(&self.fence).await?;
                self.record(outcome)
            }
        }
    }

    /// Proves that this leader still led after the call, and that its last segment is the journal's last: what a read
    /// needs. Shared by all reads that arrived before the call.
    pub async fn confirm(&mut self) -> Result<(), AppendError> {
        self.check_settled()?;
        let mut repetition = Repetition::default();
        let outcome = loop {
            match self.confirm_once().await {
                Err(error) if error.is_unknown() => repetition.wait(&error, "confirm").await,
                decided => break decided?,
            }
        };
        self.record(outcome)
    }

    /// A write, because a transaction that only compares is a read, and a read proves nothing.
    async fn confirm_once(&self) -> Result<Outcome, EtcdError> {
        let (fence, last) = (&self.fence, self.position.segment);
        let keys = fence.etcd.keys();
        let compares = vec![fence.leads(), fence.slot_is_empty(last + 1), fence.slot_is_taken(last)];
        let put = TxnOp::put(keys.confirmation(), self.epoch.0.to_string(), None);
        let look = vec![fence.read_leader(), TxnOp::get(keys.segment(last + 1), None)];
        let answer = fence.etcd.txn(compares, vec![put], look).await?;
        if answer.succeeded() {
            return Ok(Outcome::Committed {
                revision: super::fence::revision(&answer),
            });
        }
        let [leader, next] = found(&answer);
        Ok(match next {
            _ if !fence.is_held(leader.as_ref()) => Outcome::Fenced {
                definitely_not_committed: true,
            },
            Some(_) => Outcome::Refused(Conflict::Taken),
            None => Outcome::Refused(Conflict::Gap),
        })
    }

    /// Takes note of a outcome about what was pending.
    fn record(&mut self, outcome: Outcome) -> Result<(), AppendError> {
        let pending = self.pending.take();
        let error = match outcome {
            Outcome::Committed { revision } => {
                self.revision = self.revision.max(revision);
                self.commit(pending, revision);
                return Ok(());
            }
            Outcome::Fenced {
                definitely_not_committed,
            } => AppendError::Fenced {
                definitely_not_committed,
            },
            Outcome::Refused(conflict) => AppendError::Conflict(conflict),
        };
        self.closed = true;
        Err(error)
    }

    fn commit(&mut self, pending: Option<Pending>, revision: i64) {
        match pending {
            Some(Pending::Append(append)) => {
                self.bytes_since_snapshot += append.sealed.bytes.len() as u64;
                self.position = append.after;
            }
            Some(Pending::Swap(swap)) => self.swapped(swap, revision),
            None => {}
        }
    }

    pub(super) fn check_open(&self) -> Result<(), AppendError> {
        if self.closed { Err(AppendError::Closed) } else { Ok(()) }
    }

    pub(super) fn check_settled(&self) -> Result<(), AppendError> {
        self.check_open()?;
        if self.pending.is_some() {
            Err(AppendError::Unsettled)
        } else {
            Ok(())
        }
    }
}

/// Encodes a draft as the segment after `before`.
pub(super) fn prepare(before: &Position, epoch: Epoch, draft: &Draft) -> Result<InFlight, AppendError> {
    let Draft {
        format,
        time,
        first_seq,
        state_digest,
        events,
    } = draft;
    if *first_seq != before.seq.next() || *time < before.time {
        let (expected, found) = (before.seq.next(), *first_seq);
        return Err(AppendError::OutOfOrder {
            expected,
            found,
            last: before.time,
            time: *time,
        });
    }
    let segment = wire::Segment {
        format: *format,
        epoch: epoch.0,
        number: before.segment + 1,
        previous_hash: replay::previous_hash(before),
        journal_time_us: time.as_micros(),
        first_seq: first_seq.0,
        events: events.iter().map(encode).collect::<Result<_, _>>()?,
        state_digest: state_digest_bytes(state_digest),
        crc: 0,
    };
    let number = segment.number;
    let sealed = codec::encode_segment(segment);
    check_size(sealed.bytes.len(), SEGMENT_BYTES_MAX)?;
    let seq = Seq(before.seq.0 + events.len() as u64);
    let after = Position {
        segment: number,
        hash: sealed.hash,
        seq,
        time: *time,
        epoch,
        ..before.clone()
    };
    Ok(InFlight { sealed, after })
}

fn encode(event: &Event) -> Result<wire::Event, AppendError> {
    let encoded = wire::Event::from(event);
    // The exact length costs a walk over the event; the bound does not, and nearly always suffices.
    if codec::encoded_len(event) > EVENT_BYTES_MAX {
        check_size(encoded.encoded_len(), EVENT_BYTES_MAX)?;
    }
    Ok(encoded)
}

fn check_size(bytes: usize, max: usize) -> Result<(), AppendError> {
    if bytes > max {
        Err(AppendError::TooLarge { bytes, max })
    } else {
        Ok(())
    }
}
