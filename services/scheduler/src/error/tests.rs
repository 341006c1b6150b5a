//! Each refusal has its reason on the wire.

use lepton_domain::ids::{Epoch, InstanceId, TaskId};
use lepton_domain::time::Timestamp;

use super::*;

#[test]
fn a_refusal_carries_its_reason_and_details() {
    let away = ApiError::from(CallError::JournalUnavailable);
    assert_eq!(
        (away.reason, away.retry_after),
        (Reason::JournalUnavailable, Some(JOURNAL_RETRY))
    );
    assert_eq!(ApiError::from(CallError::Resigned).reason, Reason::NotLeader);
    assert_eq!(ApiError::from(CallError::TooManyWatchers).reason, Reason::Overloaded);
    let absent = CallError::Rejected(Rejection::TaskNotFound(TaskId::from_u128(1)));
    assert_eq!(ApiError::from(absent).reason, Reason::TaskNotFound);
    let missing = ApiError::from(CallError::missing("outcome"));
    assert_eq!(
        (missing.reason, missing.violations[0].field.as_str()),
        (Reason::FieldInvalid, "outcome")
    );
    for hello in [CallError::HelloMissing, CallError::HelloRepeated] {
        assert_eq!(ApiError::from(hello).reason, Reason::FieldInvalid);
    }
}

#[test]
fn a_standby_names_the_leader() {
    let leader = Leader {
        instance: InstanceId::new("scheduler-2"),
        epoch: Epoch(9),
        since: Timestamp::default(),
    };
    let elsewhere = ApiError::from(CallError::NotLeader(Some(leader)));
    assert_eq!(elsewhere.reason, Reason::NotLeader);
    assert_eq!(elsewhere.metadata["leader"], "scheduler-2");
    assert_eq!(elsewhere.metadata["epoch"], "9");
    assert!(ApiError::from(CallError::NotLeader(None)).metadata.is_empty());
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let directory = PathBuf::from("/nowhere");
    let error = io::Error::from(io::ErrorKind::PermissionDenied);
    let api_error = ApiError::from(RunError::DataDir { directory, error });
    assert_eq!(api_error.reason, Reason::DataDirNotWritable);
    assert!(api_error.message.starts_with("/nowhere: ") && api_error.message.contains("--data-dir"));
}
