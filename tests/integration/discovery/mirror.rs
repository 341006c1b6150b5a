//! Views of etcd through its restarts, freezes and compactions.

use std::time::Duration;

use etcd_client::TxnOp;
use lepton_coordination::etcd::watch::{PrefixCache, View};
use lepton_coordination::etcd::{Etcd, incarnation};
use lepton_core::context::Context;
use lepton_tests::etcd::RealEtcd;
use lepton_tests::proxy::{Direction, Flow, Proxy};
use lepton_tests::wait::eventually;

use super::{SOON, Scene};

async fn put(etcd: &Etcd, key: &str) {
    eventually(SOON, || {
        etcd.txn(Vec::new(), vec![TxnOp::put(key, key, None)], Vec::new())
    })
    .await;
}

fn keys(mirror: &PrefixCache) -> Vec<String> {
    mirror.view().borrow().entries.keys().cloned().collect()
}

fn look<T>(mirror: &PrefixCache, read: impl Fn(&View) -> T) -> T {
    read(&mirror.view().borrow())
}

#[tokio::test]
async fn a_mirror_keeps_its_view_while_etcd_is_away_and_recovers() {
    let mut scene = Scene::new().await;
    put(&scene.etcd, "/m/a").await;
    let mirror = PrefixCache::start(&scene.etcd, "/m/");
    eventually(SOON, || async { keys(&mirror) == ["/m/a"] }).await;
    scene.real.kill(0);
    eventually(SOON, || async { !look(&mirror, |view| view.synced) }).await;
    assert_eq!(keys(&mirror), ["/m/a"]);
    scene.real.restart(0).await;
    put(&scene.etcd, "/m/b").await;
    eventually(SOON, || async {
        keys(&mirror) == ["/m/a", "/m/b"] && look(&mirror, |view| view.synced)
    })
    .await;
}

#[tokio::test]
async fn a_mirror_whose_start_is_compacted_away_lists_again() {
    let scene = Scene::new().await;
    put(&scene.etcd, "/m/a").await;
    let proxy = Proxy::start(scene.real.endpoints().remove(0)).await;
    let slow = scene.through(proxy.address());
    slow.get("/m/a").await.expect("the unary connection stands");
    // The next connection is the one for streams: its watch arrives only when its revision is gone.
    proxy.set_fresh(Direction::ToServer, Flow::Hold);
    let mirror = PrefixCache::start(&slow, "/m/");
    let stream = proxy.connection(1).await;
    eventually(SOON, || async { stream.holds(Direction::ToServer) }).await;
    put(&scene.etcd, "/m/b").await;
    put(&scene.etcd, "/m/c").await;
    let (_, revision) = scene.etcd.get_at("/m/c").await.expect("read");
    scene
        .real
        .client()
        .await
        .kv_client()
        .compact(revision, None)
        .await
        .expect("compacted");
    proxy.set(Direction::ToServer, Flow::Pass);
    eventually(SOON, || async { keys(&mirror) == ["/m/a", "/m/b", "/m/c"] }).await;
    put(&scene.etcd, "/m/d").await;
    eventually(SOON, || async { keys(&mirror).len() == 4 }).await;
}

#[tokio::test]
async fn large_prefixes_are_read_in_pages_at_one_revision() {
    let scene = Scene::new().await;
    for chunk in (0..1_200).collect::<Vec<_>>().chunks(100) {
        let puts = chunk
            .iter()
            .map(|n| TxnOp::put(format!("/p/{n:05}"), "x", None))
            .collect();
        scene.etcd.txn(Vec::new(), puts, Vec::new()).await.expect("put");
    }
    let listing = scene.etcd.prefix("/p/").await.expect("read");
    assert_eq!((listing.entries.len(), listing.more), (1_200, false));
    assert!(listing.entries.is_sorted_by_key(|kv| kv.key().to_vec()));
}

#[tokio::test]
async fn a_frozen_member_is_left_for_another() {
    let real = RealEtcd::start(3).await;
    let etcd = real.connect(&Context::system(), "test");
    put(&etcd, "/m/a").await;
    let mirror = PrefixCache::start(&etcd, "/m/");
    eventually(SOON, || async { keys(&mirror) == ["/m/a"] }).await;
    real.freeze(0);
    let other = Etcd::connect(&Context::system(), &real.endpoints()[1..], "test");
    put(&other, "/m/b").await;
    eventually(SOON, || async {
        etcd.get("/m/b").await.is_ok_and(|found| found.is_some())
    })
    .await;
    // The stream notices by the connection's own probes.
    eventually(SOON + Duration::from_secs(10), || async { keys(&mirror).len() == 2 }).await;
    real.thaw(0);
}

#[tokio::test]
async fn the_incarnation_is_made_once() {
    let scene = Scene::new().await;
    let made = || incarnation(&scene.etcd, &scene.context.random);
    let (one, two) = tokio::join!(made(), made());
    assert_eq!(one.expect("made"), two.expect("made"));
}
