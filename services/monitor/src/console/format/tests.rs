//! Figures read well at every size.

use super::*;

#[test]
fn numbers_have_commas_and_few_decimals() {
    let counts = [0, 999, 1_000, 1_234_567].map(count);
    assert_eq!(counts, ["0", "999", "1,000", "1,234,567"]);
    let rates = [0.0, 0.04, 0.06, 9.94, 9.96, 1_234.4].map(rate);
    assert_eq!(rates, ["0", "0", "0.1", "9.9", "10", "1,234"]);
}

#[test]
fn sizes_and_times_have_fitting_units() {
    let sizes = [12, 2_048, 52_428_800, 3 << 30].map(bytes);
    assert_eq!(sizes, ["12 B", "2.0 KiB", "50 MiB", "3.0 GiB"]);
    let latencies = [730, 4_200, 1_500_000].map(micros);
    assert_eq!(latencies, ["730 µs", "4.2 ms", "1.5 s"]);
    let spans = [5, 65, 3_700, 90_000].map(|seconds| duration(Duration::from_secs(seconds)));
    assert_eq!(spans, ["5 s", "1 min 5 s", "1 h 1 min", "1 d 1 h"]);
    assert_eq!(
        moment(Timestamp::from_micros(1_700_000_000_000_000)),
        "2023-11-14T22:13:20Z"
    );
}

#[test]
fn a_moment_of_another_day_names_the_day() {
    let at = |seconds: u64| Timestamp::from_micros((1_700_000_000 + seconds) * 1_000_000);
    let shown = |now| time(at(0), now).0;
    assert!(shown(at(60)).contains(">22:13:20 UTC<"), "{}", shown(at(60)));
    assert!(
        shown(at(90_000)).contains(">2023-11-14 22:13:20 UTC<"),
        "{}",
        shown(at(90_000))
    );
    assert_eq!(truncate("äöü", 3), "ä…");
}
