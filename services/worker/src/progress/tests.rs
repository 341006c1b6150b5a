//! Only the latest counts, and it is bounded.

use lepton_domain::ids::TaskId;

use super::*;

#[test]
fn the_latest_is_told_and_it_is_bounded() {
    let (progress, mut heard) = Progress::new(Clock::system());
    progress.say(0.25, &[("loss", 4.0)]);
    progress.say(7.0, &[("loss", 1.0), ("rate", f64::NAN), ("gap", f64::INFINITY)]);
    progress.say(f64::NAN, &[("loss", 0.0)]);
    let attempt = AttemptId {
        task: TaskId::from_u128(7),
        number: 3,
    };
    let said = heard.borrow_and_update().clone().expect("something was said");
    let told = said.of(attempt).progress.expect("it is there");
    assert_eq!((told.attempt, told.fraction), (3, 1.0));
    assert_eq!(told.figures.into_iter().collect::<Vec<_>>(), [("loss".to_owned(), 1.0)]);
    progress.say(0.5, &[("figure", 1.0); FIGURES_MAX + 1]);
    let said = heard.borrow().clone().expect("something was said");
    assert_eq!(said.figures.len(), FIGURES_MAX);
}

#[test]
fn what_nobody_follows_may_be_said() {
    Progress::unheard().say(0.5, &[]);
}
