//! Reports about the journal, in the messages of the public contract.

use lepton_proto::cluster::v1::{DumpJournalResponse, GetJournalStatusResponse, VerifyJournalResponse};
use lepton_proto::convert::time::timestamp;

use super::{Entry, Status, Verification};

impl From<Status> for GetJournalStatusResponse {
    fn from(status: Status) -> Self {
        Self {
            leader: status
                .leader
                .as_ref()
                .map(|leader| leader.instance.to_string())
                .unwrap_or_default(),
            epoch: status.leader.map_or(0, |leader| leader.epoch.0),
            incarnation: status.incarnation,
            first_segment: status.first_segment,
            last_segment: status.last_segment,
            seq: status.seq.0,
            bytes: status.bytes,
            snapshot_segment: status.snapshot_segment,
            journal_time: Some(timestamp(status.journal_time)),
            digest: status.digest.to_string(),
            task_count: status.task_count,
        }
    }
}

impl From<Verification> for VerifyJournalResponse {
    fn from(found: Verification) -> Self {
        Self {
            ok: found.is_ok(),
            segment_count: found.segment_count,
            event_count: found.event_count,
            task_count: found.tasks.len() as u64,
            succeeded_count: found.succeeded_count(),
            ended_otherwise_count: found.ended_otherwise_count(),
            live_count: found.live_count(),
            digest: found.digest.map(|digest| digest.to_string()).unwrap_or_default(),
            breaches: found.breaches,
        }
    }
}

impl From<&Entry> for DumpJournalResponse {
    fn from(entry: &Entry) -> Self {
        Self {
            segment: entry.segment,
            epoch: entry.epoch.0,
            seq: entry.seq.0,
            journal_time: Some(timestamp(entry.time)),
            event: entry.name().to_owned(),
            task_id: entry.task().map(|task| task.to_string()).unwrap_or_default(),
            text: entry.text(),
        }
    }
}
