//! One task runs through gateway, scheduler and worker in virtual time, and twice the same way.

use std::time::Duration;

use crate::chance::{PATIENCE, twice};
use crate::client::{Client, History};
use crate::town::Town;

/// How long the task takes, in the simulation: longer than a story may take, so that nothing can wait for the real clock.
const DELAY: Duration = Duration::from_secs(150);
const _: () = assert!(DELAY.as_secs() > PATIENCE.as_secs());

/// What a client saw of one task in a mesh of this seed.
fn one_task(seed: u64) -> Vec<String> {
    let (town, history) = (Town::new(seed), History::default());
    let seen = history.clone();
    let elapsed = town.run(async move {
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
    let told = twice("calm::minutes_pass_at_once_and_twice_the_same", || one_task(7));
    let Some(story) = told else { return };
    let events = ["epoch_started", "submitted", "started", "succeeded"];
    for event in events {
        let found = story
            .iter()
            .filter(|line| line.contains(&format!(": {event} ")))
            .count();
        assert_eq!(found, 1, "{event} in {story:#?}");
    }
}
