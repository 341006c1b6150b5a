//! One leader, whatever is late, lost, frozen or repeated.

use etcd_client::{Compare, CompareOp, PutOptions, TxnOp};
use lepton_coordination::election::{Candidate, LeaderWatch, Leadership, campaign, evict};
use lepton_coordination::etcd::Etcd;
use lepton_core::context::Context;
use lepton_domain::ids::InstanceId;
use lepton_tests::proxy::{Direction, Flow, Proxy};
use lepton_tests::wait::eventually;
use tokio::task::JoinSet;

use super::{SOON, Scene};

fn candidate(instance: &str) -> Candidate {
    Candidate {
        service: "scheduler".into(),
        instance: InstanceId::new(instance),
    }
}

async fn lead(etcd: &Etcd, instance: &str) -> Leadership {
    let (etcd, candidate) = (etcd.clone(), candidate(instance));
    let elected = async move { campaign(&etcd, &candidate, &Context::system()).await };
    tokio::time::timeout(SOON, elected)
        .await
        .expect("elected in time")
        .expect("etcd does not refuse")
}

/// Whether a fenced write passes.
async fn proves(etcd: &Etcd, fence: Compare) -> bool {
    let put = vec![TxnOp::put("/proof", "x", None)];
    etcd.txn(vec![fence], put, Vec::new())
        .await
        .expect("decided")
        .succeeded()
}

fn fence_of(leader: &Leadership) -> Compare {
    leader.fence()
}

#[tokio::test]
async fn one_leads_and_a_resignation_hands_over() {
    let scene = Scene::new().await;
    let watch = LeaderWatch::start(scene.etcd.clone(), "scheduler");
    let mut candidates = JoinSet::new();
    for number in 0..3 {
        let etcd = scene.etcd.clone();
        candidates.spawn(async move { lead(&etcd, &format!("scheduler-{number}")).await });
    }
    let mut epochs = Vec::new();
    while let Some(elected) = candidates.join_next().await {
        let leader = elected.expect("no panic");
        assert!(proves(&scene.etcd, fence_of(&leader)).await);
        let seen = || {
            watch
                .view()
                .borrow()
                .as_ref()
                .map(|seen| (seen.epoch, seen.instance.clone()))
        };
        eventually(SOON, || async {
            seen() == Some((leader.epoch, leader.instance.clone()))
        })
        .await;
        // While one leads nobody else is elected.
        assert!(candidates.try_join_next().is_none());
        epochs.push(leader.epoch);
        leader.resign().await;
    }
    assert!(epochs.len() == 3 && epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
}

#[tokio::test]
async fn a_leader_that_is_cut_off_is_replaced_by_expiry() {
    let scene = Scene::new().await;
    let proxy = Proxy::start(scene.real.endpoints().remove(0)).await;
    let old = lead(&scene.through(proxy.address()), "scheduler-1").await;
    proxy.set(Direction::ToServer, Flow::Hold);
    let new = lead(&scene.etcd, "scheduler-2").await;
    assert!(new.epoch > old.epoch);
    tokio::time::timeout(SOON, old.lost())
        .await
        .expect("the old one notices");
    proxy.set(Direction::ToServer, Flow::Pass);
    assert!(!proves(&scene.etcd, fence_of(&old)).await);
    assert!(proves(&scene.etcd, fence_of(&new)).await);
}

#[tokio::test]
async fn a_leader_learns_that_its_key_is_gone() {
    let scene = Scene::new().await;
    let leader = lead(&scene.etcd, "scheduler-1").await;
    assert!(evict(&scene.etcd, "scheduler", leader.epoch).await.expect("decided"));
    tokio::time::timeout(SOON, leader.lost())
        .await
        .expect("told by its watch");
}

#[tokio::test]
async fn a_create_that_timed_out_and_applied_leads() {
    let scene = Scene::new().await;
    let first = lead(&scene.etcd, "scheduler-1").await;
    let old = first.epoch;
    let proxy = Proxy::start(scene.real.endpoints().remove(0)).await;
    let slow = scene.through(proxy.address());
    slow.get("x").await.expect("the unary connection stands");
    let mut second = JoinSet::new();
    second.spawn(async move { lead(&slow, "scheduler-2").await });
    // It waits on the key once its watch stands.
    proxy.connection(1).await;
    let unary = proxy.connection(0).await;
    unary.set(Direction::ToClient, Flow::Hold);
    eventually(SOON, || async { unary.holds(Direction::ToClient) }).await;
    first.resign().await;
    let key = scene.etcd.keys().leader("scheduler");
    let created = || async {
        let found = scene.etcd.get(key.as_str()).await.ok().flatten();
        found.filter(|kv| kv.create_revision() as u64 > old.0)
    };
    let Some(kv) = tokio::time::timeout(SOON, eventually(SOON, created)).await.ok() else {
        panic!("the create never reached etcd");
    };
    // Its answer never arrives.
    unary.cut();
    let leader = second.join_next().await.expect("one").expect("no panic");
    assert_eq!(leader.epoch.0, kv.create_revision() as u64);
    assert!(proves(&scene.etcd, fence_of(&leader)).await);
}

#[tokio::test]
async fn a_key_of_an_earlier_life_is_never_adopted() {
    let scene = Scene::new().await;
    let key = scene.etcd.keys().leader("scheduler");
    let lease = scene
        .real
        .client()
        .await
        .lease_client()
        .grant(3, None)
        .await
        .expect("granted")
        .id();
    let value = r#"{"instance":"scheduler-1","nonce":"earlier","sinceUs":1}"#;
    let put = TxnOp::put(key.as_str(), value, Some(PutOptions::new().with_lease(lease)));
    scene.etcd.txn(Vec::new(), vec![put], Vec::new()).await.expect("put");
    let earlier = scene
        .etcd
        .get(key.as_str())
        .await
        .expect("read")
        .expect("there")
        .create_revision();
    let leader = lead(&scene.etcd, "scheduler-1").await;
    assert!(leader.epoch.0 > earlier as u64);
    let still = Compare::create_revision(key, CompareOp::Equal, earlier);
    assert!(!proves(&scene.etcd, still).await);
}

#[tokio::test]
async fn the_guard_limits_depositions() {
    let scene = Scene::new().await;
    let depose_at = async |epoch| evict(&scene.etcd, "scheduler", epoch).await.expect("decided");
    let first = lead(&scene.etcd, "scheduler-1").await;
    assert!(depose_at(first.epoch).await);
    assert!(!depose_at(first.epoch).await, "it is gone already");
    let second = lead(&scene.etcd, "scheduler-2").await;
    assert!(!depose_at(second.epoch).await, "the guard of the first stands");
    assert!(proves(&scene.etcd, fence_of(&second)).await);
    eventually(SOON, || async { depose_at(second.epoch).await }).await;
}
