//! The console shows who lives, and what does not.

use std::collections::BTreeMap;
use std::time::Duration;

use lepton_coordination::etcd::Etcd;
use lepton_coordination::registry::{Instance, NodeState, Registrar};
use lepton_core::context::Context;
use lepton_core::net::Net;
use lepton_core::shutdown::Shutdown;
use lepton_domain::ids::InstanceId;
use lepton_mesh::server::limits::Limits;
use lepton_mesh::server::serve;
use lepton_mesh::stats_service::{StatsService, StatsSource};
use lepton_proto::fleet::v1::WatchStatsResponse;
use lepton_proto::fleet::v1::fleet_service_server::FleetServiceServer;
use lepton_tests::mesh::{Cluster, Sizes, Up, leader, nodes};
use lepton_tests::process::{children, signal};
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use serde_json::Value;

use crate::audit::text;
use crate::serial::{PATIENCE, Watch, exclusive};

/// How long the monitor may take to notice.
const NOTICE_MAX: Duration = Duration::from_secs(20);
/// A worker that is registered before it answers anybody.
const LATE: &str = "worker-late";

async fn page(console: &Rest) -> String {
    let answer = console.get("/").await;
    assert_eq!(answer.status, 200);
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// Whether the page has a row for this instance.
fn lists(page: &str, instance: &str) -> bool {
    page.contains(&format!("<tr id=\"{instance}\">"))
}

/// The incident about this instance, in this state.
async fn incident(rest: &Rest, subject: &str, state: &str) -> Option<Value> {
    let incidents = rest.get("/api/v1/incidents").await.json();
    let is_it = |incident: &&Value| incident["subject"] == subject && incident["state"] == state;
    incidents["incidents"].as_array()?.iter().find(is_it).cloned()
}

/// Waits until the console and the registry list exactly the same instances, so many.
async fn complete(rest: &Rest, console: &Rest, count: usize) -> Vec<String> {
    let all = eventually(PATIENCE, || async {
        let nodes = nodes(rest).await;
        let ids: Vec<String> = nodes.iter().map(|node| text(node, "id").to_owned()).collect();
        let page = page(console).await;
        (ids.len() == count && ids.iter().all(|id| lists(&page, id))).then_some(ids)
    });
    all.await
}

/// Waits until the loss of an instance is seen everywhere.
async fn lost(rest: &Rest, console: &Rest, instance: &str) -> Duration {
    let killed = Watch::start();
    let open = eventually(PATIENCE, || incident(rest, instance, "STATE_OPEN")).await;
    let noticed = killed.elapsed();
    assert_eq!(text(&open, "rule"), "instance-gone", "{open}");
    assert!(text(&open, "summary").contains(instance), "{open}");
    eventually(PATIENCE, || async { !lists(&page(console).await, instance) }).await;
    eventually(PATIENCE, || async {
        !nodes(rest).await.iter().any(|node| node["id"] == instance)
    })
    .await;
    noticed
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_dies_is_named_until_it_is_back() {
    let _exclusive = exclusive().await;
    let sizes = Sizes {
        gateways: 1,
        schedulers: 2,
        workers: 2,
        monitors: 1,
    };
    let mut cluster = Cluster::start(sizes).await;
    let (rest, console) = (cluster.rest(0), Rest::at(&cluster.of("monitor")[0].address));
    complete(&rest, &console, 6).await;
    assert!(incident(&rest, "worker-3", "STATE_OPEN").await.is_none());
    let victim = cluster.of("worker")[0].instance.clone();
    cluster.instance(&victim).process.kill();
    let noticed = lost(&rest, &console, &victim).await;
    let page = page(&console).await;
    assert!(
        page.contains("OPEN") && page.contains(&victim),
        "the page names it: {page}"
    );
    cluster.revive(&victim).await;
    let closed = eventually(PATIENCE, || incident(&rest, &victim, "STATE_CLOSED")).await;
    assert!(closed["closeTime"].is_string(), "{closed}");
    assert!(incident(&rest, &victim, "STATE_OPEN").await.is_none());
    complete(&rest, &console, 6).await;
    println!("a worker died: the incident was open after {noticed:.1?}");
    assert!(noticed < NOTICE_MAX, "{noticed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_up_is_replaced_and_the_incident_closes() {
    let _exclusive = exclusive().await;
    let up = Up::fresh().await;
    let (rest, console) = (up.rest(), Rest::at(&up.console));
    let before = complete(&rest, &console, 5).await;
    let workers = children(up.process.pid());
    signal(workers[0].0, "KILL");
    let gone = eventually(PATIENCE, || async {
        let incidents = rest.get("/api/v1/incidents").await.json();
        let newest = incidents["incidents"].as_array()?.first()?.clone();
        Some(text(&newest, "subject").to_owned())
    });
    let gone = gone.await;
    assert!(
        before.contains(&gone) && gone.starts_with("worker-"),
        "{gone} of {before:?}"
    );
    eventually(PATIENCE, || incident(&rest, &gone, "STATE_CLOSED")).await;
    let after = complete(&rest, &console, 5).await;
    assert!(!after.contains(&gone), "another took its place: {after:?}");
}

/// The scheduler that leads by the console's picture, with its epoch.
fn led(page: &str) -> Option<(String, u64)> {
    let (_, rest) = page.split_once(" led by ")?;
    let (name, rest) = rest.split_once(" in epoch ")?;
    let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
    Some((name.to_owned(), digits.parse().ok()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_dies_is_named_and_so_is_the_next_one() {
    let _exclusive = exclusive().await;
    let sizes = Sizes {
        gateways: 1,
        schedulers: 2,
        workers: 1,
        monitors: 1,
    };
    let mut cluster = Cluster::start(sizes).await;
    let (rest, console) = (cluster.rest(0), Rest::at(&cluster.of("monitor")[0].address));
    complete(&rest, &console, 5).await;
    let (before, epoch) = eventually(PATIENCE, || async { led(&page(&console).await) }).await;
    assert_eq!(leader(&rest).await.as_ref(), Some(&before));
    cluster.instance(&before).process.kill();
    lost(&rest, &console, &before).await;
    let next = || async { led(&page(&console).await).filter(|(name, _)| *name != before) };
    let (after, later) = eventually(PATIENCE, next).await;
    assert!(later > epoch, "{after} leads in epoch {later}, after {epoch}");
    assert_eq!(leader(&rest).await, Some(after));
}

/// What the late worker tells once it answers.
#[derive(Debug, Clone)]
struct Late;

impl StatsSource for Late {
    type Cursor = ();

    fn snapshot(&self, (): &mut ()) -> WatchStatsResponse {
        WatchStatsResponse {
            instance: LATE.to_owned(),
            service: "worker".to_owned(),
            ..WatchStatsResponse::default()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_never_answers_is_missed_until_it_does() {
    let _exclusive = exclusive().await;
    let sizes = Sizes {
        gateways: 1,
        schedulers: 1,
        workers: 1,
        monitors: 1,
    };
    let cluster = Cluster::start(sizes).await;
    let (rest, console) = (cluster.rest(0), Rest::at(&cluster.of("monitor")[0].address));
    let context = Context::system();
    let store = cluster.etcd.endpoints().into_iter().map(|it| format!("http://{it}"));
    let etcd = Etcd::connect(&context, &store.collect::<Vec<_>>(), "lepton");
    // It takes connections, as the system does that for it, and says nothing on them.
    let listener = Net::Os.bind("127.0.0.1:0").await.expect("a free port");
    let entry = Instance {
        id: InstanceId::new(LATE),
        service: "worker".to_owned(),
        address: listener.local_addr().to_string(),
        state: NodeState::Starting,
        version: "0.1.0".to_owned(),
        started: context.clock.now(),
        metadata: BTreeMap::new(),
    };
    let _registrar = Registrar::start(etcd, &context, entry);
    eventually(PATIENCE, || async { lists(&page(&console).await, LATE) }).await;
    assert!(
        incident(&rest, LATE, "STATE_OPEN").await.is_none(),
        "it may be starting"
    );
    let open = eventually(PATIENCE, || incident(&rest, LATE, "STATE_OPEN")).await;
    assert_eq!(text(&open, "rule"), "instance-gone", "{open}");
    let shutdown = Shutdown::new();
    let told = FleetServiceServer::new(StatsService::new(Late, shutdown.clone(), shutdown.clone()));
    let app = tonic::service::Routes::new(told).into_axum_router();
    let serving = tokio::spawn(serve(listener, app, Limits::default(), shutdown.clone()));
    eventually(PATIENCE, || incident(&rest, LATE, "STATE_CLOSED")).await;
    assert!(lists(&page(&console).await, LATE));
    shutdown.trigger();
    let served = serving.await.expect("the server does not panic");
    assert!(served.is_ok(), "{served:?}");
}
