//! A standby that suspects its leader, rightly and wrongly.

use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use lepton_coordination::election::{Candidate, FailureDetector, LeaderWatch, Leadership, campaign};
use lepton_coordination::etcd::Etcd;
use lepton_coordination::registry::Registrar;
use lepton_core::context::Context;
use lepton_core::net::Net;
use lepton_domain::ids::InstanceId;
use lepton_tests::proxy::{Connection, Direction, Proxy};
use lepton_tests::wait::eventually;
use tokio::task::JoinSet;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::{SOON, Scene, instance};

/// So long a detector that must not act is watched: many times what one takes that acts.
const WATCHED: Duration = Duration::from_secs(2);

/// So long is the head of a stream's answer, to be told from all else on a connection.
const HEAD_BYTES: usize = 4_096;

/// Always healthy, and verbose about it.
struct Healthy;

#[tonic::async_trait]
impl Health for Healthy {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse::default()))
    }

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let mut response = Response::new(Box::pin(futures::stream::pending()) as Self::WatchStream);
        let padding = "x".repeat(HEAD_BYTES).parse().expect("plain text");
        response.metadata_mut().insert("padding", padding);
        Ok(response)
    }
}

async fn stream_stands(connection: &Connection) {
    eventually(SOON, || async {
        connection.passed(Direction::ToClient) > HEAD_BYTES / 2
    })
    .await;
}

/// A leader with a health service behind a proxy, and a standby that watches it.
struct Stage {
    leader: Leadership,
    health: Proxy,
    detector: FailureDetector,
    tasks: JoinSet<()>,
    _registrar: Registrar,
}

async fn lead(etcd: Etcd, id: &str) -> Leadership {
    let candidate = Candidate {
        service: "scheduler".into(),
        instance: InstanceId::new(id),
    };
    campaign(&etcd, &candidate, &Context::system())
        .await
        .expect("etcd does not refuse")
}

impl Stage {
    async fn new(scene: &Scene) -> Self {
        let mut tasks = JoinSet::new();
        let listener = Net::Os.bind("127.0.0.1:0").await.expect("a free port");
        let health = Proxy::start(listener.local_addr().to_string()).await;
        let service = HealthServer::new(Healthy);
        let incoming = futures::stream::unfold(listener, |listener| async move {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            Some((accepted, listener))
        });
        tasks.spawn(async move {
            Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming)
                .await
                .expect("served");
        });
        let entry = instance("scheduler-1", health.address());
        let registrar = Registrar::start(scene.etcd.clone(), &scene.context, entry);
        let leader = lead(scene.etcd.clone(), "scheduler-1").await;
        let watch = LeaderWatch::start(scene.etcd.clone(), "scheduler");
        let directory = scene.directory("scheduler");
        let detector = FailureDetector::start(&scene.etcd, "scheduler", &watch, &directory, &scene.context);
        detector.arm(true);
        // The stream must stand before its break can mean anything.
        stream_stands(&health.connection(0).await).await;
        Self {
            leader,
            health,
            detector,
            tasks,
            _registrar: registrar,
        }
    }

    async fn stands(&self, scene: &Scene) -> bool {
        scene
            .etcd
            .txn(vec![self.leader.fence()], Vec::new(), Vec::new())
            .await
            .expect("read")
            .succeeded()
    }
}

#[tokio::test]
async fn a_leader_that_cannot_be_reached_is_deposed_though_its_lease_goes_on() {
    let scene = Scene::new().await;
    let stage = Stage::new(&scene).await;
    let mut standby = JoinSet::new();
    standby.spawn(lead(scene.etcd.clone(), "scheduler-2"));
    stage.health.refuse(true);
    stage.health.cut();
    // The leader itself lives and renews its lease; only a deposition ends its reign.
    let elected = tokio::time::timeout(SOON, standby.join_next()).await;
    let next = elected.expect("another leads").expect("one").expect("no panic");
    assert!(next.epoch > stage.leader.epoch);
    assert!(!stage.stands(&scene).await);
    drop(stage.tasks);
}

#[tokio::test]
async fn a_leader_that_can_be_reached_again_stays() {
    let scene = Scene::new().await;
    let stage = Stage::new(&scene).await;
    stage.health.cut();
    // One connection asks whether it is there, the next is the new stream.
    stream_stands(&stage.health.connection(2).await).await;
    assert!(stage.stands(&scene).await);
    drop(stage.detector);
}

#[tokio::test]
async fn a_standby_that_could_not_take_over_deposes_nobody() {
    let scene = Scene::new().await;
    let stage = Stage::new(&scene).await;
    stage.detector.arm(false);
    stage.health.refuse(true);
    stage.health.cut();
    let gone = tokio::time::timeout(WATCHED, stage.leader.lost()).await;
    assert!(gone.is_err(), "a disarmed detector acted");
    assert!(stage.stands(&scene).await);
}
