//! The table of reasons is one to one, and statuses are the promised ones.

use super::*;
use std::collections::BTreeSet;

#[test]
fn names_are_unique_upper_snake_and_parse_back() {
    let names: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(names.len(), Reason::ALL.len());
    for reason in Reason::ALL {
        let name = reason.as_str();
        assert!(
            name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'),
            "{name}"
        );
        assert_eq!(name.parse::<Reason>().unwrap(), *reason);
    }
    assert!("NO_SUCH".parse::<Reason>().is_err());
}

#[test]
fn statuses_follow_the_surface() {
    let expected = [
        (Reason::InvalidJson, "INVALID_ARGUMENT", 400),
        (Reason::RequestTooLarge, "RESOURCE_EXHAUSTED", 413),
        (Reason::TaskNotFound, "NOT_FOUND", 404),
        (Reason::MethodNotAllowed, "UNIMPLEMENTED", 405),
        (Reason::TaskEnded, "FAILED_PRECONDITION", 400),
        (Reason::ModelInUse, "FAILED_PRECONDITION", 400),
        (Reason::ConsistencyUnsupported, "UNIMPLEMENTED", 501),
        (Reason::NoWorker, "UNAVAILABLE", 503),
        (Reason::JournalUnavailable, "UNAVAILABLE", 503),
        (Reason::AttemptSuperseded, "ALREADY_EXISTS", 409),
        (Reason::StaleEpoch, "ABORTED", 409),
        (Reason::QuotaExceeded, "RESOURCE_EXHAUSTED", 429),
    ];
    for (reason, status, http) in expected {
        assert_eq!((reason.code().name(), reason.http_status()), (status, http), "{reason}");
    }
}

#[test]
fn codes_are_numbered_as_in_grpc() {
    for (number, code) in Code::ALL.iter().enumerate() {
        assert_eq!(code.number(), number as i32);
        assert_eq!(Code::from_number(number as i32), Some(*code));
        assert_eq!(Code::from_name(code.name()), Some(*code));
    }
    assert_eq!(Code::from_number(17), None);
}

#[test]
fn faults_are_small_enough_to_return() {
    assert!(size_of::<ApiError>() <= 112, "{}", size_of::<ApiError>());
    let error = ApiError::field("kind", "empty")
        .with("a", "b")
        .quota("tenant:x", "full");
    assert_eq!(error.to_string(), "FIELD_INVALID: kind: empty");
    assert_eq!(error.violations.len(), 1);
}
