//! Standbys that fell behind what is kept.

use lepton_journal::Replica;
use lepton_journal::follow::{FollowError, catch_up};
use lepton_journal::takeover::TakeoverError;

use super::fixture::{Fixture, Leader};

/// A leader whose journal is trimmed beyond the segment at which the replica stopped.
async fn trimmed_past(fixture: &Fixture) -> (Leader, Replica) {
    let mut leader = fixture.lead("scheduler-1").await;
    leader.submit_all(1..4).await;
    let behind = fixture.replica().await;
    leader.submit_all(4..8).await;
    leader.snapshot().await;
    leader.submit_all(8..10).await;
    leader.snapshot().await;
    leader.submit(10).await.expect("the leader appends");
    leader.trim().await;
    assert!(leader.writer.position().floor > behind.position.segment);
    (leader, behind)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_behind_a_trim_loads_the_snapshot_before_it_leads() {
    let fixture = Fixture::start().await;
    let (old, mut behind) = trimmed_past(&fixture).await;
    fixture.evict(old.leadership.epoch).await;

    let mut standby = behind.clone();
    let progress = catch_up(&fixture.etcd, &mut standby).await.unwrap();
    assert!(progress.snapshot.is_some());
    assert_eq!(standby.ledger.digest(), old.digest());

    // Taking over does the same by itself.
    behind.recent.clear();
    let leadership = fixture.win(&fixture.etcd, "scheduler-2").await;
    let mut new = fixture.take_over(&fixture.etcd, leadership, behind).await.unwrap();
    assert_eq!(new.digest(), old.digest(), "the start of an epoch changes no task");
    new.submit(11).await.unwrap();
    assert_eq!(fixture.replica().await.ledger.digest(), new.digest());
    assert_eq!(fixture.verified().await.tasks.len(), 11);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_behind_a_trim_does_not_lead_without_a_snapshot() {
    let fixture = Fixture::start().await;
    let (old, behind) = trimmed_past(&fixture).await;
    let last = old.writer.position().segment;
    fixture.evict(old.leadership.epoch).await;
    let chunks = etcd_client::DeleteOptions::new().with_prefix();
    let delete = etcd_client::TxnOp::delete(fixture.etcd.keys().snapshots_prefix(), Some(chunks));
    fixture.etcd.txn(Vec::new(), vec![delete], Vec::new()).await.unwrap();

    let leadership = fixture.win(&fixture.etcd, "scheduler-2").await;
    let refused = fixture
        .take_over(&fixture.etcd, leadership, behind)
        .await
        .err()
        .expect("refused");
    assert!(
        matches!(refused, TakeoverError::Follow(FollowError::Behind { .. })),
        "{refused}"
    );
    let next = fixture.etcd.keys().segment(last + 1);
    assert!(fixture.etcd.get(next).await.unwrap().is_none(), "nothing was appended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_standby_has_the_leaders_digest_at_every_segment() {
    let fixture = Fixture::start().await;
    let mut leader = fixture.lead("scheduler-1").await;
    let mut standby = Replica::new();
    for number in 1..20 {
        leader.submit(number).await.unwrap();
        catch_up(&fixture.etcd, &mut standby).await.unwrap();
        assert_eq!(standby.position, *leader.writer.position());
        assert_eq!(standby.recent.back().unwrap().digest, leader.digest());
    }
}
