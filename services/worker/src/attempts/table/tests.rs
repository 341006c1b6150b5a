//! Every transition of the table, those that change nothing included.

use lepton_core::clock::Clock;
use lepton_domain::ids::TaskId;
use lepton_domain::reason::Reason;
use lepton_domain::task::Payload;
use lepton_proto::worker::v1::open_session_request::Message;
use proptest::prelude::*;

use super::*;
use crate::kind::Failure;
use crate::progress::Progress;

fn id(number: u32) -> AttemptId {
    AttemptId {
        task: TaskId::from_u128(7),
        number,
    }
}

fn output(text: &str) -> AttemptOutcome {
    AttemptOutcome::Output(Payload::json(text.to_owned()))
}

/// Assigns an attempt that has to be new, and returns its token and its progress.
fn run(table: &mut AttemptTable, number: u32) -> (CancellationToken, Progress) {
    let (progress, reports) = Progress::new(Clock::system());
    match table.assign(id(number), reports) {
        AssignResult::Run(stop) => (stop, progress),
        other => panic!("{other:?}"),
    }
}

fn assign_again(table: &mut AttemptTable, number: u32) -> AssignResult {
    table.assign(id(number), Progress::new(Clock::system()).1)
}

/// Numbers of all attempts held, and of those that have ended.
fn held(table: &AttemptTable) -> (Vec<u32>, Vec<u32>) {
    let numbers = |attempts: Vec<Attempt>| attempts.into_iter().map(|attempt| attempt.number).collect();
    let HeldAttempts { all, ended } = table.declare();
    (numbers(all), numbers(ended))
}

#[test]
fn an_attempt_is_run_once_however_often_it_is_assigned() {
    let mut table = AttemptTable::new(8);
    let (stop, _progress) = run(&mut table, 1);
    assert!(matches!(assign_again(&mut table, 1), AssignResult::Held), "it runs");
    assert!(!stop.is_cancelled());
    assert!(table.finish(id(1), &output("7")).is_some());
    assert!(
        matches!(assign_again(&mut table, 1), AssignResult::Held),
        "its report is not settled"
    );
    assert_eq!(held(&table), (vec![1], vec![1]));
    table.settle(id(1));
    run(&mut table, 1);
}

#[test]
fn a_full_table_refuses_and_has_room_again_after_a_settlement() {
    let mut table = AttemptTable::new(2);
    let _running = (run(&mut table, 1), run(&mut table, 2));
    assert!(matches!(assign_again(&mut table, 3), AssignResult::Full));
    assert!(
        matches!(assign_again(&mut table, 2), AssignResult::Held),
        "held comes first"
    );
    table.finish(id(2), &output("7"));
    assert!(
        matches!(assign_again(&mut table, 3), AssignResult::Full),
        "reports take room"
    );
    table.settle(id(2));
    run(&mut table, 3);
    assert_eq!(table.len(), 2);
}

#[test]
fn a_report_is_kept_unchanged_until_it_is_settled() {
    let mut table = AttemptTable::new(8);
    let _running = (run(&mut table, 1), run(&mut table, 2));
    let failure = AttemptOutcome::Failure(Failure::retryable(Reason::Timeout, "slow"));
    let report = table.finish(id(1), &failure).expect("a report");
    assert!(matches!(&report.message, Some(Message::Report(report)) if report.retryable));
    assert_eq!(
        table.unsettled(),
        std::slice::from_ref(&report),
        "running ones have none"
    );
    assert_eq!(table.finish(id(1), &output("7")), None, "an attempt ends once");
    assert_eq!(table.unsettled(), [report]);
    table.settle(id(1));
    assert_eq!((table.unsettled(), table.len()), (Vec::new(), 1));
}

#[test]
fn a_settlement_of_an_earlier_session_does_not_forget_what_runs() {
    let mut table = AttemptTable::new(8);
    let (stop, _progress) = run(&mut table, 1);
    table.settle(id(1));
    assert_eq!(held(&table), (vec![1], vec![]));
    assert!(!stop.is_cancelled());
}

