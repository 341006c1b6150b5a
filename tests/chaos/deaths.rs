//! kill -9 of one process of a cluster, each in the middle of 10,000 tasks or more.

use std::time::Duration;

use lepton_tests::mesh::{Cluster, Sizes, leader};
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::audit::{Audit, settled, text};
use crate::load::{Load, Plan, Tally};
use crate::serial::{PATIENCE, Watch, exclusive};

/// The cluster of the promise.
pub const SIZES: Sizes = Sizes {
    gateways: 2,
    schedulers: 2,
    workers: 3,
    monitors: 1,
};
/// When to strike: in the middle of the load.
const STRIKE_AT: usize = 3_000;
/// A load that goes on until its test has struck as often as it wants to, and is not faster than the workers.
const LASTING: Plan = Plan {
    open: true,
    rest: Duration::from_millis(300),
    ..Plan::FULL
};
/// Tasks between two deaths of one load.
const BETWEEN: usize = 500;
/// Deaths of one load: a leader, a worker, a gateway and a monitor.
const DEATHS: usize = 4;
/// Seconds, not minutes: what a loss may cost at most on a busy machine.
const RECOVERY_MAX: Duration = Duration::from_secs(20);

/// The addresses of a cluster's gateways.
pub fn gateways(cluster: &Cluster) -> Vec<String> {
    cluster
        .of("gateway")
        .iter()
        .map(|member| member.address.clone())
        .collect()
}

/// The name of the scheduler that leads.
pub async fn leading(rest: &Rest) -> String {
    eventually(PATIENCE, || leader(rest)).await
}

/// Waits for the end of everything and checks the journal.
pub async fn account(cluster: &Cluster, rest: &Rest, tally: &Tally) -> Audit {
    settled(rest).await;
    let audit = Audit::of(&cluster.etcd.endpoints()[0]).await;
    audit.ended_once(tally);
    audit
}

/// Submits tasks that run for a while and go before all others, and waits until one runs on this worker; gives all of them and that one.
async fn occupy(rest: &Rest, worker: &str, delay: Duration) -> (Vec<(String, String)>, String) {
    let mut tasks = Vec::new();
    for number in 0..30 {
        let request = format!("long-{number}");
        let input = json!({"delay_ms": delay.as_millis() as u64});
        let task = rest
            .submit(
                "/api/v1/tasks",
                &json!({"kind": "echo", "input": input, "requestId": request, "priority": 1}),
            )
            .await;
        tasks.push((request, text(&task, "id").to_owned()));
    }
    let found = eventually(PATIENCE, || async {
        let page = rest.get("/api/v1/tasks?state=STATE_RUNNING&pageSize=1000").await.json();
        let tasks = page["tasks"].as_array()?.clone();
        let is_it = |task: &&Value| task["worker"] == worker && text(task, "requestId").starts_with("long-");
        tasks.iter().find(is_it).map(|task| text(task, "id").to_owned())
    });
    let found = found.await;
    (tasks, found)
}

/// Kills one in the middle of the load.
fn strike(cluster: &mut Cluster, victim: &str, load: &mut Load) {
    assert!(load.is_under_way(), "the load is over before {victim} dies");
    cluster.instance(victim).process.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_dies() {
    let _exclusive = exclusive().await;
    let mut cluster = Cluster::start(SIZES).await;
    let rest = cluster.rest(0);
    let mut load = Load::start(&gateways(&cluster), LASTING);
    load.reached(STRIKE_AT).await;
    let victim = cluster.of("worker")[0].instance.clone();
    let delay = Duration::from_secs(3);
    let (long, lost) = occupy(&rest, &victim, delay).await;
    strike(&mut cluster, &victim, &mut load);
    let killed = Watch::start();
    let task = rest.get(&format!("/api/v1/tasks/{lost}:wait?timeout=60s")).await.json();
    let recovery = killed.elapsed().saturating_sub(delay);
    assert_eq!(
        (text(&task, "state"), &task["attempts"]),
        ("STATE_SUCCEEDED", &json!(2)),
        "{task}"
    );
    assert_ne!(task["worker"], victim.as_str());
    let mut tally = load.done().await;
    tally.tasks.extend(long);
    let audit = account(&cluster, &rest, &tally).await;
    let lost = audit.events("attempt_lost").count();
    println!("a worker died: {lost} attempts lost; one of them ran again after {recovery:.1?}");
    assert!(lost > 0, "the worker was running something");
    assert!(recovery < RECOVERY_MAX, "{recovery:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_dies() {
    let _exclusive = exclusive().await;
    let mut cluster = Cluster::start(SIZES).await;
    let rest = cluster.rest(0);
    let first = leading(&rest).await;
    let mut load = Load::start(&gateways(&cluster), Plan::FULL);
    load.reached(STRIKE_AT).await;
    let killed = load.elapsed();
    strike(&mut cluster, &first, &mut load);
    let tally = load.done().await;
    let pause = tally.pause_after(killed);
    let second = leading(&rest).await;
    assert_ne!(first, second, "another leads");
    account(&cluster, &rest, &tally).await;
    println!("the leader died: {pause:.1?} without an acknowledgement");
    assert!(pause < RECOVERY_MAX, "{pause:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_dies() {
    let _exclusive = exclusive().await;
    let mut cluster = Cluster::start(SIZES).await;
    let mut load = Load::start(&gateways(&cluster), Plan::FULL);
    load.reached(STRIKE_AT).await;
    let killed = load.elapsed();
    let victim = cluster.of("gateway")[0].instance.clone();
    strike(&mut cluster, &victim, &mut load);
    let tally = load.done().await;
    let pause = tally.pause_after(killed);
    account(&cluster, &cluster.rest(1), &tally).await;
    println!("a gateway died: {pause:.1?} without an acknowledgement");
    assert!(pause < RECOVERY_MAX, "{pause:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_dies_in_turn() {
    let _exclusive = exclusive().await;
    let mut cluster = Cluster::start(SIZES).await;
    // Members come back on other ports, so the client keeps to one gateway, which stays.
    let rest = cluster.rest(0);
    let gateway = rest.authority().to_owned();
    let mut load = Load::start(std::slice::from_ref(&gateway), LASTING);
    for death in 0..DEATHS {
        let leader = leading(&rest).await;
        let other = |service| {
            let members = cluster.of(service).into_iter();
            let mut names = members
                .filter(|member| member.address != gateway)
                .map(|member| member.instance.clone());
            names.next().expect("more than one")
        };
        let victims = [leader, other("worker"), other("gateway"), other("monitor")];
        let victim = &victims[death % victims.len()];
        load.reached(load.acknowledged() + BETWEEN).await;
        strike(&mut cluster, victim, &mut load);
        cluster.revive(victim).await;
    }
    let tally = load.done().await;
    account(&cluster, &rest, &tally).await;
    println!(
        "{DEATHS} deaths, one after another: {:.1?} without an acknowledgement",
        tally.pause_after(Duration::ZERO)
    );
}
