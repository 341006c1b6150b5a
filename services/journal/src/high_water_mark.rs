//! Marks: how far someone has seen the journal, and the check that a candidate is not behind any.
//!
//! Promises: an etcd that was restored from an older backup is noticed by whoever saw the newer state, and nobody
//! leads on it before a person has accepted the loss. Marks of another incarnation say nothing: accepting a loss makes
//! a new one. Leaves carrying and storing marks to the services.

use bytes::Bytes;
use lepton_proto::journal::v1::Mark;

use super::codec::Hash;
use super::{Position, read};
use lepton_coordination::etcd::{Etcd, EtcdError};

/// Part of the known history that a candidate's journal lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lacks {
    /// The store has been at a later revision.
    #[error("etcd is at revision {found}, revision {known} has been seen: it was restored from an older state")]
    Revision {
        /// The revision seen.
        known: u64,
        /// The revision now.
        found: u64,
    },
    /// The journal was longer.
    #[error("the journal ends at segment {found}, segment {known} has been seen: it was restored from an older state")]
    Segment {
        /// The segment seen.
        known: u64,
        /// The last segment now.
        found: u64,
    },
    /// The journal had another history.
    #[error("segment {0} of the journal is not the one that has been seen: the history has been rewritten")]
    History(u64),
}

/// Returns the high-water mark of a [`Position`].
pub(super) fn of(position: &Position, incarnation: &str, revision: i64) -> Mark {
    Mark {
        incarnation: incarnation.to_owned(),
        revision: revision.cast_unsigned(),
        segment: position.segment,
        seq: position.seq.0,
        segment_hash: Bytes::copy_from_slice(&position.hash),
        mac: Bytes::new(),
    }
}

/// Advances `known`, which its owner believes without a proof, to the further of two marks, field by field; so no code
/// would fit it, and it has none. A mark of another incarnation takes the place of the one before.
pub fn advance_to(known: &mut Mark, seen: &Mark) {
    let revision = match known.incarnation == seen.incarnation {
        true => known.revision.max(seen.revision),
        false => seen.revision,
    };
    if known.incarnation != seen.incarnation || seen.segment > known.segment {
        known.clone_from(seen);
    }
    known.revision = revision;
    known.mac = Bytes::new();
}

/// Keeps the further of two marks of leaders as it is, with its code, to return it to the leaders that follow. A mark of
/// another incarnation takes the place of the one before.
pub fn keep_further(kept: &mut Mark, seen: &Mark) {
    // Revisions and segments only grow, and together: neither mark is further in one and behind in the other.
    let further = (seen.segment, seen.revision) >= (kept.segment, kept.revision);
    if further || kept.incarnation != seen.incarnation {
        kept.clone_from(seen);
    }
}

/// Returns the part of the known history that the journal in etcd lacks, which ends at `position` and was read at
/// `revision`.
pub(super) async fn check(
    etcd: &Etcd,
    known: &Mark,
    (incarnation, revision): (&str, i64),
    position: &Position,
) -> Result<Option<Lacks>, EtcdError> {
    if known.incarnation != incarnation {
        return Ok(None);
    }
    if known.revision > revision.cast_unsigned() {
        return Ok(Some(Lacks::Revision {
            known: known.revision,
            found: revision.cast_unsigned(),
        }));
    }
    if known.segment > position.segment {
        return Ok(Some(Lacks::Segment {
            known: known.segment,
            found: position.segment,
        }));
    }
    let found = hash_of(etcd, known.segment, position).await?;
    let same = known.segment == 0 || found.is_none_or(|found| known.segment_hash == found.as_slice());
    Ok((!same).then_some(Lacks::History(known.segment)))
}

/// The hash of a segment that is still kept.
async fn hash_of(etcd: &Etcd, segment: u64, position: &Position) -> Result<Option<Hash>, EtcdError> {
    if segment == position.segment {
        return Ok(Some(position.hash));
    }
    let stored = read::segment(etcd, segment).await?;
    Ok(stored.map(|bytes| *blake3::hash(&bytes).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark_key::MarkKey;

    fn mark(incarnation: &str, revision: u64, segment: u64) -> Mark {
        Mark {
            incarnation: incarnation.to_owned(),
            revision,
            segment,
            ..Mark::default()
        }
    }

    #[test]
    fn a_mark_only_rises_within_an_incarnation() {
        let mut known = mark("a", 10, 5);
        advance_to(&mut known, &mark("a", 8, 6));
        assert_eq!(known, mark("a", 10, 6));
        advance_to(&mut known, &mark("a", 12, 4));
        assert_eq!(known, mark("a", 12, 6));
        advance_to(&mut known, &mark("b", 3, 1));
        assert_eq!(known, mark("b", 3, 1));
    }

    #[test]
    fn a_mark_for_others_is_kept_as_it_was_sealed() {
        let key = MarkKey::new([1; 32]);
        let sealed = |segment| key.seal(mark("a", 10 + segment, segment));
        let mut kept = Mark::default();
        for (seen, expected) in [(5, 5), (4, 5), (6, 6), (6, 6)] {
            keep_further(&mut kept, &sealed(seen));
            assert_eq!(kept, sealed(expected));
            assert!(key.holds(&kept));
        }
        // A leader of a former release seals nothing; the next one that does takes its place.
        keep_further(&mut kept, &mark("a", 17, 7));
        keep_further(&mut kept, &sealed(7));
        assert!(key.holds(&kept));
        keep_further(&mut kept, &mark("b", 3, 1));
        assert_eq!(kept, mark("b", 3, 1));
        let mut own = sealed(7);
        advance_to(&mut own, &sealed(8));
        assert_eq!(own, mark("a", 18, 8), "an own mark needs no code");
    }
}
