//! The transition table is sound, limits hold at their edges, and backoff is bounded.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::ids::Kind;
use crate::time::Timestamp;

#[test]
fn the_table_is_a_function_and_ends_are_final() {
    let keys: BTreeSet<_> = TABLE.iter().map(|(from, by, _)| (from, by)).collect();
    assert_eq!(keys.len(), TABLE.len(), "a state and a step lead to one state");
    for (from, by, to) in TABLE {
        assert!(!from.is_final());
        assert_eq!(from.after(*by), Ok(*to));
    }
    for state in State::ALL.iter().filter(|state| state.is_final()) {
        for (_, by, _) in TABLE {
            assert_eq!(
                state.after(*by),
                Err(IllegalMove {
                    from: *state,
                    step: *by
                })
            );
        }
    }
    let reached: BTreeSet<_> = TABLE.iter().map(|(_, _, to)| *to).collect();
    assert!(
        State::ALL
            .iter()
            .all(|state| *state == State::Blocked || reached.contains(state))
    );
}

/// Makes one field of a spec break its rule.
type Break = fn(&mut Spec);

fn spec() -> Spec {
    Spec::new(Kind::new("echo"), Payload::json("{}"))
}

#[test]
fn a_spec_at_its_limits_passes_and_one_beyond_names_the_field() {
    let mut at_limit = spec();
    at_limit.kind = Kind::new("k".repeat(64));
    at_limit.input = Payload::binary(vec![0; 4_096]);
    at_limit.timeout = Some(Spec::TIMEOUT_MAX);
    at_limit.labels = (0..64).map(|n| (format!("{n:063}"), "v".repeat(255))).collect();
    at_limit.requirements = (0..32).map(|n| (format!("{n:063}"), "v".repeat(255))).collect();
    at_limit.check().unwrap();

    let beyond: [(&str, Break); 12] = [
        ("kind", |spec| spec.kind = Kind::new("")),
        ("kind", |spec| spec.kind = Kind::new("Echo")),
        ("input", |spec| spec.input = Payload::json(vec![b' '; 4_097])),
        ("timeout", |spec| spec.timeout = Some(Duration::ZERO)),
        ("timeout", |spec| spec.timeout = Some(Duration::from_nanos(1))),
        ("not_before", |spec| {
            spec.not_before = Some(Timestamp::from_micros(5));
            spec.deadline = Some(Timestamp::from_micros(5));
        }),
        ("retry.max_backoff", |spec| spec.retry.max_backoff = Duration::MAX),
        ("retry.max_attempts", |spec| spec.retry.max_attempts = 0),
        ("retry.initial_backoff", |spec| spec.retry.max_backoff = Duration::ZERO),
        ("retry.multiplier_percent", |spec| spec.retry.multiplier_percent = 99),
        ("labels", |spec| spec.labels = [(String::new(), String::new())].into()),
        ("requirements", |spec| {
            spec.requirements = [("gpu".to_owned(), "v".repeat(256))].into()
        }),
    ];
    for (field, break_it) in beyond {
        let mut broken = spec();
        break_it(&mut broken);
        let error = broken.check().unwrap_err();
        assert_eq!(
            (error.reason, error.violations[0].field.as_str()),
            (Reason::FieldInvalid, field)
        );
    }
}

#[test]
fn large_payloads_belong_into_the_blob_store() {
    let content = Content::Blob {
        digest: ContentDigest([0; 32]),
        size: 1 << 40,
    };
    let payload = Payload {
        encoding: Encoding::Binary,
        content,
    };
    payload.check("input").unwrap();
    assert_eq!((payload.size(), payload.is_blob()), (1 << 40, true));
    assert_eq!((Priority::new(0), Priority::new(6)), (None, None));
    assert_eq!(Priority::default().get(), 3);
}

#[test]
fn backoff_grows_to_its_maximum() {
    let policy = RetryPolicy {
        max_backoff: Duration::from_secs(5),
        ..RetryPolicy::default()
    };
    let within = |delay: Duration, centre: u64| {
        let centre = Duration::from_millis(centre);
        assert!(
            delay >= centre * 8 / 10 && delay <= centre * 12 / 10,
            "{delay:?} is not near {centre:?}"
        );
    };
    for (attempt, centre) in [
        (1, 200),
        (2, 400),
        (3, 800),
        (4, 1_600),
        (5, 3_200),
        (6, 5_000),
        (1_000, 5_000),
    ] {
        within(backoff(&policy, TaskId::from_u128(7), attempt), centre);
    }
    let spread: BTreeSet<_> = (0..100)
        .map(|task| backoff(&policy, TaskId::from_u128(task), 1))
        .collect();
    assert!(
        spread.len() > 50,
        "tasks that fail together come back apart: {}",
        spread.len()
    );
}

proptest! {
    #[test]
    fn backoff_is_bounded_for_every_policy(
        (initial, max, percent) in (any::<u32>(), any::<u32>(), any::<u32>()),
        (task, attempt) in (any::<u128>(), any::<u32>()),
    ) {
        let policy = RetryPolicy {
            max_attempts: 3,
            initial_backoff: Duration::from_millis(initial.into()),
            max_backoff: Duration::from_millis(max.into()),
            multiplier_percent: percent.max(100),
        };
        let delay = backoff(&policy, TaskId::from_u128(task), attempt);
        prop_assert!(delay <= policy.max_backoff * 12 / 10);
        prop_assert_eq!(delay, backoff(&policy, TaskId::from_u128(task), attempt));
    }

    #[test]
    fn shortened_errors_fit_an_event(reason in ".{0,200}", message in ".{0,3000}") {
        let error = TaskError { code: Code::Internal, reason, message: message.repeat(3) }.shortened();
        prop_assert!(error.reason.len() <= TaskError::REASON_BYTES_MAX);
        prop_assert!(error.message.len() <= TaskError::MESSAGE_BYTES_MAX);
    }
}
