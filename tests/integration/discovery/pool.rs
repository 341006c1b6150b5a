//! A pool whose instances die, hang, drain and lose their entries.

use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt};
use lepton_coordination::registry::{NodeState, Registrar};
use lepton_core::net::Net;
use lepton_mesh::channel::pool::{Pool, PoolConfig};
use lepton_proto::fleet::v1::fleet_service_server::{FleetService, FleetServiceServer};
use lepton_proto::fleet::v1::{WatchStatsRequest, WatchStatsResponse};
use lepton_tests::proxy::{Direction, Flow, Proxy};
use lepton_tests::wait::eventually;
use tokio::task::JoinSet;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::{SOON, Scene, instance};

/// Streams a constant load.
struct Fleet(WatchStatsResponse);

#[tonic::async_trait]
impl FleetService for Fleet {
    type WatchStatsStream = Pin<Box<dyn Stream<Item = Result<WatchStatsResponse, Status>> + Send>>;

    async fn watch_stats(
        &self,
        request: Request<WatchStatsRequest>,
    ) -> Result<Response<Self::WatchStatsStream>, Status> {
        let interval = Duration::from_millis(request.get_ref().interval_ms.into());
        let ticks = tokio_stream::wrappers::IntervalStream::new(tokio::time::interval(interval));
        let stats = self.0.clone();
        Ok(Response::new(Box::pin(ticks.map(move |_| Ok(stats.clone())))))
    }
}

/// An instance that serves its load through a proxy and is registered there.
struct Worker {
    proxy: Proxy,
    registrar: Registrar,
    _tasks: JoinSet<()>,
}

impl Worker {
    async fn start(scene: &Scene, id: &str, in_flight: u32) -> Self {
        let listener = Net::Os.bind("127.0.0.1:0").await.expect("a free port");
        let proxy = Proxy::start(listener.local_addr().to_string()).await;
        let stats = WatchStatsResponse {
            instance: id.into(),
            service: "worker".into(),
            ready: true,
            in_flight,
            slots: 4,
            ..Default::default()
        };
        let incoming = futures::stream::unfold(listener, |listener| async move {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            Some((accepted, listener))
        });
        let mut tasks = JoinSet::new();
        let fleet = FleetServiceServer::new(Fleet(stats));
        tasks.spawn(async move {
            Server::builder()
                .add_service(fleet)
                .serve_with_incoming(incoming)
                .await
                .expect("served");
        });
        let registrar = Registrar::start(scene.etcd.clone(), &scene.context, instance(id, proxy.address()));
        Self {
            proxy,
            registrar,
            _tasks: tasks,
        }
    }
}

fn pool(scene: &Scene) -> Pool {
    Pool::start(scene.directory("worker"), &scene.context, PoolConfig::default())
}

fn picked(pool: &Pool) -> Option<String> {
    pool.pick(&[]).map(|picked| picked.instance.to_string())
}

#[tokio::test]
async fn the_least_loaded_is_picked_and_the_dead_are_not() {
    let scene = Scene::new().await;
    let (idle, _busy) = (
        Worker::start(&scene, "worker-1", 0).await,
        Worker::start(&scene, "worker-2", 3).await,
    );
    let pool = pool(&scene);
    eventually(SOON, || async { pool.answering() == 2 }).await;
    assert_eq!(picked(&pool).as_deref(), Some("worker-1"));
    let first = pool.pick(&[]).expect("one").instance;
    assert_eq!(pool.pick(&[first]).expect("the other").instance.as_str(), "worker-2");
    idle.proxy.refuse(true);
    idle.proxy.cut();
    eventually(SOON, || async { pool.answering() == 1 }).await;
    assert_eq!(picked(&pool).as_deref(), Some("worker-2"));
    idle.proxy.refuse(false);
    eventually(SOON, || async { picked(&pool).as_deref() == Some("worker-1") }).await;
}

#[tokio::test]
async fn a_silent_instance_does_not_count_until_it_speaks() {
    let scene = Scene::new().await;
    let worker = Worker::start(&scene, "worker-1", 0).await;
    let pool = pool(&scene);
    eventually(SOON, || async { pool.answering() == 1 }).await;
    worker.proxy.set(Direction::ToClient, Flow::Hold);
    eventually(SOON, || async { pool.answering() == 0 }).await;
    assert!(pool.pick(&[]).is_none());
    worker.proxy.set(Direction::ToClient, Flow::Pass);
    eventually(SOON, || async { pool.answering() == 1 }).await;
}

#[tokio::test]
async fn a_lost_entry_is_only_a_hint_and_etcd_may_be_away() {
    let mut scene = Scene::new().await;
    let worker = Worker::start(&scene, "worker-1", 0).await;
    let (pool, directory) = (pool(&scene), scene.directory("worker"));
    eventually(SOON, || async { pool.answering() == 1 }).await;
    worker.registrar.leave().await;
    eventually(SOON, || async { directory.view().borrow().is_empty() }).await;
    assert_eq!(picked(&pool).as_deref(), Some("worker-1"));
    scene.real.kill(0);
    assert_eq!(picked(&pool).as_deref(), Some("worker-1"));
    worker.proxy.refuse(true);
    worker.proxy.cut();
    eventually(SOON, || async { pool.pick(&[]).is_none() && pool.stats().is_empty() }).await;
}

#[tokio::test]
async fn a_draining_instance_is_left_alone() {
    let scene = Scene::new().await;
    let (first, _second) = (
        Worker::start(&scene, "worker-1", 0).await,
        Worker::start(&scene, "worker-2", 3).await,
    );
    let pool = pool(&scene);
    eventually(SOON, || async { pool.answering() == 2 }).await;
    first.registrar.set_state(NodeState::Draining);
    eventually(SOON, || async { pool.answering() == 1 }).await;
    assert_eq!(picked(&pool).as_deref(), Some("worker-2"));
    assert_eq!(pool.stats().len(), 2);
}
