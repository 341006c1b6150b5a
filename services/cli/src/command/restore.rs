//! `lepton restore`: a new incarnation for an etcd that was restored from an older state.
//!
//! Promises: nothing is changed before the loss was accepted, and nothing while a scheduler leads. Leaves the
//! transaction to [`lepton_journal::restore`].

use std::process::ExitCode;

use indicatif::HumanCount;
use lepton_coordination::etcd::Etcd;
use lepton_domain::reason::{ApiError, Reason};
use lepton_journal::inspect::{self, Status};
use lepton_journal::restore::{BlobStore, RestoreError, restore};
use lepton_mesh::config::address::etcd_members;
use lepton_proto::cluster::v1::GetJournalStatusResponse;
use lepton_proto::proto_json;
use serde_json::{Value, json};

use super::Session;
use crate::advice::DONE;
use crate::args::Restore;
use crate::client::{read_json, unwritable};
use crate::output::table::{integer, text};

/// Writes the new incarnation, or refuses.
pub(super) async fn run(session: &Session, args: &Restore) -> Result<ExitCode, ApiError> {
    let members = etcd_members(&args.etcd)?;
    let etcd = Etcd::connect(&session.context, &members, &args.cluster);
    let status = inspect::status(&etcd).await.map_err(|error| error.api_error())?;
    if status.incarnation.is_empty() {
        return Err(no_mesh(&args.cluster));
    }
    let extent = extent(status)?;
    let store = if args.new_blob_store {
        BlobStore::New
    } else {
        BlobStore::Kept
    };
    if !args.accept_loss {
        return Err(ApiError::new(Reason::LossNotAccepted, loss(&extent, store)));
    }
    let restored = restore(&etcd, &session.context.random, store).await;
    let restored = restored.map_err(|error| api_error(&error, &args.cluster))?;
    let answer = json!({
        "incarnationBefore": restored.before,
        "incarnation": restored.now,
        "lastSegment": extent["lastSegment"],
        "newBlobStore": args.new_blob_store,
    });
    session.conclude(answer.to_string().as_bytes(), DONE, |answer| done(answer, store))
}

/// The extent of the journal that is left, as the gateway shows it too.
fn extent(status: Status) -> Result<Value, ApiError> {
    let name = "lepton.cluster.v1.GetJournalStatusResponse";
    let body = proto_json::encode(name, &GetJournalStatusResponse::from(status)).map_err(unwritable)?;
    read_json(&body)
}

/// Describes what a restore gives up.
fn loss(extent: &Value, store: BlobStore) -> String {
    let left = match integer(&extent["lastSegment"]) {
        0 => "no task at all".to_owned(),
        last => format!(
            "the journal up to segment {last} of {}, with {} tasks",
            text(&extent["journalTime"]),
            HumanCount(integer(&extent["taskCount"]))
        ),
    };
    let payloads = match store {
        BlobStore::Kept => "",
        BlobStore::New => "; every payload above 4 KiB, every model and every upload that is not in the new blob store",
    };
    format!(
        "etcd holds {left}. A restore gives up for good whatever was acknowledged after that: submits, results, \
         cancellations and changes of models; tasks that ended since run again{payloads}"
    )
}

fn done(answer: &Value, store: BlobStore) -> String {
    let blobs = match store {
        BlobStore::Kept => {
            "The blob store stays as it is: it keeps the marker of the incarnation in which it was made. Services that \
             run go on by themselves."
        }
        BlobStore::New => {
            "Now give every service the same new and empty blob store, and start all of them again: the first one marks it."
        }
    };
    format!(
        "The mesh goes on after segment {} as incarnation {}; what was seen of {} counts no more.\n{blobs}",
        text(&answer["lastSegment"]),
        text(&answer["incarnation"]),
        text(&answer["incarnationBefore"])
    )
}

fn api_error(error: &RestoreError, cluster: &str) -> ApiError {
    match error {
        RestoreError::NoMesh => no_mesh(cluster),
        RestoreError::Led(leader) => ApiError::new(Reason::LeaderPresent, error.to_string())
            .with("leader", leader.instance.as_str())
            .with("epoch", leader.epoch.0.to_string()),
        RestoreError::Overtaken(_) => ApiError::new(Reason::OutcomeUnknown, error.to_string()),
        RestoreError::Etcd(error) => error.api_error(),
    }
}

fn no_mesh(cluster: &str) -> ApiError {
    let message = format!("etcd holds no mesh called {cluster:?}; name it with --cluster");
    ApiError::new(Reason::ConfigInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_described_before_it_is_accepted() {
        let extent = json!({"lastSegment": "12", "journalTime": "2026-11-30T10:00:00Z", "taskCount": "1200"});
        let kept = loss(&extent, BlobStore::Kept);
        for part in [
            "segment 12 of 2026-11-30T10:00:00Z",
            "1,200 tasks",
            "submits, results",
            "run again",
        ] {
            assert!(kept.contains(part), "{part}: {kept}");
        }
        assert!(!kept.contains("blob store"), "{kept}");
        assert!(loss(&extent, BlobStore::New).contains("payload"), "{kept}");
        assert!(loss(&json!({"lastSegment": "0"}), BlobStore::Kept).contains("no task at all"));
    }

    #[test]
    fn a_restore_says_how_to_go_on() {
        let answer = json!({"incarnationBefore": "one", "incarnation": "two", "lastSegment": "12"});
        assert!(done(&answer, BlobStore::Kept).contains("stays as it is"));
        assert!(done(&answer, BlobStore::New).contains("start all of them again"));
    }
}
