//! One task through gateway, scheduler and worker in virtual time, twice in the same way.

use std::time::Duration;

use crate::client::{Client, History};
use crate::cluster::{Cluster, Size};
use crate::determinism::{PATIENCE, twice};

/// How long the task takes, in the simulation: longer than a simulation may take, so that nothing can wait for the real
/// clock.
const DELAY: Duration = Duration::from_secs(150);
const _: () = assert!(DELAY.as_secs() > PATIENCE.as_secs());

/// The history of one task in a mesh of this seed.
fn one_task(seed: u64) -> Vec<String> {
    let size = Size {
        schedulers: 2,
        workers: 1,
        gateways: 1,
    };
    let (cluster, history) = (Cluster::new(seed, size), History::default());
    let seen = history.clone();
    let elapsed = cluster.run(async move {
        let client = Client::new(seen);
        let id = client.submit_echo(DELAY).await;
        client.follow(&id).await;
        client.audit().await;
        Ok(())
    });
    assert!(elapsed > DELAY, "{elapsed:?}");
    history.lines()
}

#[test]
fn minutes_pass_at_once_and_twice_the_same() {
    let simulated = twice("happy_path::minutes_pass_at_once_and_twice_the_same", || one_task(7));
    let Some(history) = simulated else { return };
    let events = ["epoch_started", "submitted", "started", "succeeded"];
    for event in events {
        let found = history
            .iter()
            .filter(|line| line.contains(&format!(": {event} ")))
            .count();
        assert_eq!(found, 1, "{event} in {history:#?}");
    }
}
