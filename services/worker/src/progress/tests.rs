//! Only the latest report counts, and it is bounded.

use lepton_domain::ids::TaskId;
use lepton_proto::task::v1 as wire;
use lepton_proto::worker::v1::open_session_request::Message;

use super::*;

fn message(reports: &mut watch::Receiver<Option<ProgressReport>>) -> wire::Progress {
    let attempt = AttemptId {
        task: TaskId::from_u128(7),
        number: 3,
    };
    let report = reports.borrow_and_update().clone().expect("a report was made");
    match report.message(attempt).message {
        Some(Message::Progress(progress)) => progress.progress.expect("it carries figures"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_latest_report_counts_and_it_is_bounded() {
    let (progress, mut reports) = Progress::new(Clock::system());
    progress.report(0.25, &[("loss", 4.0)]);
    progress.report(7.0, &[("loss", 1.0), ("rate", f64::NAN), ("gap", f64::INFINITY)]);
    progress.report(f64::NAN, &[("loss", 0.0)]);
    let sent = message(&mut reports);
    assert_eq!((sent.attempt, sent.fraction), (3, 1.0));
    assert_eq!(sent.figures.into_iter().collect::<Vec<_>>(), [("loss".to_owned(), 1.0)]);
    progress.report(0.5, &[("figure", 1.0); FIGURES_MAX + 1]);
    let report = reports.borrow().clone().expect("a report was made");
    assert_eq!(report.figures.len(), FIGURES_MAX);
}

#[test]
fn reports_of_an_attempt_that_nobody_follows_are_dropped() {
    let (progress, reports) = Progress::new(Clock::system());
    drop(reports);
    progress.report(0.5, &[]);
}