#[test]
fn a_stopped_attempt_is_cancelled_and_has_no_report() {
    let mut table = AttemptTable::new(8);
    let (stop, _progress) = run(&mut table, 1);
    table.stop(id(1));
    assert!(stop.is_cancelled());
    assert_eq!(held(&table), (vec![], vec![]));
    assert_eq!(table.finish(id(1), &AttemptOutcome::Stopped), None);
    assert_eq!(
        table.finish(id(1), &output("7")),
        None,
        "it ended before the stop reached it"
    );
    // An attempt may stop by itself, as one whose deadline passed while its token was untouched.
    run(&mut table, 2);
    assert_eq!(table.finish(id(2), &AttemptOutcome::Stopped), None);
    // The leader may stop one whose report is on its way.
    run(&mut table, 3);
    table.finish(id(3), &output("7"));
    table.stop(id(3));
    assert_eq!((table.len(), table.unsettled()), (0, Vec::new()));
}

#[test]
fn progress_is_taken_once_and_repeated_for_a_new_leader() {
    let mut table = AttemptTable::new(8);
    let attempts: Vec<_> = (1..=3).map(|number| run(&mut table, number)).collect();
    for (_, progress) in &attempts {
        progress.report(0.5, &[]);
    }
    let numbers = |messages: Vec<OpenSessionRequest>| -> Vec<u32> {
        let number = |message: OpenSessionRequest| match message.message {
            Some(Message::Progress(progress)) => progress.attempt.map_or(0, |attempt| attempt.number),
            other => panic!("{other:?}"),
        };
        messages.into_iter().map(number).collect()
    };
    assert_eq!(numbers(table.take_progress(2)), [1, 2]);
    assert_eq!(numbers(table.take_progress(2)), [3], "the one left out keeps it");
    assert_eq!(numbers(table.take_progress(8)), [0_u32; 0]);
    table.repeat_progress();
    table.finish(id(2), &output("7"));
    assert_eq!(
        numbers(table.take_progress(8)),
        [1, 3],
        "the report of the second says more"
    );
}

/// A step in the life of one of four attempts.
#[derive(Debug, Clone, Copy)]
enum Step {
    Assign(u32),
    Finish(u32),
    Settle(u32),
    Stop(u32),
}

fn step() -> impl Strategy<Value = Step> {
    (0..4_u32, 0..4_u8).prop_map(|(number, step)| match step {
        0 => Step::Assign(number),
        1 => Step::Finish(number),
        2 => Step::Settle(number),
        _ => Step::Stop(number),
    })
}

proptest! {
    /// Against the module's own table of transitions: nothing, running, reported.
    #[test]
    fn any_order_of_messages_is_what_the_table_of_transitions_gives(
        steps in prop::collection::vec(step(), 0..64)
    ) {
        let mut table = AttemptTable::new(3);
        let mut expected: BTreeMap<u32, bool> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Assign(number) => {
                    let result = assign_again(&mut table, number);
                    match (expected.contains_key(&number), expected.len()) {
                        (true, _) => prop_assert!(matches!(result, AssignResult::Held)),
                        (false, 3..) => prop_assert!(matches!(result, AssignResult::Full)),
                        (false, _) => {
                            prop_assert!(matches!(result, AssignResult::Run(_)));
                            expected.insert(number, false);
                        }
                    }
                }
                Step::Finish(number) => {
                    let report = table.finish(id(number), &output("7"));
                    let runs = expected.get(&number) == Some(&false);
                    prop_assert_eq!(report.is_some(), runs);
                    if runs {
                        expected.insert(number, true);
                    }
                }
                Step::Settle(number) => {
                    table.settle(id(number));
                    if expected.get(&number) == Some(&true) {
                        expected.remove(&number);
                    }
                }
                Step::Stop(number) => {
                    table.stop(id(number));
                    expected.remove(&number);
                }
            }
            let all: Vec<u32> = expected.keys().copied().collect();
            let ended: Vec<u32> = expected.iter().filter(|(_, ended)| **ended).map(|(number, _)| *number).collect();
            prop_assert_eq!(table.unsettled().len(), ended.len());
            prop_assert_eq!(held(&table), (all, ended));
        }
    }
}
