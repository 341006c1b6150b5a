//! Leaders of lower epochs are refused within an incarnation, and marks only advance.

use super::*;

fn mark(incarnation: &str, segment: u64) -> Mark {
    Mark {
        incarnation: incarnation.to_owned(),
        segment,
        ..Mark::default()
    }
}

fn welcome(incarnation: &str, epoch: u64, segment: u64) -> Welcome {
    Welcome {
        epoch,
        mark: Some(mark(incarnation, segment)),
    }
}

#[test]
fn a_lower_epoch_of_the_same_incarnation_is_refused_and_teaches_nothing() {
    let mut guard = EpochGuard::default();
    guard.admit(&welcome("a", 7, 3)).unwrap();
    guard.admit(&welcome("a", 7, 4)).unwrap();
    assert_eq!(
        guard.admit(&welcome("a", 6, 9)),
        Err(StaleEpoch { offered: 6, known: 7 })
    );
    assert_eq!(guard.mark().segment, 4);
    // The refusal did not lower what is known either.
    assert_eq!(
        guard.admit(&welcome("a", 5, 9)),
        Err(StaleEpoch { offered: 5, known: 7 })
    );
    guard.admit(&welcome("a", 9, 5)).unwrap();
    assert_eq!(
        guard.admit(&welcome("a", 8, 5)),
        Err(StaleEpoch { offered: 8, known: 9 })
    );
}

#[test]
fn epochs_of_another_incarnation_do_not_compare() {
    let mut guard = EpochGuard::default();
    guard.admit(&welcome("a", 9, 5)).unwrap();
    guard.admit(&welcome("b", 2, 1)).unwrap();
    assert_eq!(
        guard.mark(),
        &mark("b", 1),
        "its mark takes the place of the one before"
    );
    assert_eq!(
        guard.admit(&welcome("b", 1, 7)),
        Err(StaleEpoch { offered: 1, known: 2 })
    );
}

#[test]
fn a_refused_leader_of_an_old_incarnation_cannot_come_back_through_a_mark() {
    let mut guard = EpochGuard::default();
    guard.admit(&welcome("a", 9, 5)).unwrap();
    guard.advance(&Mark::default());
    assert_eq!(
        guard.mark(),
        &mark("a", 5),
        "a heartbeat without a mark changes nothing"
    );
    assert!(guard.admit(&welcome("a", 8, 6)).is_err());
}

#[test]
fn marks_only_advance() {
    let mut guard = EpochGuard::default();
    for segment in [3, 5, 4] {
        guard.advance(&mark("a", segment));
    }
    guard.advance(&Mark::default());
    assert_eq!(guard.mark(), &mark("a", 5));
}
