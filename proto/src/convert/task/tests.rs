//! Submits become submissions, tasks become what clients see.

use super::*;
use crate::convert::arbitrary;
use lepton_domain::reason::Reason;
use proptest::prelude::*;
use std::time::Duration;

fn envelope() -> Envelope {
    Envelope {
        id: TaskId::v7(1_700_000_000_000, 42),
        tenant: "default".into(),
        request_id: "r-1".into(),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        input_digest: sha256(b"{}"),
    }
}

fn request() -> wire::SubmitTaskRequest {
    wire::SubmitTaskRequest {
        kind: "echo".into(),
        ..Default::default()
    }
}

fn submit(request: &wire::SubmitTaskRequest) -> Result<Submission, ApiError> {
    submission(request, envelope(), Payload::json("{}"))
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

#[test]
fn absent_options_take_their_defaults() {
    let submission = submit(&request()).unwrap();
    assert_eq!(submission.spec, Spec::new("echo".into(), Payload::json("{}")));
    assert_eq!(submission.id, envelope().id);
    assert_eq!(submission.request_id.as_str(), "r-1");
}

#[test]
fn one_bound_of_the_backoff_moves_the_other() {
    let with = |initial_backoff, max_backoff| {
        let retry = wire::RetryPolicy {
            initial_backoff,
            max_backoff,
            ..Default::default()
        };
        submit(&wire::SubmitTaskRequest {
            retry: Some(retry),
            ..request()
        })
        .map(|it| it.spec.retry)
    };
    assert_eq!(with(seconds(60), None).unwrap().max_backoff, Duration::from_secs(60));
    assert_eq!(with(None, seconds(0)).unwrap().initial_backoff, Duration::ZERO);
    assert_eq!(with(None, None).unwrap(), RetryPolicy::default());
    assert_eq!(
        with(seconds(9), seconds(8)).unwrap_err().violations[0].field,
        "retry.initial_backoff"
    );
}

#[test]
fn wrong_fields_are_named() {
    let field = |request: wire::SubmitTaskRequest| {
        let error = submit(&request).unwrap_err();
        assert_eq!(error.reason, Reason::FieldInvalid);
        error.violations[0].field.clone()
    };
    let late = prost_types::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    };
    let odd = prost_types::Timestamp { seconds: 1, nanos: -1 };
    assert_eq!(
        field(wire::SubmitTaskRequest {
            kind: String::new(),
            ..request()
        }),
        "kind"
    );
    assert_eq!(
        field(wire::SubmitTaskRequest {
            priority: 6,
            ..request()
        }),
        "priority"
    );
    assert_eq!(
        field(wire::SubmitTaskRequest {
            priority: 259,
            ..request()
        }),
        "priority"
    );
    assert_eq!(
        field(wire::SubmitTaskRequest {
            deadline: Some(late),
            ..request()
        }),
        "deadline"
    );
    assert_eq!(
        field(wire::SubmitTaskRequest {
            not_before: Some(odd),
            ..request()
        }),
        "not_before"
    );
    assert_eq!(
        field(wire::SubmitTaskRequest {
            timeout: seconds(-1),
            ..request()
        }),
        "timeout"
    );
    assert_eq!(
        field(wire::SubmitTaskRequest {
            timeout: seconds(i64::MAX),
            ..request()
        }),
        "timeout"
    );
}

#[test]
fn times_that_clients_compute_anew_make_no_other_content() {
    let digest = |request: &wire::SubmitTaskRequest| submit(request).unwrap().content_digest;
    let not_before = Some(prost_types::Timestamp {
        seconds: 2_000_000_000,
        nanos: 0,
    });
    let later = wire::SubmitTaskRequest {
        not_before,
        ..request()
    };
    assert_eq!(digest(&later), digest(&request()));
}

#[test]
fn the_digest_tells_contents_apart() {
    let digest = |request: &wire::SubmitTaskRequest| submit(request).unwrap().content_digest;
    let base = digest(&request());
    let deadline = Some(prost_types::Timestamp {
        seconds: 2_000_000_000,
        nanos: 0,
    });
    let traced = Envelope {
        id: TaskId::MIN,
        traceparent: None,
        ..envelope()
    };
    assert_eq!(digest(&wire::SubmitTaskRequest { deadline, ..request() }), base);
    assert_eq!(
        digest(&wire::SubmitTaskRequest {
            priority: 3,
            ..request()
        }),
        base
    );
    assert_eq!(
        submission(&request(), traced, Payload::json("{}"))
            .unwrap()
            .content_digest,
        base
    );
    let others = [
        wire::SubmitTaskRequest {
            kind: "analyze".into(),
            ..request()
        },
        wire::SubmitTaskRequest {
            priority: 1,
            ..request()
        },
        wire::SubmitTaskRequest {
            timeout: seconds(1),
            ..request()
        },
        wire::SubmitTaskRequest {
            labels: [("a".into(), "b".into())].into(),
            ..request()
        },
        wire::SubmitTaskRequest {
            requirements: [("a".into(), "b".into())].into(),
            ..request()
        },
        wire::SubmitTaskRequest {
            run_once: true,
            ..request()
        },
    ];
    let mut digests: Vec<_> = others.iter().map(digest).collect();
    let other = Envelope {
        input_digest: sha256(b"[]"),
        ..envelope()
    };
    for (envelope, input) in [(other, Payload::json("[]")), (envelope(), Payload::binary("{}"))] {
        digests.push(submission(&request(), envelope, input).unwrap().content_digest);
    }
    digests.extend([base]);
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 9);
}

