//! Registration and what others see of it.

use etcd_client::{DeleteOptions, TxnOp};
use lepton_coordination::registry::{NodeState, Registrar};
use lepton_domain::ids::InstanceId;
use lepton_tests::wait::eventually;

use super::{SOON, Scene, instance, shown};

#[tokio::test]
async fn a_registration_is_seen_with_its_state_and_leaves() {
    let scene = Scene::new().await;
    let directory = scene.directory("worker");
    eventually(SOON, || async { directory.is_known() }).await;
    let registrar = Registrar::start(scene.etcd.clone(), &scene.context, instance("worker-1", "h:1"));
    eventually(SOON, || async { shown(&directory) == ["worker-1"] }).await;
    registrar.set_state(NodeState::Draining);
    let id = InstanceId::new("worker-1");
    let state = || directory.find(&id).map(|found| found.state);
    eventually(SOON, || async { state() == Some(NodeState::Draining) }).await;
    registrar.leave().await;
    assert!(
        scene
            .etcd
            .prefix(scene.etcd.keys().registry_prefix(None))
            .await
            .expect("read")
            .entries
            .is_empty()
    );
    eventually(SOON, || async { shown(&directory).is_empty() }).await;
}

#[tokio::test]
async fn a_deleted_key_comes_back() {
    let scene = Scene::new().await;
    let _registrar = Registrar::start(scene.etcd.clone(), &scene.context, instance("worker-1", "h:1"));
    let key = scene.etcd.keys().registry("worker", "worker-1");
    let found = || async { scene.etcd.get(key.as_str()).await.ok().flatten() };
    let first = eventually(SOON, found).await;
    let delete = vec![TxnOp::delete(key.as_str(), None)];
    scene.etcd.txn(Vec::new(), delete, Vec::new()).await.expect("deleted");
    let second = eventually(SOON, found).await;
    assert!(second.create_revision() > first.create_revision());
}

#[tokio::test]
async fn a_registration_survives_the_loss_of_its_lease() {
    let scene = Scene::new().await;
    let _registrar = Registrar::start(scene.etcd.clone(), &scene.context, instance("worker-1", "h:1"));
    let key = scene.etcd.keys().registry("worker", "worker-1");
    let found = || async { scene.etcd.get(key.as_str()).await.ok().flatten() };
    let first = eventually(SOON, found).await;
    let mut direct = scene.real.client().await.lease_client();
    direct.revoke(first.lease()).await.expect("revoked behind its back");
    let second = eventually(SOON, found).await;
    assert_ne!(second.lease(), first.lease());
}

#[tokio::test]
async fn a_mass_loss_keeps_the_view() {
    let scene = Scene::new().await;
    let directory = scene.directory("worker");
    let entries = ["worker-1", "worker-2", "worker-3"].map(|id| instance(id, "h:1"));
    for entry in &entries {
        let key = scene.etcd.keys().registry("worker", entry.id.as_str());
        let value = format!(r#"{{"Addr":"{}","Metadata":{{"state":"ready"}}}}"#, entry.address);
        scene
            .etcd
            .txn(Vec::new(), vec![TxnOp::put(key, value, None)], Vec::new())
            .await
            .expect("put");
    }
    eventually(SOON, || async { shown(&directory).len() == 3 }).await;
    let all = Some(DeleteOptions::new().with_prefix());
    let delete = TxnOp::delete(scene.etcd.keys().registry_prefix(Some("worker")), all);
    scene
        .etcd
        .txn(Vec::new(), vec![delete], Vec::new())
        .await
        .expect("deleted");
    // What is seen after the loss shows that the loss was seen.
    let _registrar = Registrar::start(scene.etcd.clone(), &scene.context, instance("worker-4", "h:1"));
    eventually(SOON, || async { shown(&directory).contains(&"worker-4".to_owned()) }).await;
    assert_eq!(shown(&directory), ["worker-1", "worker-2", "worker-3", "worker-4"]);
}
