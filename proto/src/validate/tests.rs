//! The rules in the contract hold.

use super::*;
use crate::task::v1 as task;

fn fields(name: &str, message: &impl Message) -> Vec<String> {
    match check_typed(name, message) {
        Ok(()) => Vec::new(),
        Err(error) => {
            assert_eq!(error.reason, Reason::FieldInvalid, "{error}");
            error.violations.into_iter().map(|violation| violation.field).collect()
        }
    }
}

#[test]
fn good_messages_pass() {
    let request = task::SubmitTaskRequest {
        kind: "echo".into(),
        ..Default::default()
    };
    assert!(fields("lepton.task.v1.SubmitTaskRequest", &request).is_empty());
    assert!(fields("lepton.task.v1.ListTasksRequest", &task::ListTasksRequest::default()).is_empty());
    let push = crate::model::v1::PushModelRequest {
        name: "iris.v-1".into(),
        ..Default::default()
    };
    assert!(fields("lepton.model.v1.PushModelRequest", &push).is_empty());
}

#[test]
fn every_broken_rule_is_named() {
    let retry = Some(task::RetryPolicy {
        max_attempts: Some(0),
        ..Default::default()
    });
    let request = task::SubmitTaskRequest {
        priority: 6,
        request_id: "x".repeat(129),
        retry,
        ..Default::default()
    };
    let broken = fields("lepton.task.v1.SubmitTaskRequest", &request);
    assert_eq!(broken, ["kind", "request_id", "priority", "retry.max_attempts"]);
    let list = task::ListTasksRequest {
        page_size: 1_001,
        state: 99,
        ..Default::default()
    };
    assert_eq!(fields("lepton.task.v1.ListTasksRequest", &list), ["page_size", "state"]);
    let push = crate::model::v1::PushModelRequest {
        name: "Iris".into(),
        ..Default::default()
    };
    assert_eq!(fields("lepton.model.v1.PushModelRequest", &push), ["name"]);
    let batch = task::BatchSubmitTasksRequest::default();
    assert_eq!(fields("lepton.task.v1.BatchSubmitTasksRequest", &batch), ["requests"]);
}
