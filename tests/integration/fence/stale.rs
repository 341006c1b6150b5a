//! Leaders that no longer lead, or never should.

use lepton_journal::Replica;
use lepton_journal::append::AppendError;
use lepton_journal::append::Conflict;
use lepton_journal::high_water_mark::Lacks;
use lepton_journal::takeover::{TakeoverError, take_over};
use lepton_proto::journal::v1::Mark;

use super::fixture::Fixture;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_epoch_is_refused() {
    let fixture = Fixture::start().await;
    let mut old = fixture.lead("scheduler-1").await;
    old.submit(1).await.unwrap();
    fixture.evict(old.leadership.epoch).await;
    let mut new = fixture.lead("scheduler-2").await;
    assert!(new.writer.epoch() > old.writer.epoch());

    assert_eq!(
        old.submit(2).await,
        Err(AppendError::Fenced {
            definitely_not_committed: true
        })
    );
    assert_eq!(old.submit(3).await, Err(AppendError::Closed), "closed for good");
    assert_eq!(old.writer.confirm().await, Err(AppendError::Closed));

    new.submit(4).await.unwrap();
    assert_eq!(fixture.replica().await.ledger.digest(), new.digest());
    assert_eq!(fixture.verified().await.tasks.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposed_leader_cannot_confirm_a_read_nor_swap_nor_trim() {
    let fixture = Fixture::start().await;
    let mut old = fixture.lead("scheduler-1").await;
    old.submit_all(1..4).await;
    old.writer.confirm().await.unwrap();
    old.snapshot().await;
    old.submit(4).await.unwrap();
    old.snapshot().await;
    fixture.evict(old.leadership.epoch).await;
    let trimmed = old.writer.trim(1..3).await;
    assert!(trimmed.is_err(), "{trimmed:?}");
    assert_eq!(
        old.writer.confirm().await,
        Err(AppendError::Fenced {
            definitely_not_committed: true
        })
    );
    let verification = fixture.verified().await;
    assert_eq!(verification.segment_count, 5, "nothing was trimmed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_is_refused() {
    let fixture = Fixture::start().await;
    let mut leader = fixture.lead("scheduler-1").await;
    leader.submit_all(1..3).await;

    // Left out by the leader itself.
    let mut draft = leader.submission(3);
    draft.first_seq = draft.first_seq.next();
    let refused = leader.writer.append(draft).await;
    assert!(matches!(refused, Err(AppendError::OutOfOrder { .. })), "{refused:?}");

    // Lost by etcd.
    let last = leader.writer.position().segment;
    delete(&fixture, last).await;
    assert_eq!(leader.writer.confirm().await, Err(AppendError::Conflict(Conflict::Gap)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_after_a_lost_segment_is_refused() {
    let fixture = Fixture::start().await;
    let mut leader = fixture.lead("scheduler-1").await;
    leader.submit_all(1..3).await;
    delete(&fixture, leader.writer.position().segment).await;
    assert_eq!(leader.submit(3).await, Err(AppendError::Conflict(Conflict::Gap)));
    assert_eq!(leader.submit(4).await, Err(AppendError::Closed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_leads_behind_a_mark() {
    let fixture = Fixture::start().await;
    let mut leader = fixture.lead("scheduler-1").await;
    leader.submit_all(1..4).await;
    let seen = leader.writer.mark();
    fixture.evict(leader.leadership.epoch).await;

    let leadership = fixture.win(&fixture.etcd, "scheduler-2").await;
    let now = fixture.context.clock.now();
    let refused = async |mark: Mark| {
        let took = take_over(&fixture.etcd, &leadership, &mut Replica::new(), now, &mark).await;
        match took.err().expect("refused") {
            TakeoverError::Lacks(lacks) => lacks,
            other => panic!("{other}"),
        }
    };
    let longer = refused(Mark {
        segment: seen.segment + 1,
        ..seen.clone()
    })
    .await;
    assert_eq!(
        longer,
        Lacks::Segment {
            known: seen.segment + 1,
            found: seen.segment
        }
    );
    let later = refused(Mark {
        revision: seen.revision + 1_000,
        ..seen.clone()
    })
    .await;
    assert!(matches!(later, Lacks::Revision { .. }), "{later}");
    let other = refused(Mark {
        segment_hash: vec![1; 32].into(),
        ..seen.clone()
    })
    .await;
    assert_eq!(other, Lacks::History(seen.segment));
    let older = Mark {
        segment: seen.segment - 1,
        segment_hash: vec![1; 32].into(),
        ..seen.clone()
    };
    assert_eq!(refused(older).await, Lacks::History(seen.segment - 1));

    let elsewhere = Mark {
        incarnation: "another".to_owned(),
        segment: 99,
        ..seen.clone()
    };
    take_over(&fixture.etcd, &leadership, &mut Replica::new(), now, &elsewhere)
        .await
        .expect("no mark of this journal");
}

/// As a failing disk might.
async fn delete(fixture: &Fixture, segment: u64) {
    let delete = etcd_client::TxnOp::delete(fixture.etcd.keys().segment(segment), None);
    fixture
        .etcd
        .txn(Vec::new(), vec![delete], Vec::new())
        .await
        .expect("etcd answers");
}
