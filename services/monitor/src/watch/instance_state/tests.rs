//! Kills, exits, freezes and restarts are distinguished.

use std::collections::BTreeMap;

use lepton_domain::ids::InstanceId;

use super::*;

const SILENCE_MAX: Duration = Duration::from_secs(5);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn state() -> InstanceState {
    let instance = Instance {
        id: InstanceId::new("worker-a"),
        service: "worker".to_owned(),
        address: "127.0.0.1:1".to_owned(),
        state: NodeState::Ready,
        version: "0.1.0".to_owned(),
        started: Timestamp::default(),
        metadata: BTreeMap::from([("name".to_owned(), "worker-1".to_owned())]),
    };
    InstanceState::new(instance, 600, SILENCE_MAX, ms(0))
}

fn hear(state: &mut InstanceState, at: u64) {
    let stats = WatchStatsResponse {
        ready: true,
        ..WatchStatsResponse::default()
    };
    state.record_report(stats, Timestamp::from_micros(at * 1_000), ms(at));
}

fn standing(state: &InstanceState, at: u64) -> Liveness {
    state.liveness(ms(at))
}

#[test]
fn one_that_was_never_heard_is_gone_after_a_generous_time() {
    let mut state = state();
    state.record_failure(ms(1));
    assert_eq!(standing(&state, 15_000), Liveness::Unknown);
    assert_eq!(standing(&state, 15_001), Liveness::Gone);
    assert_eq!(state.live(), None);
    let expected = state.expected(Timestamp::from_micros(7)).unwrap();
    assert_eq!(
        (expected.since, expected.name.as_deref()),
        (Timestamp::from_micros(7), Some("worker-1"))
    );
    state.reset_after_pause(ms(20_000));
    assert_eq!(standing(&state, 35_000), Liveness::Unknown, "the monitor was stopped");
    state.instance.state = NodeState::Draining;
    assert_eq!(standing(&state, 60_000), Liveness::Unknown, "it says that it leaves");
    state.registered = false;
    assert_eq!(standing(&state, 60_000), Liveness::Left);
    hear(&mut state, 60_001);
    assert_eq!(state.expected(Timestamp::default()), None, "it has reported");
}

#[test]
fn a_killed_one_is_gone_within_a_second() {
    let mut state = state();
    hear(&mut state, 0);
    assert_eq!(standing(&state, 900), Liveness::Answering);
    state.record_failure(ms(1_000));
    state.record_failure(ms(1_100));
    assert_eq!(standing(&state, 1_900), Liveness::Suspect, "one refusal is not enough");
    state.record_failure(ms(1_300));
    assert_eq!(standing(&state, 1_399), Liveness::Suspect);
    assert_eq!(standing(&state, 1_400), Liveness::Gone);
    // Its entry expires with its lease.
    state.registered = false;
    assert_eq!(standing(&state, 9_000), Liveness::Left);
}

#[test]
fn one_that_deletes_its_entry_has_left() {
    let mut state = state();
    hear(&mut state, 0);
    state.record_failure(ms(1_000));
    state.registered = false;
    assert_eq!(standing(&state, 1_001), Liveness::Left);
}

#[test]
fn an_answer_counts_more_than_the_entry() {
    let mut state = state();
    hear(&mut state, 0);
    state.registered = false;
    assert_eq!(standing(&state, 1_000), Liveness::Answering);
}

#[test]
fn one_that_drains_is_never_gone() {
    let mut said = state();
    hear(&mut said, 0);
    said.instance.state = NodeState::Draining;
    let mut ended = state();
    hear(&mut ended, 0);
    ended.record_end(ms(500));
    for state in [&mut said, &mut ended] {
        for at in [1_000, 2_000, 3_000] {
            state.record_failure(ms(at));
        }
        assert_eq!(standing(state, 20_000), Liveness::Suspect);
        assert_eq!(state.live().map(|live| live.draining), Some(true));
        state.registered = false;
        assert_eq!(standing(state, 20_001), Liveness::Left);
    }
    // Its successor under the same name is not draining.
    hear(&mut ended, 30_000);
    assert!(!ended.is_draining());
}

#[test]
fn a_frozen_one_is_gone_until_it_answers_again() {
    let mut state = state();
    hear(&mut state, 0);
    assert_eq!(standing(&state, 5_000), Liveness::Answering);
    assert_eq!(standing(&state, 5_001), Liveness::Gone);
    state.registered = false;
    assert_eq!(
        standing(&state, 60_000),
        Liveness::Gone,
        "it may wake, and then it answers"
    );
    hear(&mut state, 60_000);
    assert_eq!(standing(&state, 60_001), Liveness::Answering);
    assert_eq!(
        state.live().map(|live| live.since.as_millis()),
        Some(60_000),
        "its silence was a break"
    );
}

#[test]
fn silence_while_the_monitor_was_stopped_is_forgiven() {
    let mut state = state();
    hear(&mut state, 0);
    state.reset_after_pause(ms(30_000));
    assert_eq!(standing(&state, 30_001), Liveness::Answering);
    assert_eq!(standing(&state, 36_000), Liveness::Gone);
}

#[test]
fn a_break_begins_a_new_stretch() {
    let mut state = state();
    hear(&mut state, 0);
    hear(&mut state, 1_000);
    assert_eq!(
        state
            .live()
            .map(|live| (live.since.as_millis(), live.heard.as_millis())),
        Some((0, 1_000))
    );
    state.record_failure(ms(1_500));
    hear(&mut state, 2_000);
    let live = state.live().unwrap();
    assert_eq!((live.since.as_millis(), live.heard.as_millis()), (2_000, 2_000));
    assert_eq!(live.name.as_deref(), Some("worker-1"));
}
