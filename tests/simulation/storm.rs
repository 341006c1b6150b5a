//! The leader's process dies, then its successor is cut off from the worker: the task still ends, once.

use std::time::Duration;

use crate::chance::twice;
use crate::client::{Client, History};
use crate::town::{Orders, Town, WORKER};

/// How long the task takes: its end falls into the partition.
const DELAY: Duration = Duration::from_secs(35);
/// Time for the mesh to go on before the next thing happens to it.
const LULL: Duration = Duration::from_secs(10);
/// Longer than a worker may be silent.
const PARTITION: Duration = Duration::from_secs(20);

/// What happens to the hosts while the task runs.
async fn weather(client: &Client, orders: &Orders) {
    tokio::time::sleep(LULL).await;
    let first = client.leader("").await;
    orders.crash(&first);
    let second = client.leader(&first).await;
    tokio::time::sleep(LULL).await;
    orders.bounce(&first);
    tokio::time::sleep(LULL / 2).await;
    turmoil::partition(WORKER, second.as_str());
    tokio::time::sleep(PARTITION).await;
    turmoil::repair(WORKER, second.as_str());
}

/// What a client saw of one task in a mesh of this seed.
fn one_task(seed: u64) -> Vec<String> {
    let (town, history) = (Town::new(seed), History::default());
    let (seen, orders) = (history.clone(), town.orders());
    town.run(async move {
        let client = Client::new(seen);
        let id = client.submit_echo(DELAY).await;
        tokio::join!(client.follow(&id), weather(&client, &orders));
        client.audit().await;
        Ok(())
    });
    history.lines()
}

#[test]
fn a_task_outlives_its_leader_and_a_partition() {
    let told = twice("storm::a_task_outlives_its_leader_and_a_partition", || one_task(7));
    let Some(story) = told else { return };
    let count = |event: &str| {
        story
            .iter()
            .filter(|line| line.contains(&format!(": {event} ")))
            .count()
    };
    assert_eq!(count("epoch_started"), 2, "the successor led to the end: {story:#?}");
    assert_eq!(
        count("attempt_lost"),
        1,
        "the partition outlasted the leader's patience: {story:#?}"
    );
    assert_eq!(count("succeeded"), 1, "{story:#?}");
}
