//! Random domain values for round trips.
//!
//! Promises: every variant and every optional field occurs. Leaves legality to the domain: a conversion must carry
//! even what no ledger would hold.

use std::time::Duration;

use bytes::Bytes;
use lepton_domain::ids::{AttemptId, ContentDigest, Epoch, Seq, TaskId, Version};
use lepton_domain::ledger::{Event, Submission};
use lepton_domain::reason::Code;
use lepton_domain::task::{
    Attempt, AttemptEnd, Content, Encoding, History, PastAttempt, Payload, Priority, RetryPolicy, Spec, State, Task,
    TaskError,
};
use lepton_domain::time::Timestamp;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

fn task_id() -> impl Strategy<Value = TaskId> {
    any::<u128>().prop_map(TaskId::from_u128)
}

fn digest() -> impl Strategy<Value = ContentDigest> {
    any::<[u8; 32]>().prop_map(ContentDigest)
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_micros)
}

fn micros() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_micros)
}

fn attempt_id() -> impl Strategy<Value = AttemptId> {
    (task_id(), any::<u32>()).prop_map(|(task, number)| AttemptId { task, number })
}

pub(super) fn payload() -> impl Strategy<Value = Payload> {
    let encoding = prop_oneof![Just(Encoding::Json), Just(Encoding::Binary)];
    let inline = vec(any::<u8>(), 0..64).prop_map(|bytes| Content::Inline(Bytes::from(bytes)));
    let blob = (digest(), any::<u64>()).prop_map(|(digest, size)| Content::Blob { digest, size });
    (encoding, prop_oneof![inline, blob]).prop_map(|(encoding, content)| Payload { encoding, content })
}

fn error() -> impl Strategy<Value = TaskError> {
    let code = (0..=16_i32).prop_map(|number| Code::from_number(number).expect("gRPC has 17 codes"));
    (code, "[A-Z_]{0,12}", ".{0,12}").prop_map(|(code, reason, message)| TaskError { code, reason, message })
}

fn retry() -> impl Strategy<Value = RetryPolicy> {
    (any::<u32>(), micros(), micros(), any::<u32>()).prop_map(|(max_attempts, initial, max, multiplier_percent)| {
        RetryPolicy {
            max_attempts,
            initial_backoff: initial,
            max_backoff: max,
            multiplier_percent,
        }
    })
}

fn spec() -> impl Strategy<Value = Spec> {
    let labels = || btree_map(".{0,4}", ".{0,4}", 0..4);
    let when = (option::of(time()), option::of(micros()), option::of(time()));
    (
        ".{0,8}",
        payload(),
        1..=5_u8,
        when,
        retry(),
        (labels(), labels()),
        any::<bool>(),
    )
        .prop_map(
            |(kind, input, priority, (deadline, timeout, not_before), retry, (requirements, labels), run_once)| Spec {
                kind: kind.into(),
                input,
                priority: Priority::new(priority).expect("1 to 5"),
                deadline,
                timeout,
                not_before,
                retry,
                requirements,
                labels,
                run_once,
            },
        )
}

