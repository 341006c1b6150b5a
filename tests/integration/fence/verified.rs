//! What the inspection says of a sound journal.

use futures::TryStreamExt;
use lepton_domain::ids::{AttemptId, InstanceId};
use lepton_domain::ledger::Command;
use lepton_domain::reason::Reason;
use lepton_domain::task::{State, TaskError};
use lepton_journal::inspect::{Entry, dump, status};

use super::fixture::{Fixture, submit, succeed, task};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_check_counts() {
    let fixture = Fixture::start().await;
    let mut leader = fixture.lead("scheduler-1").await;
    let worker = InstanceId::new("worker-1");
    let attempt = |number| AttemptId {
        task: task(number),
        number: 1,
    };
    let start = |number| Command::Start {
        attempt: attempt(number),
        worker: worker.clone(),
    };
    let draft = leader.batch((1..=10).map(submit).collect());
    leader.writer.append(draft).await.unwrap();
    leader.snapshot().await;
    let draft = leader.batch((1..=9).map(start).collect());
    leader.writer.append(draft).await.unwrap();
    let error = TaskError::new(Reason::HandlerFailed, "it broke");
    let mut ends: Vec<Command> = (1..=6).map(succeed).collect();
    ends.push(Command::Fail {
        attempt: attempt(7),
        worker: worker.clone(),
        error,
        retryable: false,
        checkpoint: None,
    });
    ends.push(Command::Cancel {
        task: task(8),
        message: "enough".to_owned(),
    });
    let draft = leader.batch(ends);
    leader.writer.append(draft).await.unwrap();
    leader.snapshot().await;
    leader.submit(11).await.unwrap();

    let before = fixture.verified().await;
    leader.trim().await;
    let after = fixture.verified().await;
    for verification in [&before, &after] {
        let counts = (
            verification.succeeded_count(),
            verification.ended_otherwise_count(),
            verification.live_count(),
        );
        assert_eq!(counts, (6, 2, 3));
        assert_eq!(verification.tasks[&task(8)], State::Cancelled);
        assert_eq!(verification.tasks[&task(9)], State::Running);
        assert_eq!(verification.digest, Some(leader.digest()));
    }
    assert_eq!((before.segment_count, before.event_count), (5, 1 + 10 + 9 + 8 + 1));
    assert!(after.segment_count < before.segment_count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_shows_the_extent() {
    let fixture = Fixture::start().await;
    let empty = status(&fixture.etcd).await.unwrap();
    assert_eq!(
        (empty.first_segment, empty.last_segment, empty.bytes, empty.task_count),
        (0, 0, 0, 0)
    );

    let mut leader = fixture.lead("scheduler-1").await;
    leader.submit_all(1..10).await;
    let segments = fixture
        .etcd
        .prefix(fixture.etcd.keys().segment_prefix())
        .await
        .unwrap()
        .entries;
    let bytes: usize = segments.iter().map(|segment| segment.value().len()).sum();
    leader.snapshot().await;
    let shown = status(&fixture.etcd).await.unwrap();
    assert_eq!(
        (shown.first_segment, shown.last_segment, shown.snapshot_segment),
        (1, 10, 10)
    );
    assert_eq!((shown.bytes, shown.task_count), (bytes as u64, 9));
    assert_eq!((shown.seq, shown.digest), (leader.ledger.seq(), leader.digest()));
    let seen = shown.leader.expect("somebody leads");
    assert_eq!(
        (seen.instance.as_str(), seen.epoch),
        ("scheduler-1", leader.writer.epoch())
    );
    assert_eq!(shown.incarnation, leader.leadership.incarnation);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dump_shows_every_event_once() {
    let fixture = Fixture::start().await;
    let mut leader = fixture.lead("scheduler-1").await;
    leader.submit_all(1..10).await;
    let all: Vec<Entry> = dump(fixture.etcd.clone(), 0, 0).try_collect().await.unwrap();
    let numbers: Vec<u64> = all.iter().map(|entry| entry.seq.0).collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
    assert_eq!((all[0].name(), all[0].task()), ("epoch_started", None));
    assert_eq!((all[1].name(), all[1].task()), ("submitted", Some(task(1))));
    let some: Vec<Entry> = dump(fixture.etcd.clone(), 5, 3).try_collect().await.unwrap();
    assert_eq!(some, all[4..7]);
}
