//! Messages that a watcher receives, and when.

use futures::{FutureExt as _, StreamExt as _};
use lepton_domain::reason::Reason;

use super::*;
use lepton_core::error::from_status;

/// Longer than any test: what comes earlier does not come from the interval.
const NEVER: Duration = Duration::from_secs(3_600);

/// Ready, with the number of the message as its load.
#[derive(Debug, Clone)]
struct Counting;

impl StatsSource for Counting {
    type Cursor = u32;

    fn snapshot(&self, told: &mut u32) -> WatchStatsResponse {
        *told += 1;
        WatchStatsResponse {
            ready: true,
            in_flight: *told,
            ..Default::default()
        }
    }
}

fn fleet() -> (StatsService<Counting>, Shutdown, Shutdown) {
    let (draining, closing) = (Shutdown::new(), Shutdown::new());
    let fleet = StatsService::new(Counting, draining.clone(), closing.clone());
    (fleet, draining, closing)
}

fn figures(message: Option<WatchStatsResponse>) -> Option<(u32, bool, bool)> {
    message.map(|it| (it.in_flight, it.ready, it.draining))
}

#[tokio::test]
async fn the_first_message_comes_at_once_and_others_at_the_interval() {
    let (fleet, ..) = fleet();
    let mut slow = Box::pin(fleet.watch(NEVER));
    let first = slow.next().now_or_never().flatten();
    assert!(first.as_ref().is_some_and(|it| it.resident_bytes > 0), "{first:?}");
    assert_eq!(figures(first), Some((1, true, false)));
    assert!(slow.next().now_or_never().is_none());
    let quick = fleet.watch(Duration::from_millis(1)).take(3);
    let told: Vec<_> = quick.map(|it| it.in_flight).collect().await;
    assert_eq!(told, [1, 2, 3], "each watcher has a memory of its own");
}

#[tokio::test]
async fn a_drain_is_told_at_once_and_once() {
    let (fleet, draining, closing) = fleet();
    let mut told = Box::pin(fleet.watch(NEVER));
    assert_eq!(figures(told.next().await), Some((1, true, false)));
    draining.trigger();
    assert_eq!(figures(told.next().await), Some((2, false, true)));
    assert!(told.next().now_or_never().is_none());
    closing.trigger();
    assert_eq!(figures(told.next().await), Some((3, false, true)));
    assert_eq!(figures(told.next().await), None);
}

#[tokio::test]
async fn a_server_that_closes_says_so_in_one_last_message() {
    let (fleet, _, closing) = fleet();
    let mut told = Box::pin(fleet.watch(NEVER));
    assert_eq!(figures(told.next().await), Some((1, true, false)));
    closing.trigger();
    assert_eq!(figures(told.next().await), Some((2, false, true)));
    assert_eq!(figures(told.next().await), None);
    let late: Vec<_> = fleet.watch(NEVER).collect().await;
    assert_eq!(late.len(), 1, "also to whoever asks during it");
}

#[tokio::test]
async fn intervals_have_bounds() {
    let (fleet, ..) = fleet();
    for interval_ms in [0, 50, 60_000] {
        let request = Request::new(WatchStatsRequest { interval_ms });
        assert!(fleet.watch_stats(request).await.is_ok(), "{interval_ms}");
    }
    for interval_ms in [1, 49, 60_001] {
        let request = Request::new(WatchStatsRequest { interval_ms });
        let refused = fleet.watch_stats(request).await.err().expect("refused");
        assert_eq!(from_status(&refused).reason, Reason::FieldInvalid, "{interval_ms}");
    }
    assert_eq!(interval(0).unwrap(), Duration::from_secs(1));
}
