//! The leader's process dies, then its successor is cut off from the worker: the task still ends, once.

use std::time::Duration;

use crate::client::{Client, History};
use crate::cluster::{Cluster, Control, Size};
use crate::determinism::twice;

/// How long the task takes: its end falls into the partition.
const DELAY: Duration = Duration::from_secs(35);
/// Time for the mesh to go on before the next thing happens to it.
const LULL: Duration = Duration::from_secs(10);
/// Longer than a worker may be silent.
const PARTITION: Duration = Duration::from_secs(20);

/// What happens to the hosts while the task runs.
async fn faults(client: &Client, control: &Control) {
    tokio::time::sleep(LULL).await;
    let first = client.leader("").await;
    control.crash(&first);
    let second = client.leader(&first).await;
    tokio::time::sleep(LULL).await;
    control.restart(&first);
    tokio::time::sleep(LULL / 2).await;
    turmoil::partition("worker-1", second.as_str());
    tokio::time::sleep(PARTITION).await;
    turmoil::repair("worker-1", second.as_str());
}

/// The history of one task in a mesh of this seed.
fn one_task(seed: u64) -> Vec<String> {
    let size = Size {
        schedulers: 2,
        workers: 1,
        gateways: 1,
    };
    let (cluster, history) = (Cluster::new(seed, size), History::default());
    let (seen, control) = (history.clone(), cluster.control());
    cluster.run(async move {
        let client = Client::new(seen);
        let id = client.submit_echo(DELAY).await;
        tokio::join!(client.follow(&id), faults(&client, &control));
        client.audit().await;
        Ok(())
    });
    history.lines()
}

#[test]
fn a_task_outlives_its_leader_and_a_partition() {
    let simulated = twice("partition::a_task_outlives_its_leader_and_a_partition", || one_task(7));
    let Some(history) = simulated else { return };
    let count = |event: &str| {
        history
            .iter()
            .filter(|line| line.contains(&format!(": {event} ")))
            .count()
    };
    assert_eq!(count("epoch_started"), 2, "the successor led to the end: {history:#?}");
    assert_eq!(
        count("attempt_lost"),
        1,
        "the partition outlasted the leader's patience: {history:#?}"
    );
    assert_eq!(count("succeeded"), 1, "{history:#?}");
}
