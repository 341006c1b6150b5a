//! Rings stay small and rates are means over the window.

use super::*;

fn stats(finished_total: u64, failed_total: u64, cpu_us: u64) -> WatchStatsResponse {
    WatchStatsResponse {
        finished_total,
        failed_total,
        cpu_us,
        ..WatchStatsResponse::default()
    }
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn rates_are_means_over_the_window() {
    let mut ring = SampleRing::new(600);
    assert_eq!(ring.rates(), Rates::default());
    ring.push(s(0), &stats(0, 0, 0));
    assert_eq!(ring.rates(), Rates::default(), "one sample has no rate");
    for second in 1..=10 {
        // 100 a second for five seconds, then 20 a second.
        let finished = if second <= 5 {
            second * 100
        } else {
            500 + (second - 5) * 20
        };
        ring.push(s(second), &stats(finished, second, second * 250_000));
    }
    let rates = ring.rates();
    assert_eq!(
        (rates.finished_per_s, rates.failed_per_s, rates.cpu_percent),
        (20.0, 1.0, 25.0)
    );
    let recent: Vec<f64> = ring.recent(6).iter().map(|point| point.rates.finished_per_s).collect();
    assert_eq!(recent, [100.0, 20.0, 20.0, 20.0, 20.0, 20.0]);
    assert_eq!(ring.recent(100).len(), 10);
}

#[test]
fn a_slow_sender_has_a_rate_as_well() {
    let mut ring = SampleRing::new(600);
    ring.push(s(0), &stats(0, 0, 0));
    ring.push(s(60), &stats(120, 0, 0));
    assert_eq!(ring.rates().finished_per_s, 2.0);
}

#[test]
fn a_counter_that_went_back_starts_anew() {
    let mut ring = SampleRing::new(600);
    ring.push(s(0), &stats(1_000, 10, 5_000_000));
    ring.push(s(1), &stats(3, 0, 1_000));
    assert_eq!(ring.rates(), Rates::default());
    ring.push(s(2), &stats(7, 0, 1_000));
    assert_eq!(ring.rates().finished_per_s, 4.0);
}

#[test]
fn a_ring_never_outgrows_its_size() {
    let mut ring = SampleRing::new(600);
    for second in 0..10_000 {
        ring.push(s(second), &stats(second, 0, 0));
    }
    assert_eq!(ring.samples.len(), 600);
    assert_eq!(ring.samples.front().map(|sample| sample.at), Some(s(9_400)));
    assert_eq!(ring.rates().finished_per_s, 1.0);
}

#[test]
fn two_samples_of_one_moment_divide_nothing_by_zero() {
    let mut ring = SampleRing::new(600);
    ring.push(s(1), &stats(0, 0, 0));
    ring.push(s(1), &stats(5, 0, 0));
    assert_eq!(ring.rates(), Rates::default());
}
