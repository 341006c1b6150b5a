//! Load is counted while it lasts.

use super::*;

fn stats() -> Stats {
    Stats::new(4, &Metrics::new())
}

#[test]
fn what_waits_and_runs_is_counted_until_it_ends() {
    let (stats, clock) = (stats(), Clock::system());
    let (first, second) = (stats.waits(), stats.waits());
    let running = first.runs(clock);
    assert_eq!(
        (stats.load().in_flight, stats.load().queued, stats.load().slots),
        (1, 1, 4)
    );
    drop(second);
    running.ended("echo", Done::Badly);
    stats.waits().runs(clock).ended("echo", Done::Refused);
    drop(stats.waits().runs(clock));
    let expected = Load {
        in_flight: 0,
        queued: 0,
        slots: 4,
        finished_total: 2,
        failed_total: 1,
    };
    assert_eq!(stats.load(), expected);
}
