//! The JSON of a task against that of its message.

use lepton_domain::ids::{ContentDigest, Epoch, InstanceId, Seq, TaskId, Version};
use lepton_domain::reason::Code;
use lepton_domain::task::{Attempt, Spec, State, TaskError};

use super::*;

pub fn task(input: Payload) -> Task {
    let time = Timestamp::from_micros(1_700_000_000_123_456);
    Task {
        id: TaskId::v7(1_700_000_000_000, 7),
        tenant: "default".into(),
        request_id: "r\"1".into(),
        content_digest: ContentDigest([7; 32]),
        spec: Spec::new("echo".into(), input),
        state: State::Pending,
        attempts: 0,
        failures: 0,
        losses: 0,
        attempt: None,
        retry_at: None,
        output: None,
        error: None,
        created: time,
        started: None,
        ended: None,
        created_seq: Seq(4),
        version: Version {
            epoch: Epoch(9),
            seq: Seq(1 << 60),
        },
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        retry_of: None,
        history: None,
    }
}

fn assert_same(view: &View) {
    let message = view.to_wire().expect("resolved");
    let expected = proto_json::encode("lepton.task.v1.Task", &message).expect("printable");
    let json = view.to_json().expect("printable");
    assert_eq!(String::from_utf8_lossy(&json), String::from_utf8_lossy(&expected));
}

#[test]
fn the_json_is_that_of_the_message() {
    let mut pending = View {
        task: task(Payload::json(r#"{"a":[1,null,"x"]}"#)),
        progress: None,
        pending_reason: "waits for a \"slot\"".to_owned(),
        resolved: Some(Resolved::default()),
    };
    assert_same(&pending);
    pending.task.spec.labels.insert("b".into(), "ü".into());
    pending.task.state = State::Running;
    pending.task.attempts = 2;
    pending.task.started = Some(Timestamp::from_micros(1_700_000_001_000_000));
    pending.task.attempt = Some(Attempt {
        number: 2,
        worker: InstanceId::new("worker-1"),
        started: Timestamp::default(),
    });
    pending.task.error = Some(TaskError {
        code: Code::Internal,
        reason: "X".into(),
        message: "m".into(),
    });
    assert_same(&pending);
    pending.progress = Some(wire::Progress {
        attempt: 2,
        fraction: 0.5,
        figures: [("loss".to_owned(), 1e-9), ("epoch".to_owned(), 40.0)].into(),
        update_time: Some(timestamp(Timestamp::from_micros(1_700_000_001_500_000))),
    });
    assert_same(&pending);
    let json: serde_json::Value = serde_json::from_slice(&pending.to_json().expect("printable")).expect("JSON");
    assert_eq!(
        (&json["worker"], &json["progress"]["fraction"]),
        (&"worker-1".into(), &0.5.into())
    );
}

#[test]
fn binary_and_resolved_payloads_are_the_same_too() {
    let blob = Payload {
        encoding: Encoding::Json,
        content: Content::Blob {
            digest: ContentDigest([1; 32]),
            size: 2,
        },
    };
    let mut ended = task(Payload::binary(&b"\x00\xff"[..]));
    ended.output = Some(blob);
    ended.state = State::Succeeded;
    ended.ended = Some(Timestamp::from_micros(1_700_000_002_500_000));
    ended.traceparent = None;
    let unresolved = View {
        task: ended.clone(),
        progress: None,
        pending_reason: "waits for a \"slot\"".to_owned(),
        resolved: Some(Resolved::default()),
    };
    assert!(unresolved.to_json().is_err());
    assert_same(&View {
        task: ended,
        progress: None,
        pending_reason: "waits for a \"slot\"".to_owned(),
        resolved: Some(Resolved {
            input: None,
            output: Some(Bytes::from_static(b"[]")),
        }),
    });
}

#[test]
fn the_basic_view_has_neither_input_nor_output_and_needs_no_blob() {
    let blob = || Payload {
        encoding: Encoding::Json,
        content: Content::Blob {
            digest: ContentDigest([1; 32]),
            size: 1 << 20,
        },
    };
    let mut ended = task(blob());
    ended.output = Some(blob());
    ended.state = State::Succeeded;
    let view = View::basic(TaskSnapshot {
        task: ended,
        progress: None,
        pending_reason: String::new(),
    });
    assert_same(&view);
    let json: serde_json::Value = serde_json::from_slice(&view.to_json().expect("printable")).expect("JSON");
    assert_eq!((json.get("input"), json.get("output")), (None, None));
    assert_eq!(json["state"], "STATE_SUCCEEDED");
}
