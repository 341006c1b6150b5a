//! Batches grow behind one write at a time, are closed at their limits, and release nothing before they have committed.

use lepton_domain::ids::{Seq, TaskId};
use lepton_domain::ledger::{Effect, Submission};
use lepton_domain::task::Payload;
use lepton_journal::append::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, Draft};
use tokio::sync::mpsc;

use super::pace::BUSY_EVENTS;
use super::*;
use crate::leader::fixtures::{at, ledger, submission, tuning};

struct Stage {
    pipeline: CommitPipeline,
    requests: mpsc::Receiver<WriteRequest>,
    ledger: Ledger,
}

impl Stage {
    fn new() -> Self {
        let (pipeline, requests) = CommitPipeline::detached(&tuning());
        let ledger = ledger([]);
        Self {
            pipeline,
            requests,
            ledger,
        }
    }

    /// Records an event with one effect that names its task.
    fn record(&mut self, number: u128) {
        self.add(number, submission(number));
    }

    /// Records an event of a few bytes.
    fn record_small(&mut self) {
        let leader = lepton_domain::ids::InstanceId::new("a");
        self.pipeline.open_batch(&mut self.ledger, Epoch(7), at(0).journal);
        self.pipeline.record(Event::EpochStarted { leader }, []);
    }

    fn add(&mut self, number: u128, submission: Box<Submission>) {
        let time = self.pipeline.batch_time().unwrap_or(at(0).journal);
        self.pipeline.open_batch(&mut self.ledger, Epoch(7), time);
        let effect = Effect::Enqueue(TaskId::from_u128(number));
        self.pipeline
            .record(Event::Submitted(submission), [Release::Effect(effect)]);
    }

    fn send(&mut self, millis: u64) -> WriteRequest {
        self.pipeline.send(at(millis).monotonic, self.ledger.digest(), None);
        self.requests.try_recv().expect("it was sent")
    }

    fn append(&mut self, millis: u64) -> Draft {
        match self.send(millis) {
            WriteRequest::Append(draft) => draft,
            other => panic!("{other:?}"),
        }
    }

    /// Ends the write in flight, and names the tasks whose effects it releases.
    fn complete(&mut self) -> Vec<u128> {
        let completed = self.pipeline.complete().expect("a write is in flight");
        let number = |release| match release {
            Release::Effect(Effect::Enqueue(task)) => task.as_u128(),
            _ => panic!("another release"),
        };
        completed.releases.into_iter().map(number).collect()
    }
}

#[test]
fn a_command_that_comes_alone_is_written_at_once() {
    let mut stage = Stage::new();
    stage.record(1);
    assert_eq!(stage.pipeline.pause(at(0).monotonic), None);
    assert_eq!(stage.append(0).events.len(), 1);
    stage.complete();
    stage.record(2);
    assert_eq!(stage.pipeline.pause(at(0).monotonic), None, "a small batch is no load");
}

#[test]
fn events_gather_behind_the_write_in_flight() {
    let mut stage = Stage::new();
    stage.record(1);
    let first = stage.append(0);
    stage.record(2);
    stage.record(3);
    assert!(stage.pipeline.is_writing() && stage.pipeline.has_batch());
    assert_eq!(stage.complete(), [1], "what was recorded later has not committed");
    let second = stage.append(1);
    assert_eq!((first.events.len(), second.events.len()), (1, 2));
    assert_eq!(stage.complete(), [2, 3]);
    assert!(!stage.pipeline.is_writing() && stage.pipeline.complete().is_none());
}

#[test]
fn a_batch_starts_where_the_ledger_is() {
    let mut stage = Stage::new();
    stage.record(1);
    let draft = stage.append(0);
    assert_eq!((draft.first_seq, draft.state_digest), (Seq(2), ledger([]).digest()));
    assert_eq!(draft.time, at(0).journal);
}

#[test]
fn under_load_appends_keep_their_distance() {
    let mut stage = Stage::new();
    for number in 0..=BUSY_EVENTS as u128 {
        stage.record(number + 1);
    }
    stage.append(10);
    assert_eq!(
        stage.pipeline.pause(at(10).monotonic),
        None,
        "one is in flight: nothing to wait for"
    );
    stage.complete();
    stage.record(1_000);
    assert_eq!(stage.pipeline.pause(at(11).monotonic), Some(Duration::from_millis(1)));
    assert_eq!(stage.pipeline.pause(at(12).monotonic), None);
    stage.pipeline.stop_pacing();
    assert_eq!(
        stage.pipeline.pause(at(10).monotonic),
        None,
        "a leader that resigns does not wait"
    );
}

#[test]
fn a_full_batch_does_not_wait_for_the_pace() {
    let mut stage = Stage::new();
    for number in 0..=BUSY_EVENTS as u128 {
        stage.record(number + 1);
    }
    stage.append(10);
    stage.complete();
    while stage.pipeline.has_room() {
        stage.record_small();
    }
    assert_eq!(stage.pipeline.pause(at(10).monotonic), None);
    let events = stage.append(10).events.len();
    assert!(events > BUSY_EVENTS && events <= BATCH_EVENTS_MAX, "{events}");
}

#[test]
fn a_batch_is_closed_at_its_bytes() {
    let mut stage = Stage::new();
    let piece = BATCH_BYTES_MAX / 4;
    let large = |number| {
        let mut large = submission(number);
        large.spec.input = Payload::json(format!("\"{}\"", "x".repeat(piece)));
        large
    };
    for number in 1..=3 {
        stage.add(number, large(number));
        assert!(stage.pipeline.has_room(), "{number} of 4");
    }
    stage.add(4, large(4));
    assert!(!stage.pipeline.has_room());
    assert_eq!(stage.append(0).events.len(), 4);
    assert!(stage.pipeline.has_room(), "the next batch is empty");
}

#[test]
fn without_events_the_epoch_is_proved() {
    let mut stage = Stage::new();
    assert!(matches!(stage.send(0), WriteRequest::Confirm));
    assert!(stage.complete().is_empty());
}

#[test]
fn a_copy_of_the_ledger_is_released_behind_its_batch() {
    let mut stage = Stage::new();
    stage.record(1);
    let frozen = Frozen::of(&stage.ledger);
    stage
        .pipeline
        .send(at(0).monotonic, stage.ledger.digest(), Some(frozen));
    let completed = stage.pipeline.complete().expect("a write is in flight");
    assert!(matches!(
        completed.releases[..],
        [Release::Effect(_), Release::Snapshot(_)]
    ));
}

#[test]
fn only_writes_that_callers_wait_for_can_stall() {
    let mut stage = Stage::new();
    stage.record(1);
    stage.append(0);
    assert!(!stage.pipeline.is_stalled(at(999).monotonic));
    assert!(stage.pipeline.is_stalled(at(1_000).monotonic));
    assert_eq!(stage.complete(), [1], "a late commit releases all the same");
    let digest = stage.ledger.digest();
    stage
        .pipeline
        .send_maintenance(WriteRequest::Sweep, at(0).monotonic, digest);
    assert!(stage.pipeline.is_writing());
    assert!(
        !stage.pipeline.is_stalled(at(60_000).monotonic),
        "nobody waits for maintenance"
    );
}