#[test]
fn the_digest_is_the_same_for_content_in_the_blob_store() {
    let blob = |digest| Payload {
        encoding: Encoding::Json,
        content: Content::Blob { digest, size: 2 },
    };
    let inline = submit(&request()).unwrap().content_digest;
    assert_eq!(
        submission(&request(), envelope(), blob(sha256(b"{}")))
            .unwrap()
            .content_digest,
        inline
    );
    let known = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    assert_eq!(sha256(b"{}").to_string(), known);
}

#[test]
fn inputs_become_canonical() {
    let json = value::to_value(br#"{"b": 1.0, "a": [true, null]}"#).unwrap();
    let payload = |payload| input(&wire::SubmitTaskRequest { payload, ..request() }).unwrap();
    let expected = (Encoding::Json, Bytes::from_static(br#"{"a":[true,null],"b":1}"#));
    assert_eq!(payload(Some(wire::submit_task_request::Payload::Input(json))), expected);
    let binary = Bytes::from_static(&[0xff, 0]);
    let sent = wire::submit_task_request::Payload::InputBytes(binary.clone());
    assert_eq!(payload(Some(sent)), (Encoding::Binary, binary));
    assert_eq!(payload(None), (Encoding::Json, Bytes::from_static(b"null")));
}

fn running() -> Task {
    let submission = submit(&request()).unwrap();
    Task {
        id: submission.id,
        tenant: submission.tenant,
        request_id: submission.request_id,
        content_digest: submission.content_digest,
        spec: submission.spec,
        state: State::Running,
        attempts: 2,
        failures: 1,
        losses: 0,
        attempt: Some(Attempt {
            number: 2,
            worker: "w1".into(),
            started: Timestamp::from_micros(3_000_000),
        }),
        retry_at: None,
        output: None,
        error: None,
        created: Timestamp::from_micros(1_500_001),
        started: Some(Timestamp::from_micros(2_000_000)),
        ended: None,
        created_seq: lepton_domain::ids::Seq(3),
        version: "7-9".parse().unwrap(),
        traceparent: submission.traceparent,
        retry_of: None,
        history: None,
    }
}

#[test]
fn clients_see_the_task() {
    let wire = to_wire(&running(), &Resolved::default()).unwrap();
    assert_eq!(wire.state(), wire::State::Running);
    assert_eq!((wire.worker.as_str(), wire.attempts), ("w1", 2));
    assert_eq!(wire.trace_id, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(
        wire.create_time.unwrap(),
        prost_types::Timestamp {
            seconds: 1,
            nanos: 500_001_000
        }
    );
    assert_eq!(wire.version.unwrap(), wire::TaskVersion { epoch: 7, seq: 9 });
    assert!(wire.result.is_none() && wire.end_time.is_none() && wire.error.is_none());
    let ended = Task {
        state: State::Succeeded,
        ..running()
    };
    assert_eq!(
        to_wire(&ended, &Resolved::default()).unwrap().worker,
        "w1",
        "kept after the end"
    );
}

#[test]
fn blobs_must_be_resolved() {
    let content = Content::Blob {
        digest: sha256(b"[1]"),
        size: 3,
    };
    let task = Task {
        output: Some(Payload {
            encoding: Encoding::Json,
            content,
        }),
        ..running()
    };
    let error = to_wire(&task, &Resolved::default()).unwrap_err();
    assert_eq!((error.field, error.problem), ("output", Problem::Unresolved));
    let resolved = Resolved {
        output: Some(Bytes::from_static(b"[1]")),
        input: None,
    };
    let Some(wire::task::Result::Output(output)) = to_wire(&task, &resolved).unwrap().result else {
        panic!("binary")
    };
    assert_eq!(value::from_value(&output).unwrap(), "[1]");
    let broken = Resolved {
        output: Some(Bytes::from_static(b"[1")),
        input: None,
    };
    assert!(matches!(
        to_wire(&task, &broken).unwrap_err().problem,
        Problem::NotJson(_)
    ));
}

#[test]
fn trace_ids_are_taken_from_well_formed_contexts_only() {
    assert_eq!(
        trace_id("00-00000000000000000000000000000000-b7ad6b7169203331-01"),
        None
    );
    assert_eq!(
        trace_id("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"),
        None
    );
    assert_eq!(trace_id("00-0af7-b7ad6b7169203331-01"), None);
    assert_eq!(trace_id("nonsense"), None);
    assert_eq!(trace_id(""), None);
}

proptest! {
    #[test]
    fn no_task_panics(task in arbitrary::task(), bytes in any::<Vec<u8>>()) {
        let bytes = Bytes::from(bytes);
        let _ = to_wire(&task, &Resolved { input: Some(bytes.clone()), output: Some(bytes) });
    }
}
