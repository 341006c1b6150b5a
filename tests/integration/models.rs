//! The registry of models with many writers, lost answers and left-over files, on a real etcd.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use lepton_coordination::etcd::Etcd;
use lepton_core::blob::{Area, Blobs};
use lepton_core::context::Context;
use lepton_domain::model::{Change, Model, Signature};
use lepton_domain::reason::{ApiError, Reason};
use lepton_models::Models;
use lepton_tests::etcd::RealEtcd;
use lepton_tests::proxy::{Direction, Flow, Proxy};
use lepton_tests::wait::eventually;
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(20);
/// How often an answer is held back until one is.
const TRIES_MAX: u32 = 10;

struct Scene {
    etcd: RealEtcd,
    context: Context,
    blobs: Blobs,
    folder: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path().to_str().expect("a path in UTF-8").to_owned();
        Self {
            etcd: RealEtcd::start(1).await,
            context: Context::system(),
            blobs: Blobs::open(&path, "one").await.expect("opened"),
            folder,
        }
    }

    fn models(&self) -> Models {
        Models::start(self.etcd.connect(&self.context, "test"), &self.context)
    }

    async fn push(&self, models: &Models, content: &str) -> Result<(Model, u32), ApiError> {
        let content = Bytes::from(content.to_owned());
        let (signature, lineage) = (Signature::default(), BTreeMap::new());
        models.push(&self.blobs, "m", content, signature, lineage, None).await
    }

    async fn files(&self) -> BTreeSet<String> {
        let objects = self.blobs.list_objects(Area::Models).await.expect("listed");
        objects.into_iter().map(|object| object.name).collect()
    }
}

fn deploy(version: u32) -> Change {
    Change::Deploy { version: Some(version) }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_do_not_undo_each_other_and_every_file_has_its_version() {
    let scene = Scene::new().await;
    let writers = [scene.models(), scene.models()];
    let pushes = (0..12).map(|n| scene.push(&writers[n % 2], ["a", "b", "c", "d"][n / 3]));
    let pushed = futures::future::join_all(pushes.collect::<Vec<_>>()).await;
    let numbers: Vec<u32> = pushed.into_iter().map(|it| it.expect("pushed").1).collect();
    for group in numbers.chunks(3) {
        assert!(
            group.iter().all(|number| *number == group[0]),
            "one file, one version: {numbers:?}"
        );
    }
    let model = writers[0].read("m").await.expect("read").expect("there");
    assert_eq!(
        model.versions.iter().map(|it| it.number).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    let named: BTreeSet<String> = model.versions.iter().map(|it| it.blob.clone()).collect();
    assert_eq!(scene.files().await, named);
    eventually(SOON, || async {
        writers[1].view().borrow().get("m").is_some_and(|it| **it == model)
    })
    .await;
    for _ in 0..2 {
        writers[0]
            .delete(&scene.blobs, "m", 2)
            .await
            .map(drop)
            .unwrap_or_else(|error| {
                assert_eq!(error.reason, Reason::ModelNotFound, "{error}");
            });
    }
    assert_eq!(scene.files().await.len(), 3);
}

/// A model of two versions, deployed one after the other, and another way to its store.
async fn deployed_twice() -> (Scene, Models, Proxy) {
    let scene = Scene::new().await;
    let models = scene.models();
    scene.push(&models, "a").await.expect("pushed");
    scene.push(&models, "b").await.expect("pushed");
    models.change("m", deploy(1)).await.expect("deployed");
    models.change("m", deploy(2)).await.expect("deployed");
    let proxy = Proxy::start(scene.etcd.endpoints().remove(0)).await;
    (scene, models, proxy)
}

/// Runs a rollback whose answer is held back until it has been made; then its connections are cut.
async fn rollback_unanswered(scene: &Scene, proxy: &Proxy, again: bool) -> Result<Model, ApiError> {
    let etcd = Etcd::connect(&scene.context, &[proxy.address().to_owned()], "test");
    let (direct, behind) = (scene.models(), Models::start(etcd, &scene.context));
    proxy.refuse(false);
    behind.read("m").await.expect("the connection stands");
    proxy.set(Direction::ToClient, Flow::Hold);
    let task = tokio::spawn(async move { behind.change("m", Change::Rollback).await });
    eventually(SOON, || async {
        let made = direct.read("m").await.expect("read").expect("there").deployed == Some(1);
        if !made {
            let connections = proxy.connections();
            connections
                .iter()
                .for_each(|connection| connection.pass_held(Direction::ToClient));
        }
        made
    })
    .await;
    proxy.refuse(!again);
    proxy.cut();
    proxy.set(Direction::ToClient, Flow::Pass);
    task.await.expect("it does not panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_answer_is_lost_is_made_once_and_found_again() {
    let (scene, models, proxy) = deployed_twice().await;
    let model = rollback_unanswered(&scene, &proxy, true).await.expect("settled");
    assert_eq!((model.deployed, model.previous), (Some(1), Some(2)));
    let kept = models.read("m").await.expect("read").expect("there");
    assert_eq!(kept.deployed, Some(1), "rolled back once, not twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_answer_the_outcome_is_said_to_be_unknown() {
    let (scene, models, proxy) = deployed_twice().await;
    for _ in 0..TRIES_MAX {
        match rollback_unanswered(&scene, &proxy, false).await {
            Err(error) => {
                assert_eq!(error.reason, Reason::OutcomeUnknown, "{error}");
                assert!(error.retry_after.is_some());
                return;
            }
            // The answer came just when those before it were let pass.
            Ok(model) => assert_eq!(model.deployed, Some(1)),
        }
        models.change("m", deploy(2)).await.expect("deployed");
    }
    panic!("the answer got through {TRIES_MAX} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_leaves_young_files_and_those_of_versions() {
    let scene = Scene::new().await;
    let models = scene.models();
    scene.push(&models, "a").await.expect("pushed");
    let young = models.store(&scene.blobs, "m", Bytes::from_static(b"young")).await;
    let young = young.expect("stored").blob;
    let old = models.store(&scene.blobs, "m", Bytes::from_static(b"old")).await;
    let old = old.expect("stored").blob;
    let version = scene
        .files()
        .await
        .into_iter()
        .find(|name| *name != young && *name != old);
    let version = version.expect("the version's file");
    let yesterday = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for name in [&old, &version] {
        let path = scene.folder.path().join("models").join(name);
        let file = std::fs::File::options().write(true).open(path).expect("there");
        file.set_modified(yesterday).expect("dated back");
    }
    assert_eq!(models.sweep(&scene.blobs).await, Ok(1));
    assert_eq!(scene.files().await, BTreeSet::from([young, version]));
}
