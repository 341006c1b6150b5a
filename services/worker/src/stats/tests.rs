//! LoadSnapshot is counted while it lasts.

use super::*;

fn stats() -> Stats {
    Stats::new(4, &Metrics::new())
}

#[test]
fn waiting_and_running_work_is_counted_until_it_ends() {
    let (stats, clock) = (stats(), Clock::system());
    let (first, second) = (stats.enqueue(), stats.enqueue());
    let running = first.start(clock);
    assert_eq!(
        (stats.load().in_flight, stats.load().queued, stats.load().slots),
        (1, 1, 4)
    );
    drop(second);
    running.finish("echo", RunOutcome::Failed);
    stats.enqueue().start(clock).finish("echo", RunOutcome::Refused);
    drop(stats.enqueue().start(clock));
    let expected = LoadSnapshot {
        in_flight: 0,
        queued: 0,
        slots: 4,
        finished_total: 2,
        failed_total: 1,
    };
    assert_eq!(stats.load(), expected);
}
