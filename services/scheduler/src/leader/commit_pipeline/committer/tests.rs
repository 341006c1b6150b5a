//! Fenced writes end the epoch, refused ones are repeated, and maintenance that fails costs nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use lepton_coordination::etcd::EtcdError;
use lepton_domain::ids::Seq;
use lepton_domain::ledger::StateDigest;
use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::time::Timestamp;

use super::*;

/// Answers of the scripted writer, in order, and the calls that it received.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Result<(), AppendError>>>>,
    calls: Arc<Mutex<Vec<&'static str>>>,
}

impl Script {
    fn of(answers: impl IntoIterator<Item = Result<(), AppendError>>) -> Self {
        let script = Self::default();
        script.answers.lock().unwrap().extend(answers);
        script
    }

    fn answer(&self, call: &'static str) -> Result<(), AppendError> {
        self.calls.lock().unwrap().push(call);
        self.answers.lock().unwrap().pop_front().expect("one more answer")
    }

    fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

impl JournalWriter for Script {
    async fn append(&mut self, _draft: Draft) -> Result<(), AppendError> {
        self.answer("append")
    }

    async fn settle(&mut self) -> Result<(), AppendError> {
        self.answer("settle")
    }

    async fn confirm(&mut self) -> Result<(), AppendError> {
        self.answer("confirm")
    }

    async fn swap_manifest(&mut self, snapshot: SnapshotRef) -> Result<(), SwapError> {
        // A snapshot beyond the journal does not fit it.
        if snapshot.segment > 9 {
            return Err(SwapError::NotCommitted {
                snapshot: snapshot.segment,
                committed: 9,
            });
        }
        Ok(self.answer("swap")?)
    }

    async fn sweep_snapshots(&mut self) -> Result<(), AppendError> {
        self.answer("sweep")
    }

    async fn trim(&mut self, _segments: Range<u64>) -> Result<(), TrimError> {
        Ok(self.answer("trim")?)
    }

    fn end(&self) -> JournalEnd {
        JournalEnd {
            position: Position::default(),
            mark: Mark::default(),
            growth: (0, 0),
        }
    }
}

fn draft() -> WriteRequest {
    WriteRequest::Append(Draft {
        format: 1,
        time: Timestamp::default(),
        first_seq: Seq(1),
        state_digest: StateDigest::EMPTY,
        events: Vec::new(),
    })
}

fn refused() -> Result<(), AppendError> {
    Err(AppendError::Etcd(EtcdError::Space))
}

fn fenced() -> Result<(), AppendError> {
    Err(AppendError::Fenced {
        definitely_not_committed: true,
    })
}

/// The end of a request whose writer answers like this, and the calls that it took.
async fn outcome(
    request: WriteRequest,
    answers: impl IntoIterator<Item = Result<(), AppendError>>,
) -> (Result<WriteOutcome, AppendError>, Vec<&'static str>) {
    let mut script = Script::of(answers);
    let outcome = write(&mut script, request).await;
    assert!(script.answers.lock().unwrap().is_empty(), "every answer was wanted");
    (outcome, script.calls())
}

fn swap(segment: u64) -> WriteRequest {
    WriteRequest::Swap(SnapshotRef {
        segment,
        ..SnapshotRef::default()
    })
}

#[tokio::test(start_paused = true)]
async fn a_write_that_etcd_refuses_is_settled_until_it_is_decided() {
    let written = outcome(draft(), [refused(), refused(), Ok(())]).await;
    assert_eq!(
        written,
        (Ok(WriteOutcome::Appended), vec!["append", "settle", "settle"])
    );
    let written = outcome(draft(), [refused(), fenced()]).await;
    assert_eq!(written.0, fenced().map(|()| WriteOutcome::Appended));
    let written = outcome(swap(3), [refused(), Ok(())]).await;
    assert_eq!(written, (Ok(WriteOutcome::Swapped), vec!["swap", "settle"]));
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_is_left_alone_for_a_while() {
    let clock = lepton_core::clock::Clock::system();
    outcome(draft(), [refused(), refused(), Ok(())]).await.0.unwrap();
    let short = clock.monotonic();
    assert!(
        short >= 3 * REFUSED_RETRY_MIN,
        "a pause, and one twice as long: {short:?}"
    );
    outcome(draft(), (0..9).map(|_| refused()).chain([Ok(())]))
        .await
        .0
        .unwrap();
    let long = clock.monotonic() - short;
    assert!(
        long > 7 * REFUSED_RETRY_MAX && long < 10 * REFUSED_RETRY_MAX,
        "{long:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_proof_is_asked_for_again() {
    let proved = outcome(WriteRequest::Confirm, [refused(), Ok(())]).await;
    assert_eq!(proved, (Ok(WriteOutcome::Confirmed), vec!["confirm", "confirm"]));
}

#[tokio::test]
async fn a_fenced_write_of_any_kind_ends_the_epoch() {
    for request in [
        draft(),
        WriteRequest::Confirm,
        swap(3),
        WriteRequest::Sweep,
        WriteRequest::Trim(1..3),
    ] {
        let (ended, calls) = outcome(request, [fenced()]).await;
        assert_eq!((ended.err(), calls.len()), (fenced().err(), 1), "{calls:?}");
    }
}

#[tokio::test]
async fn maintenance_that_etcd_refuses_is_given_up() {
    let swept = outcome(WriteRequest::Sweep, [refused()]).await.0;
    assert_eq!(swept, Ok(WriteOutcome::Swept));
    let trimmed = outcome(WriteRequest::Trim(1..3), [refused()]).await.0;
    assert_eq!(trimmed, Ok(WriteOutcome::Trimmed { dropped: false }));
    let trimmed = outcome(WriteRequest::Trim(1..3), [Ok(())]).await.0;
    assert_eq!(trimmed, Ok(WriteOutcome::Trimmed { dropped: true }));
}

#[tokio::test]
async fn a_snapshot_that_does_not_fit_is_left_out() {
    assert_eq!(outcome(swap(10), []).await.0, Ok(WriteOutcome::Swapped));
}

#[tokio::test]
async fn each_request_gets_one_result_and_the_writer_ends_with_its_handle() {
    let script = Script::of([Ok(()), fenced()]);
    let mut committer = Committer::start(script.clone());
    committer.send(draft());
    let first = committer.result().await.unwrap();
    assert_eq!(first.outcome, WriteOutcome::Appended);
    committer.send(WriteRequest::Confirm);
    assert_eq!(committer.result().await.err(), fenced().err());
    assert_eq!(script.calls(), ["append", "confirm"]);
    drop(committer);
    tokio::task::yield_now().await;
    assert_eq!(Arc::strong_count(&script.calls), 1, "nobody holds the writer");
}

#[test]
fn an_archive_that_fails_does_not_end_the_epoch() {
    let api_error = ApiError::new(Reason::BlobUnavailable, "away");
    let error = TrimError::Archive {
        segment: 3,
        error: api_error,
    };
    assert!(matches!(
        trimmed(Err(error)),
        Ok(WriteOutcome::Trimmed { dropped: false })
    ));
}
