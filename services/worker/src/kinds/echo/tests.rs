//! Echo returns its input, waits and fails as its options say.

use bytes::Bytes;
use lepton_core::clock::Clock;
use lepton_domain::ids::TaskId;
use tokio::time::timeout;

use super::*;
use crate::active_time::ActiveTimer;
use crate::progress::Progress;

fn input(json: &str, number: u32) -> Input {
    Input {
        attempt: AttemptId {
            task: TaskId::from_u128(7),
            number,
        },
        encoding: Encoding::Json,
        content: Bytes::copy_from_slice(json.as_bytes()),
        trace_id: String::new(),
        progress: Progress::new(Clock::system()).0,
        checkpoint: None,
        timer: ActiveTimer::default(),
    }
}

async fn run(json: &str, number: u32) -> Result<Output, Failure> {
    Echo.run(input(json, number), CancellationToken::new()).await
}

#[tokio::test]
async fn any_input_comes_back() {
    for json in [
        "null",
        "7",
        "[1,2,3]",
        "\"text\"",
        r#"{"a":{"delay_ms":"x"},"delay_ms":0}"#,
    ] {
        assert_eq!(run(json, 1).await.unwrap().content, json);
    }
    let bytes = Input {
        encoding: Encoding::Binary,
        ..input("{not json", 1)
    };
    let echoed = Echo.run(bytes, CancellationToken::new()).await.unwrap();
    assert_eq!(
        (echoed.encoding, echoed.content),
        (Encoding::Binary, Bytes::from_static(b"{not json"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_delay_takes_its_time() {
    let slow = run(r#"{"delay_ms":1500}"#, 1);
    tokio::pin!(slow);
    assert!(timeout(Duration::from_millis(1_400), &mut slow).await.is_err());
    assert!(timeout(Duration::from_millis(200), &mut slow).await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_next_attempt_waits_for_the_rest_of_a_delay_with_checkpoints() {
    let text = r#"{"delay_ms":2000,"checkpoint":true}"#;
    let clock = Clock::system();
    let (progress, reports) = Progress::new(clock);
    let first = Input {
        progress,
        ..input(text, 1)
    };
    let first = Echo.run(first, CancellationToken::new());
    assert!(
        timeout(Duration::from_millis(1_600), first).await.is_err(),
        "it is cut off"
    );
    let report = reports.borrow().clone().expect("it has reported");
    let next = Input {
        checkpoint: report.kept().cloned(),
        ..input(text, 2)
    };
    let begun = clock.monotonic();
    assert_eq!(Echo.run(next, CancellationToken::new()).await.unwrap().content, text);
    assert_eq!(
        clock.monotonic() - begun,
        Duration::from_millis(500),
        "1.5 s of the 2 s had passed"
    );
    let odd = Input {
        checkpoint: Some(Payload::json("[]")),
        ..input(text, 3)
    };
    let begun = clock.monotonic();
    assert!(Echo.run(odd, CancellationToken::new()).await.is_ok());
    assert_eq!(
        clock.monotonic() - begun,
        Duration::from_secs(2),
        "what cannot be read counts as none"
    );
}

#[tokio::test]
async fn the_first_attempts_fail_and_the_next_does_not() {
    for number in 1..=2 {
        let failure = run(r#"{"fail_times":2}"#, number).await.unwrap_err();
        assert!(
            failure.retryable && failure.error.reason == "HANDLER_FAILED",
            "{failure:?}"
        );
    }
    assert!(run(r#"{"fail_times":2}"#, 3).await.is_ok());
}

#[test]
fn a_rate_is_met_and_repeats() {
    let options = EchoOptions {
        fail_rate: Some(0.3),
        ..EchoOptions::default()
    };
    let fails = |task: u128| {
        options
            .fail_if_due(AttemptId {
                task: TaskId::from_u128(task),
                number: 1,
            })
            .is_err()
    };
    let failed = (0..10_000).filter(|task| fails(*task)).count();
    assert!((2_800..3_200).contains(&failed), "{failed}");
    assert!((0..100).all(|task| fails(task) == fails(task)));
    let always = EchoOptions {
        fail_rate: Some(1.0),
        ..EchoOptions::default()
    };
    assert!(
        always
            .fail_if_due(AttemptId {
                task: TaskId::from_u128(1),
                number: 9
            })
            .is_err()
    );
}

#[tokio::test]
async fn options_that_mean_nothing_are_refused_for_good() {
    for json in [
        r#"{"delay_ms":-1}"#,
        r#"{"delay_ms":"x"}"#,
        r#"{"fail_rate":1.5}"#,
        r#"{"fail_times":-1}"#,
    ] {
        let failure = run(json, 1).await.unwrap_err();
        assert!(
            !failure.retryable && failure.error.reason == "FIELD_INVALID",
            "{failure:?}"
        );
    }
}
