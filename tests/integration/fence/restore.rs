//! A loss that a person accepts: a new incarnation, under which marks and leaders of the old one say nothing.

use lepton_coordination::blob_store;
use lepton_coordination::etcd::incarnation;
use lepton_domain::reason::Reason;
use lepton_journal::Replica;
use lepton_journal::mark_key::MarkKey;
use lepton_journal::restore::{BlobStore, RestoreError, restore};
use lepton_journal::takeover::take_over;
use lepton_proto::journal::v1::Mark;

use super::fixture::Fixture;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_needs_a_mesh_and_no_leader() {
    let fixture = Fixture::start().await;
    let restored = async || restore(&fixture.etcd, &fixture.context.random, BlobStore::Kept).await;
    assert_eq!(restored().await, Err(RestoreError::NoMesh));
    let leader = fixture.lead("scheduler-1").await;
    let before = incarnation(&fixture.etcd, &fixture.context.random).await.expect("made");
    match restored().await {
        Err(RestoreError::Led(found)) => assert_eq!(found.instance, leader.leadership.instance),
        other => panic!("{other:?}"),
    }
    let after = incarnation(&fixture.etcd, &fixture.context.random).await;
    assert_eq!(after.as_ref(), Ok(&before), "nothing was changed");
    leader.leadership.resign().await;
    let restored = restored().await.expect("nobody leads");
    assert_eq!(restored.before, before);
    assert_eq!(
        incarnation(&fixture.etcd, &fixture.context.random).await,
        Ok(restored.now)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_of_before_a_restore_say_nothing_after_it() {
    let fixture = Fixture::start().await;
    let mut leader = fixture.lead("scheduler-1").await;
    leader.submit_all(1..4).await;
    let old = MarkKey::of(&fixture.etcd, &leader.leadership)
        .await
        .expect("etcd answers");
    let old = old.expect("it leads");
    let again = MarkKey::of(&fixture.etcd, &leader.leadership)
        .await
        .expect("etcd answers");
    let seen = old.seal(leader.writer.mark());
    assert!(again.expect("it leads").holds(&seen), "the key is made once");
    let ahead = Mark {
        segment: seen.segment + 9,
        ..seen
    };
    leader.leadership.resign().await;
    restore(&fixture.etcd, &fixture.context.random, BlobStore::Kept)
        .await
        .expect("nobody leads");

    let leadership = fixture.win(&fixture.etcd, "scheduler-2").await;
    let key = MarkKey::of(&fixture.etcd, &leadership).await.expect("etcd answers");
    let key = key.expect("it leads");
    let now = fixture.context.clock.now();
    let writer = take_over(&fixture.etcd, &leadership, &mut Replica::new(), now, &ahead)
        .await
        .expect("the mark is of another incarnation");
    let writer = writer.sealing(key.clone());
    assert!(key.holds(&writer.mark()));
    assert!(!old.holds(&writer.mark()), "the key is another");
    assert_ne!(writer.mark().incarnation, ahead.incarnation);
    fixture.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_a_former_release_gets_its_key_from_the_next_leader() {
    let fixture = Fixture::start().await;
    let leadership = fixture.win(&fixture.etcd, "scheduler-1").await;
    let delete = etcd_client::TxnOp::delete(fixture.etcd.keys().mark_key(), None);
    fixture
        .etcd
        .txn(Vec::new(), vec![delete], Vec::new())
        .await
        .expect("etcd takes it");
    let made = async || MarkKey::of(&fixture.etcd, &leadership).await.expect("etcd answers");
    let key = made().await.expect("made");
    let sealed = key.seal(Mark::default());
    assert!(made().await.expect("read").holds(&sealed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_blob_store_outlives_a_restore_and_is_never_made_twice() {
    let fixture = Fixture::start().await;
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let open = async |name: &str| {
        let opened = blob_store::open(&fixture.etcd, &fixture.context.random, &path(name)).await;
        opened.map(drop).map_err(|error| error.reason)
    };
    open("one").await.expect("a new store");
    open("one").await.expect("the same store");
    assert_eq!(
        open("two").await,
        Err(Reason::BlobUnavailable),
        "a store without the marker"
    );
    assert!(!directory.path().join("two").exists());

    let restored = async |store| restore(&fixture.etcd, &fixture.context.random, store).await;
    restored(BlobStore::Kept).await.expect("nobody leads");
    open("one").await.expect("payloads of what is left lie there");
    assert_eq!(open("two").await, Err(Reason::BlobUnavailable));
    restored(BlobStore::New).await.expect("nobody leads");
    assert_eq!(
        open("one").await,
        Err(Reason::BlobStoreMismatch),
        "the one that was given up"
    );
    open("two").await.expect("a new store");
    open("two").await.expect("the same store");
}
