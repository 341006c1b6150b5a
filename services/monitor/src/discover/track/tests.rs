//! Kills, exits, freezes and restarts, told apart.

use std::collections::BTreeMap;

use lepton_domain::ids::InstanceId;

use super::*;

const SILENCE_MAX: Duration = Duration::from_secs(5);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn track() -> Track {
    let instance = Instance {
        id: InstanceId::new("worker-a"),
        service: "worker".to_owned(),
        address: "127.0.0.1:1".to_owned(),
        state: NodeState::Ready,
        version: "0.1.0".to_owned(),
        started: Timestamp::default(),
        metadata: BTreeMap::from([("name".to_owned(), "worker-1".to_owned())]),
    };
    Track::new(instance, 600, SILENCE_MAX, ms(0))
}

fn hear(track: &mut Track, at: u64) {
    let stats = WatchStatsResponse {
        ready: true,
        ..WatchStatsResponse::default()
    };
    track.hear(stats, Timestamp::from_micros(at * 1_000), ms(at));
}

fn standing(track: &Track, at: u64) -> Standing {
    track.standing(ms(at))
}

#[test]
fn one_that_was_never_heard_is_gone_after_a_generous_time() {
    let mut track = track();
    track.fail(ms(1));
    assert_eq!(standing(&track, 15_000), Standing::Unknown);
    assert_eq!(standing(&track, 15_001), Standing::Gone);
    assert_eq!(track.live(), None);
    let expected = track.expected(Timestamp::from_micros(7)).unwrap();
    assert_eq!(
        (expected.since, expected.name.as_deref()),
        (Timestamp::from_micros(7), Some("worker-1"))
    );
    track.forgive(ms(20_000));
    assert_eq!(standing(&track, 35_000), Standing::Unknown, "the monitor was stopped");
    track.instance.state = NodeState::Draining;
    assert_eq!(standing(&track, 60_000), Standing::Unknown, "it says that it leaves");
    track.registered = false;
    assert_eq!(standing(&track, 60_000), Standing::Left);
    hear(&mut track, 60_001);
    assert_eq!(track.expected(Timestamp::default()), None, "it is heard");
}

#[test]
fn a_killed_one_is_gone_within_a_second() {
    let mut track = track();
    hear(&mut track, 0);
    assert_eq!(standing(&track, 900), Standing::Answering);
    track.fail(ms(1_000));
    track.fail(ms(1_100));
    assert_eq!(standing(&track, 1_900), Standing::Suspect, "one refusal is not enough");
    track.fail(ms(1_300));
    assert_eq!(standing(&track, 1_399), Standing::Suspect);
    assert_eq!(standing(&track, 1_400), Standing::Gone);
    // Its entry expires with its lease.
    track.registered = false;
    assert_eq!(standing(&track, 9_000), Standing::Left);
}

#[test]
fn one_that_deletes_its_entry_has_left() {
    let mut track = track();
    hear(&mut track, 0);
    track.fail(ms(1_000));
    track.registered = false;
    assert_eq!(standing(&track, 1_001), Standing::Left);
}

#[test]
fn an_answer_counts_more_than_the_entry() {
    let mut track = track();
    hear(&mut track, 0);
    track.registered = false;
    assert_eq!(standing(&track, 1_000), Standing::Answering);
}

#[test]
fn one_that_drains_is_never_gone() {
    let mut said = track();
    hear(&mut said, 0);
    said.instance.state = NodeState::Draining;
    let mut ended = track();
    hear(&mut ended, 0);
    ended.end(ms(500));
    for track in [&mut said, &mut ended] {
        for at in [1_000, 2_000, 3_000] {
            track.fail(ms(at));
        }
        assert_eq!(standing(track, 20_000), Standing::Suspect);
        assert_eq!(track.live().map(|live| live.draining), Some(true));
        track.registered = false;
        assert_eq!(standing(track, 20_001), Standing::Left);
    }
    // Its successor under the same name is not draining.
    hear(&mut ended, 30_000);
    assert!(!ended.is_draining());
}

#[test]
fn a_frozen_one_is_gone_until_it_answers_again() {
    let mut track = track();
    hear(&mut track, 0);
    assert_eq!(standing(&track, 5_000), Standing::Answering);
    assert_eq!(standing(&track, 5_001), Standing::Gone);
    track.registered = false;
    assert_eq!(
        standing(&track, 60_000),
        Standing::Gone,
        "it may wake, and then it answers"
    );
    hear(&mut track, 60_000);
    assert_eq!(standing(&track, 60_001), Standing::Answering);
    assert_eq!(
        track.live().map(|live| live.since.as_millis()),
        Some(60_000),
        "its silence was a break"
    );
}

#[test]
fn silence_while_the_monitor_was_stopped_is_forgiven() {
    let mut track = track();
    hear(&mut track, 0);
    track.forgive(ms(30_000));
    assert_eq!(standing(&track, 30_001), Standing::Answering);
    assert_eq!(standing(&track, 36_000), Standing::Gone);
}

#[test]
fn a_break_begins_a_new_stretch() {
    let mut track = track();
    hear(&mut track, 0);
    hear(&mut track, 1_000);
    assert_eq!(
        track
            .live()
            .map(|live| (live.since.as_millis(), live.heard.as_millis())),
        Some((0, 1_000))
    );
    track.fail(ms(1_500));
    hear(&mut track, 2_000);
    let live = track.live().unwrap();
    assert_eq!((live.since.as_millis(), live.heard.as_millis()), (2_000, 2_000));
    assert_eq!(live.name.as_deref(), Some("worker-1"));
}
