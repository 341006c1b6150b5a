//! One segment after the other, onto a replica.
//!
//! Promises: a segment is applied only if it is whole and continues the replica's position in number, hash, event
//! number, epoch and time, and if the writer's digest of the state before it is the replica's own. Leaves reading to
//! `read`, and what a failure means to the caller.

use bytes::Bytes;
use lepton_domain::ids::{Epoch, Seq, TaskId};
use lepton_domain::ledger::{Effect, Event, apply};
use lepton_domain::time::Timestamp;
use lepton_proto::convert::snapshot::read_state_digest;
use lepton_proto::journal::v1 as wire;

use super::codec::{self, Damage, Hash};
use super::error::FollowError;
use super::read::{Stored, at};
use super::{Position, Replica};

/// Tasks re-hashed per segment, so that damage in memory is found within some thousand segments.
const SCRUB_TASKS: usize = 4;

/// A segment whose bytes and links are good.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    /// The position after it.
    pub after: Position,
    /// The event.
    pub events: Vec<Event>,
    /// The writer's digest of the state before it.
    pub digest: lepton_domain::ledger::StateDigest,
}

/// Checks a stored segment against the position that it should continue.
pub(super) fn check(before: &Position, stored: &Stored) -> Result<Checked, FollowError> {
    let here = || at(stored.number);
    let (segment, hash) = codec::decode_segment(&stored.bytes).map_err(here())?;
    let after = link(before, &segment, hash).map_err(here())?;
    let digest = read_state_digest("segment.state_digest", &segment.state_digest);
    let digest = digest.map_err(Damage::from).map_err(here())?;
    let events = codec::events(segment).map_err(here())?;
    Ok(Checked { after, events, digest })
}

/// The position after the segment, if it continues `before`.
pub(super) fn link(before: &Position, segment: &wire::Segment, hash: Hash) -> Result<Position, Damage> {
    let number = before.segment + 1;
    if segment.number != number {
        return Err(Damage::Number {
            expected: number,
            found: segment.number,
        });
    }
    if segment.previous_hash != previous_hash(before) {
        return Err(Damage::Chain);
    }
    let epoch = Epoch(segment.epoch);
    if epoch < before.epoch {
        return Err(Damage::Epoch {
            last: before.epoch,
            found: epoch,
        });
    }
    let (first, expected) = (Seq(segment.first_seq), before.seq.next());
    if first != expected {
        return Err(Damage::Seq { expected, found: first });
    }
    let time = Timestamp::from_micros(segment.journal_time_us);
    if time < before.time {
        return Err(Damage::Time);
    }
    let seq = Seq(before.seq.0 + segment.events.len() as u64);
    Ok(Position {
        segment: number,
        hash,
        seq,
        time,
        epoch,
        ..before.clone()
    })
}

/// Hash that a segment after this position carries as the one before it.
pub(super) fn previous_hash(before: &Position) -> Bytes {
    if before.segment == 0 {
        Bytes::new()
    } else {
        Bytes::copy_from_slice(&before.hash)
    }
}

impl Replica {
    /// Applies the segment that follows, after every check. On an error the replica is of no use any more.
    pub(super) fn apply(&mut self, stored: &Stored) -> Result<Vec<Event>, FollowError> {
        let Checked { after, events, digest } = check(&self.position, stored)?;
        let (segment, found) = (stored.number, self.ledger.digest());
        if digest != found {
            return Err(FollowError::DigestMismatch {
                segment,
                expected: digest,
                found,
            });
        }
        self.advance(after, &events, stored.bytes.len())?;
        self.scrub()?;
        Ok(events)
    }

    /// Applies events that are known to be committed, and moves on to the position after them.
    pub(super) fn advance(
        &mut self,
        after: Position,
        events: &[Event],
        bytes: usize,
    ) -> Result<Vec<Effect>, FollowError> {
        let segment = after.segment;
        self.ledger.begin(after.epoch, after.time);
        let mut effects = Vec::new();
        for event in events {
            let more = apply(&mut self.ledger, event)
                .map_err(Damage::from)
                .map_err(at(segment))?;
            effects.extend(more);
        }
        self.position = after;
        self.bytes_since_snapshot += bytes as u64;
        self.remember();
        Ok(effects)
    }

    fn scrub(&mut self) -> Result<(), FollowError> {
        let from = self.scrub_from.unwrap_or(TaskId::MIN);
        self.scrub_from = Some(self.ledger.scrub(from, SCRUB_TASKS).map_err(FollowError::Scrub)?);
        Ok(())
    }
}