fn submission() -> impl Strategy<Value = Submission> {
    let names = (".{0,8}", ".{0,8}");
    let options = (option::of(".{1,8}"), option::of(task_id()));
    (task_id(), names, digest(), spec(), options).prop_map(
        |(id, (tenant, request_id), content_digest, spec, (traceparent, retry_of))| Submission {
            id,
            tenant: tenant.into(),
            request_id: request_id.into(),
            content_digest,
            spec,
            traceparent: traceparent.map(Into::into),
            retry_of,
        },
    )
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let worker = || ".{0,8}".prop_map(|text: String| text.into());
    prop_oneof![
        worker().prop_map(|leader| Event::EpochStarted { leader }),
        any::<u32>().prop_map(|format| Event::FormatActivated { format }),
        submission().prop_map(|submission| Event::Submitted(Box::new(submission))),
        (attempt_id(), worker()).prop_map(|(attempt, worker)| Event::Started { attempt, worker }),
        (attempt_id(), worker(), payload()).prop_map(|(attempt, worker, output)| Event::Succeeded {
            attempt,
            worker,
            output
        }),
        (attempt_id(), worker(), error(), time(), option::of(payload())).prop_map(
            |(attempt, worker, error, retry_at, checkpoint)| Event::AttemptFailed {
                attempt,
                worker,
                error,
                retry_at,
                checkpoint
            }
        ),
        (attempt_id(), worker(), any::<bool>(), option::of(payload())).prop_map(
            |(attempt, worker, alone, checkpoint)| Event::AttemptLost {
                attempt,
                worker,
                alone,
                checkpoint
            }
        ),
        (attempt_id(), worker(), option::of(payload())).prop_map(|(attempt, worker, checkpoint)| {
            Event::AttemptReturned {
                attempt,
                worker,
                checkpoint,
            }
        }),
        (task_id(), option::of(attempt_id()), error()).prop_map(|(task, attempt, error)| Event::Failed {
            task,
            attempt,
            error
        }),
        (task_id(), ".{0,8}").prop_map(|(task, message)| Event::Cancelled { task, message }),
        task_id().prop_map(|task| Event::Expired { task }),
        task_id().prop_map(|task| Event::Purged { task }),
        (".{0,8}", ".{0,8}").prop_map(|(tenant, kind)| Event::KindPaused {
            tenant: tenant.into(),
            kind: kind.into()
        }),
        (".{0,8}", ".{0,8}").prop_map(|(tenant, kind)| Event::KindResumed {
            tenant: tenant.into(),
            kind: kind.into()
        }),
    ]
}

fn attempt() -> impl Strategy<Value = Attempt> {
    (any::<u32>(), ".{0,8}", time()).prop_map(|(number, worker, started)| Attempt {
        number,
        worker: worker.into(),
        started,
    })
}

fn past_attempt() -> impl Strategy<Value = PastAttempt> {
    let end = prop_oneof![
        error().prop_map(AttemptEnd::Failed),
        Just(AttemptEnd::Lost),
        Just(AttemptEnd::Returned)
    ];
    (attempt(), time(), end).prop_map(|(attempt, ended, end)| PastAttempt { attempt, ended, end })
}

fn history() -> impl Strategy<Value = History> {
    (vec(past_attempt(), 0..4), any::<u32>(), option::of(payload())).prop_map(|(attempts, lone_losses, checkpoint)| {
        History {
            attempts,
            lone_losses,
            checkpoint,
        }
    })
}

pub(super) fn task() -> impl Strategy<Value = Task> {
    let counts = (any::<u32>(), any::<u32>(), any::<u32>(), option::of(history()));
    let results = (
        option::of(attempt()),
        option::of(time()),
        option::of(payload()),
        option::of(error()),
    );
    let times = (time(), option::of(time()), option::of(time()));
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>());
    (
        submission(),
        proptest::sample::select(State::ALL),
        counts,
        results,
        times,
        numbers,
    )
        .prop_map(
            |(submission, state, counts, (attempt, retry_at, output, error), times, numbers)| Task {
                id: submission.id,
                tenant: submission.tenant,
                request_id: submission.request_id,
                content_digest: submission.content_digest,
                spec: submission.spec,
                state,
                attempts: counts.0,
                failures: counts.1,
                losses: counts.2,
                attempt,
                retry_at,
                output,
                error,
                created: times.0,
                started: times.1,
                ended: times.2,
                created_seq: Seq(numbers.0),
                version: Version {
                    epoch: Epoch(numbers.1),
                    seq: Seq(numbers.2),
                },
                traceparent: submission.traceparent,
                retry_of: submission.retry_of,
                history: counts.3.map(Box::new),
            },
        )
}
