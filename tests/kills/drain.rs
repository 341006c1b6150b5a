//! SIGTERM under load: whatever was accepted is answered, the exit code is 0, and nobody is left behind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lepton_tests::mesh::{Cluster, Options, Up};
use lepton_tests::process::{children, is_alive};
use lepton_tests::rest::{Broken, Rest};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::audit::{Audit, settled, text};
use crate::deaths::{SIZES, account, gateways, leading};
use crate::load::{Load, Plan, Tally};
use crate::turn::{Watch, turn};

/// Clients at once.
const CLIENTS: usize = 16;
/// How long the load runs before the signal.
const BEFORE: Duration = Duration::from_secs(2);

/// A client that submits and analyses in turn until it cannot connect any more; gives the acknowledged tasks.
async fn client(rest: Rest, name: usize, terminating: Arc<AtomicBool>) -> BTreeMap<String, String> {
    let rows: Vec<Value> = (0..2_000).map(|row| json!({"a": row, "b": row * 2})).collect();
    let rows = json!({"data": rows}).to_string();
    let mut acknowledged = BTreeMap::new();
    for number in 0.. {
        let request = format!("client-{name}-{number}");
        let submit = json!({"kind": "echo", "input": {"delay_ms": 20}, "requestId": request}).to_string();
        for (path, body) in [("/api/v1/tasks", submit), ("/api/v1/analyze", rows.clone())] {
            let late = terminating.load(Ordering::SeqCst);
            let sent = rest.request(http::Method::POST, path, body.into());
            match rest.attempt(sent).await {
                Ok(answer) if answer.status == 200 => {
                    if path.ends_with("tasks") {
                        acknowledged.insert(request.clone(), text(&answer.json(), "id").to_owned());
                    }
                }
                // What comes after the signal may be sent away, or find nobody; what came before is answered.
                Ok(answer) => assert!(late && answer.status == 503, "{path}: {}", answer.text()),
                Err(Broken::Late) => panic!("{path}: no answer"),
                Err(broken) if late => {
                    if let Broken::Connection(_) = broken {
                        return acknowledged;
                    }
                }
                Err(broken) => panic!("{path}: accepted before the signal, and then: {broken}"),
            }
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn up_answers_what_it_accepted_and_leaves_nobody() {
    let _turn = turn().await;
    let mut up = Up::fresh().await;
    let (rest, data) = (up.rest(), Arc::clone(&up.data));
    let workers = children(up.process.pid());
    let terminating = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    (0..CLIENTS).for_each(|name| drop(clients.spawn(client(rest.clone(), name, Arc::clone(&terminating)))));
    tokio::time::sleep(BEFORE).await;
    terminating.store(true, Ordering::SeqCst);
    up.process.terminate();
    let watch = Watch::start();
    let status = up.process.end().await;
    let took = watch.elapsed();
    assert_eq!(status.code(), Some(0), "{status}\n{}", up.process.stderr());
    let left: Vec<_> = workers.iter().filter(|(pid, _)| is_alive(*pid)).collect();
    assert!(left.is_empty(), "orphans: {left:?}");
    let mut tally = Tally::default();
    while let Some(client) = clients.join_next().await {
        tally.tasks.extend(client.expect("a client has failed"));
    }
    drop(up);

    let up = Up::start(Options {
        data: Some(data),
        ..Options::default()
    })
    .await;
    settled(&up.rest()).await;
    let audit = Audit::of(&up.etcd).await;
    let acknowledged = tally.tasks.len();
    for (request, task) in &tally.tasks {
        assert_eq!(
            audit.requested(request),
            Some(task.as_str()),
            "{request} was acknowledged"
        );
    }
    assert_eq!(text(&audit.found, "liveCount"), "0", "{}", audit.found);
    assert_eq!(
        audit.events("attempt_lost").count(),
        0,
        "workers finish what they have begun"
    );
    println!("SIGTERM: {acknowledged} tasks acknowledged before it, down after {took:.1?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_of_a_cluster_leave_in_order() {
    let _turn = turn().await;
    let mut cluster = Cluster::start(SIZES).await;
    let rest = cluster.rest(1);
    let load = Load::start(
        &gateways(&cluster),
        Plan {
            rest: Duration::from_millis(100),
            ..Plan::FULL
        },
    );
    load.reached(1_000).await;
    let first = leading(&rest).await;
    let leavers = [
        cluster.of("worker")[0].instance.clone(),
        first,
        cluster.of("gateway")[0].instance.clone(),
    ];
    for leaver in leavers {
        let since = load.elapsed();
        let process = &mut cluster.instance(&leaver).process;
        process.terminate();
        let status = process.end().await;
        assert_eq!(status.code(), Some(0), "{leaver}: {status}\n{}", process.stderr());
        println!("{leaver} left in order after {:.1?}", load.elapsed() - since);
    }
    let tally = load.done().await;
    let audit = account(&cluster, &rest, &tally).await;
    assert_eq!(
        audit.events("attempt_lost").count(),
        0,
        "who leaves in order loses nothing"
    );
}
