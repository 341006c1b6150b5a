//! SIGTERM under load: whatever was accepted is answered, the exit code is 0, and nobody is left behind.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lepton_tests::mesh::{Cluster, Options, Up};
use lepton_tests::process::{children, is_alive};
use lepton_tests::rest::Rest;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::audit::{Audit, settled, text};
use crate::deaths::{SIZES, account, gateways, leading};
use crate::exchange::{Exchange, post};
use crate::load::{Load, Plan};
use crate::serial::{Watch, exclusive};

/// Clients at once.
const CLIENTS: usize = 16;
/// How long the load runs before the signal.
const BEFORE: Duration = Duration::from_secs(2);

/// What tells the clients of a gateway how things stand.
#[derive(Debug, Default)]
struct Signs {
    /// The gateway is told to go.
    going: AtomicBool,
    /// Somebody else in the mesh goes, which may be a reason to ask for patience.
    moving: bool,
    /// The test is over.
    over: AtomicBool,
}

/// What a client has seen.
#[derive(Debug, Default)]
struct Seen {
    /// The acknowledged tasks by request id.
    acknowledged: BTreeMap<String, String>,
    /// Submits that were answered otherwise.
    turned_away: Vec<Value>,
}

/// A client that submits and analyses in turn until it is over or nobody listens any more.
async fn client(rest: Rest, name: usize, signs: Arc<Signs>) -> Seen {
    let rows: Vec<Value> = (0..2_000).map(|row| json!({"a": row, "b": row * 2})).collect();
    let rows = json!({"data": rows}).to_string();
    let mut seen = Seen::default();
    for number in 0.. {
        if signs.over.load(Ordering::SeqCst) {
            break;
        }
        let request = format!("client-{name}-{number}");
        let submit = json!({"kind": "echo", "input": {"delay_ms": 20}, "requestId": request});
        for (path, body) in [("/api/v1/tasks", submit.to_string()), ("/api/v1/analyze", rows.clone())] {
            let is_submit = path.ends_with("tasks");
            match post(rest.authority(), path, &body, &signs.going).await {
                Exchange::Answered(answer) if answer.status == 200 => {
                    if is_submit {
                        let task = text(&answer.json(), "id").to_owned();
                        seen.acknowledged.insert(request.clone(), task);
                    }
                }
                // What is taken up after the signal may be sent away; what was before is done.
                Exchange::Answered(answer) => {
                    let excused = answer.late || signs.moving && is_submit;
                    assert!(excused && answer.status == 503, "{path}: {answer:?}");
                    seen.turned_away.extend(is_submit.then(|| submit.clone()));
                }
                // The flag is read after the fact: the signal may have come while the connection waited.
                Exchange::Unheard => assert!(signs.going.load(Ordering::SeqCst), "{path}: cut off"),
                Exchange::Refused => {
                    assert!(signs.going.load(Ordering::SeqCst), "{path}: nobody listens");
                    return seen;
                }
            }
        }
    }
    seen
}

/// Clients of one gateway, at once.
fn clients(rest: &Rest, names: Range<usize>, signs: &Arc<Signs>) -> JoinSet<Seen> {
    names
        .map(|name| client(rest.clone(), name, Arc::clone(signs)))
        .collect()
}

/// Waits until the clients are done, and gives what all of them have seen.
async fn seen(clients: JoinSet<Seen>) -> Seen {
    let mut all = Seen::default();
    for seen in clients.join_all().await {
        all.acknowledged.extend(seen.acknowledged);
        all.turned_away.extend(seen.turned_away);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn up_answers_what_it_accepted_and_leaves_nobody() {
    let _exclusive = exclusive().await;
    let mut up = Up::fresh().await;
    let (rest, data) = (up.rest(), Arc::clone(&up.data));
    let workers = children(up.process.pid());
    let signs = Arc::new(Signs::default());
    let clients = clients(&rest, 0..CLIENTS, &signs);
    tokio::time::sleep(BEFORE).await;
    signs.going.store(true, Ordering::SeqCst);
    up.process.terminate();
    let watch = Watch::start();
    let status = up.process.end().await;
    let took = watch.elapsed();
    assert_eq!(status.code(), Some(0), "{status}\n{}", up.process.stderr());
    let left: Vec<_> = workers.iter().filter(|(pid, _)| is_alive(*pid)).collect();
    assert!(left.is_empty(), "orphans: {left:?}");
    let tasks = seen(clients).await.acknowledged;
    drop(up);

    let up = Up::start(Options {
        data: Some(data),
        ..Options::default()
    })
    .await;
    settled(&up.rest()).await;
    let audit = Audit::of(&up.etcd).await;
    let acknowledged = tasks.len();
    assert!(acknowledged > 0, "there was a load");
    for (request, task) in &tasks {
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
    let _exclusive = exclusive().await;
    let mut cluster = Cluster::start(SIZES).await;
    let rest = cluster.rest(1);
    let load = Load::start(
        &gateways(&cluster),
        Plan {
            rest: Duration::from_millis(100),
            ..Plan::FULL
        },
    );
    let moving = || Signs {
        moving: true,
        ..Signs::default()
    };
    let signs = [Arc::new(moving()), Arc::new(moving())];
    let half = CLIENTS / 2;
    let leaving = clients(&cluster.rest(0), 0..half, &signs[0]);
    let staying = clients(&rest, half..CLIENTS, &signs[1]);
    load.reached(1_000).await;
    let first = leading(&rest).await;
    let leavers = [
        cluster.of("worker")[0].instance.clone(),
        first,
        cluster.of("gateway")[0].instance.clone(),
    ];
    for leaver in leavers {
        let since = load.elapsed();
        let is_gateway = leaver.starts_with("gateway");
        let process = &mut cluster.instance(&leaver).process;
        signs[0].going.store(is_gateway, Ordering::SeqCst);
        process.terminate();
        let status = process.end().await;
        assert_eq!(status.code(), Some(0), "{leaver}: {status}\n{}", process.stderr());
        println!("{leaver} left in order after {:.1?}", load.elapsed() - since);
    }
    let mut tally = load.done().await;
    signs[1].over.store(true, Ordering::SeqCst);
    for clients in [leaving, staying] {
        let seen = seen(clients).await;
        println!(
            "{} acknowledged, {} turned away",
            seen.acknowledged.len(),
            seen.turned_away.len()
        );
        tally.tasks.extend(seen.acknowledged);
        for submit in seen.turned_away {
            let task = rest.submit("/api/v1/tasks", &submit).await;
            tally
                .tasks
                .insert(text(&submit, "requestId").to_owned(), text(&task, "id").to_owned());
        }
    }
    let audit = account(&cluster, &rest, &tally).await;
    assert_eq!(
        audit.events("attempt_lost").count(),
        0,
        "who leaves in order loses nothing"
    );
}
