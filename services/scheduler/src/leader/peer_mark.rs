//! Comparison of the leader's journal with the marks that peers hold.

use lepton_proto::journal::v1::Mark;

use crate::error::LeadershipLost;
use crate::high_water_mark::HighWaterMark;

#[cfg(test)]
mod tests;

/// Compares a peer's mark with the leader's own position. A peer that has a later segment, or another history, proves
/// that etcd is not what it was. Its mark is kept, so that this scheduler does not lead again without what it stands
/// for.
pub(super) fn compare(peer: &Mark, own: &Mark, high_water: &HighWaterMark) -> Result<(), LeadershipLost> {
    if peer.incarnation != own.incarnation {
        return Ok(());
    }
    let (seen, last) = (peer.segment, own.segment);
    let lost = if seen > last {
        LeadershipLost::Behind { seen, last }
    } else if seen == last && peer.segment_hash != own.segment_hash {
        LeadershipLost::Diverged(seen)
    } else {
        return Ok(());
    };
    high_water.advance_to(peer);
    Err(lost)
}
