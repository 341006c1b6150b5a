//! Snapshots, trimming and the cold start.

use lepton_core::blob::Blobs;
use lepton_journal::append::AppendError;
use lepton_journal::follow::{FollowError, catch_up};
use lepton_journal::manifest::SwapError;
use lepton_journal::snapshot::{self, Frozen, SnapshotError};
use lepton_journal::trim::{self, archive_name};
use lepton_journal::{Replica, codec};

use super::fixture::{Fixture, submit, succeed};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshot_trim_and_cold_start_give_the_same_digest() {
    let fixture = Fixture::start().await;
    let mut leader = fixture.lead("scheduler-1").await;
    for round in 0..4 {
        for number in round * 10..round * 10 + 10 {
            leader.submit(number).await.unwrap();
        }
        let draft = leader.batch((round * 10..round * 10 + 5).map(succeed).collect());
        leader.writer.append(draft).await.unwrap();
        leader.snapshot().await;
        leader.trim().await;
    }
    leader.submit(100).await.unwrap();

    let mut cold = Replica::new();
    let progress = catch_up(&fixture.etcd, &mut cold).await.unwrap();
    assert_eq!(progress.snapshot, Some(leader.writer.position().segment - 1));
    assert_eq!(progress.segments, 1);
    assert_eq!(cold.ledger.digest(), leader.digest());
    assert_eq!(cold.position, *leader.writer.position());
    assert_eq!(cold.ledger.snapshot_header(), leader.ledger.snapshot_header());
    let verification = fixture.verified().await;
    assert_eq!((verification.succeeded_count(), verification.live_count()), (20, 21));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_of_many_chunks_comes_back() {
    let fixture = Fixture::start().await;
    let mut leader = fixture.lead("scheduler-1").await;
    for batch in 0..5 {
        let draft = leader.batch((batch * 1_000..batch * 1_000 + 1_000).map(submit).collect());
        leader.writer.append(draft).await.unwrap();
    }
    leader.snapshot().await;
    let mut cold = Replica::new();
    let progress = catch_up(&fixture.etcd, &mut cold).await.unwrap();
    assert_eq!((progress.segments, cold.ledger.len()), (0, 5_000));
    assert_eq!(cold.ledger.digest(), leader.digest());
    assert!(
        cold.growth().1 > 2 * snapshot::CHUNK_BYTES_MAX as u64,
        "{:?}",
        cold.growth()
    );
    let prefix = fixture.etcd.keys().snapshots_prefix();
    let chunks = fixture.etcd.prefix(prefix).await.unwrap().entries;
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk.value().len() <= snapshot::CHUNK_BYTES_MAX)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_snapshots_are_kept_and_the_floor_is_the_older_ones() {
    let fixture = Fixture::start().await;
    let mut leader = fixture.lead("scheduler-1").await;
    leader.submit(1).await.unwrap();
    leader.snapshot().await;
    let first = leader.writer.position().segment;
    assert_eq!((leader.writer.position().floor, leader.trim().await), (0, 0));
    leader.submit(2).await.unwrap();
    leader.snapshot().await;
    assert_eq!(leader.writer.position().floor, first);
    leader.submit(3).await.unwrap();
    leader.snapshot().await;
    let listing = fixture
        .etcd
        .prefix(fixture.etcd.keys().snapshots_prefix())
        .await
        .unwrap();
    assert_eq!(listing.entries.len(), 2, "the third replaced the first");
    // Both snapshots at the end: still the last segment stays.
    assert_eq!(leader.trim().await, 3 - 1 + 1);
    leader.submit(4).await.unwrap();
    fixture.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_snapshot_is_replaced_by_the_older_one() {
    let fixture = Fixture::start().await;
    let mut leader = fixture.lead("scheduler-1").await;
    leader.submit(1).await.unwrap();
    leader.snapshot().await;
    leader.submit(2).await.unwrap();
    leader.snapshot().await;
    leader.submit(3).await.unwrap();
    let chunks = fixture
        .etcd
        .prefix(fixture.etcd.keys().snapshots_prefix())
        .await
        .unwrap()
        .entries;
    let newest = chunks.iter().max_by_key(|chunk| chunk.mod_revision()).unwrap();
    let mut bytes = newest.value().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let put = etcd_client::TxnOp::put(newest.key(), bytes, None);
    fixture.etcd.txn(Vec::new(), vec![put], Vec::new()).await.unwrap();

    let replica = fixture.replica().await;
    assert_eq!(replica.ledger.digest(), leader.digest());
    let verification = lepton_journal::inspect::verify(&fixture.etcd).await.unwrap();
    assert!(!verification.is_ok(), "the check names it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_goes_only_over_committed_segments_of_this_history() {
    let fixture = Fixture::start().await;
    let mut leader = fixture.lead("scheduler-1").await;
    leader.submit(1).await.unwrap();
    let here = leader.writer.position().clone();

    // The ledger is ahead of the journal.
    let draft = leader.submission(2);
    let ahead = snapshot::write(&fixture.etcd, "ahead", &here, &Frozen::of(&leader.ledger)).await;
    assert!(matches!(ahead, Err(SnapshotError::Elsewhere { .. })), "{ahead:?}");
    leader.writer.append(draft).await.unwrap();

    let frozen = Frozen::of(&leader.ledger);
    let there = leader.writer.position().clone();
    let good = snapshot::write(&fixture.etcd, "good", &there, &frozen).await.unwrap();
    let mut beyond = good.clone();
    beyond.segment += 1;
    let swap = leader.writer.swap_manifest(beyond).await;
    assert!(matches!(swap, Err(SwapError::NotCommitted { .. })), "{swap:?}");

    let forged = lepton_journal::Position { hash: [1; 32], ..there };
    let forged = snapshot::write(&fixture.etcd, "forged", &forged, &frozen)
        .await
        .unwrap();
    assert_eq!(
        leader.writer.swap_manifest(forged).await,
        Err(SwapError::OtherHistory(good.segment))
    );

    let mut short = good.clone();
    short.chunk_count += 1;
    let swap = leader.writer.swap_manifest(short).await;
    assert!(
        matches!(swap, Err(SwapError::Snapshot(SnapshotError::Chunk { .. }))),
        "{swap:?}"
    );

    leader.writer.swap_manifest(good.clone()).await.unwrap();
    let again = leader.writer.swap_manifest(good).await;
    assert!(matches!(again, Err(SwapError::NotNewer { .. })), "{again:?}");
    fixture.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposed_leaders_swap_is_refused_and_its_chunks_are_swept_later() {
    let fixture = Fixture::start().await;
    let mut old = fixture.lead("scheduler-1").await;
    old.submit(1).await.unwrap();
    let id = snapshot::fresh_id(old.writer.epoch(), &fixture.context.random);
    let frozen = Frozen::of(&old.ledger);
    let written = snapshot::write(&fixture.etcd, &id, old.writer.position(), &frozen)
        .await
        .unwrap();
    fixture.evict(old.leadership.epoch).await;
    let mut new = fixture.lead("scheduler-2").await;
    let swap = old.writer.swap_manifest(written).await;
    assert_eq!(
        swap,
        Err(SwapError::Append(AppendError::Fenced {
            definitely_not_committed: false
        }))
    );

    new.submit(2).await.unwrap();
    new.snapshot().await;
    assert_eq!(new.writer.sweep_snapshots().await, Ok(1));
    let chunks = fixture
        .etcd
        .prefix(fixture.etcd.keys().snapshot_prefix(&id))
        .await
        .unwrap();
    assert_eq!(chunks.entries.len(), 0);
    fixture.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trimmed_segments_are_in_the_archive() {
    let fixture = Fixture::start().await;
    let mut leader = fixture.lead("scheduler-1").await;
    let directory = tempfile::tempdir().unwrap();
    let incarnation = leader.leadership.incarnation.clone();
    let archive = Blobs::open(&directory.path().to_string_lossy(), &incarnation)
        .await
        .unwrap();
    leader.submit_all(1..8).await;
    leader.snapshot().await;
    leader.submit(8).await.unwrap();
    leader.snapshot().await;
    let kept = fixture.etcd.get(fixture.etcd.keys().segment(2)).await.unwrap().unwrap();
    let due = trim::due(&fixture.etcd, leader.writer.position())
        .await
        .unwrap()
        .unwrap();
    trim::archive(&fixture.etcd, &archive, &incarnation, &due)
        .await
        .unwrap();
    leader.writer.trim(due.clone()).await.unwrap();
    assert_eq!(due, 1..9, "up to the older snapshot");
    for segment in due {
        let bytes = archive
            .get_named(&archive_name(&incarnation, segment))
            .await
            .unwrap()
            .expect("archived");
        let (decoded, _) = codec::decode_segment(&bytes).unwrap();
        assert_eq!(decoded.number, segment);
    }
    let second = archive
        .get_named(&archive_name(&incarnation, 2))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(second, kept.value());
    fixture.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_are_trimmed_in_small_steps_and_never_beyond_the_older_snapshot() {
    let fixture = Fixture::start().await;
    let mut leader = fixture.lead("scheduler-1").await;
    leader.submit_all(1..41).await;
    leader.snapshot().await;
    leader.submit(41).await.unwrap();
    leader.snapshot().await;
    for step in [Some(1..33), Some(33..42), None] {
        let due = trim::due(&fixture.etcd, leader.writer.position()).await.unwrap();
        assert_eq!(due, step);
        if let Some(segments) = due {
            leader.writer.trim(segments).await.unwrap();
        }
    }
    // Whoever asks for more does not get it.
    leader.writer.trim(42..100).await.unwrap();
    let kept = fixture.etcd.get(fixture.etcd.keys().segment(42)).await.unwrap();
    assert!(kept.is_some());
    fixture.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_segment_is_noticed() {
    let fixture = Fixture::start().await;
    let mut leader = fixture.lead("scheduler-1").await;
    leader.submit_all(1..8).await;
    let delete = etcd_client::TxnOp::delete(fixture.etcd.keys().segment(4), None);
    fixture.etcd.txn(Vec::new(), vec![delete], Vec::new()).await.unwrap();
    let error = catch_up(&fixture.etcd, &mut Replica::new()).await.unwrap_err();
    assert_eq!(
        error,
        FollowError::Corrupt {
            segment: 4,
            why: codec::Damage::Missing
        }
    );
    assert!(!lepton_journal::inspect::verify(&fixture.etcd).await.unwrap().is_ok());
}
