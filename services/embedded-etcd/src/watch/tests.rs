//! Cursors: slow readers, compaction, progress.

use super::*;
use tokio::sync::mpsc::{Receiver, channel, error::TryRecvError};

fn put(store: &mut Store, key: &str, size: usize) -> i64 {
    store.put(key.as_bytes(), &vec![7; size], 0);
    store.close();
    store.revision()
}

fn everything(start_revision: i64) -> WatchCreateRequest {
    let range_end = Bytes::from_static(&[0]);
    WatchCreateRequest {
        range_end,
        start_revision,
        progress_notify: true,
        ..WatchCreateRequest::default()
    }
}

/// A stream with one watcher over everything, and its answer taken.
fn open(
    store: &Store,
    watches: &mut Watches,
    start: i64,
) -> (StreamId, mpsc::Sender<WatchResponse>, Receiver<WatchResponse>) {
    let (queue, mut responses) = channel(2);
    let stream = watches.open(queue.clone());
    let permit = queue.clone().try_reserve_owned().unwrap();
    watches.create(store, stream, everything(start), permit);
    assert!(responses.try_recv().unwrap().created);
    (stream, queue, responses)
}

fn revisions(response: &WatchResponse) -> Vec<i64> {
    response
        .events
        .iter()
        .map(|event| event.kv.as_ref().unwrap().mod_revision)
        .collect()
}

#[test]
fn nothing_is_told_before_it_is_durable() {
    let mut store = Store::default();
    let mut watches = Watches::new(1);
    let (_, _queue, mut responses) = open(&store, &mut watches, 0);
    put(&mut store, "a", 1);
    put(&mut store, "a", 1);
    watches.advance(&store, 2);
    assert_eq!(revisions(&responses.try_recv().unwrap()), [2]);
    assert_eq!(responses.try_recv(), Err(TryRecvError::Empty));
    watches.advance(&store, 3);
    assert_eq!(revisions(&responses.try_recv().unwrap()), [3]);
}

#[test]
fn a_slow_reader_gets_everything_later() {
    let mut store = Store::default();
    let mut watches = Watches::new(1);
    let (_, _queue, mut responses) = open(&store, &mut watches, 0);
    let mut received = Vec::new();
    for _ in 0..5 {
        let revision = put(&mut store, "a", 1);
        watches.advance(&store, revision);
    }
    assert!(watches.is_lagging());
    while watches.is_lagging() {
        received.extend(revisions(&responses.try_recv().unwrap()));
        watches.advance(&store, 6);
    }
    while let Ok(response) = responses.try_recv() {
        received.extend(revisions(&response));
    }
    assert_eq!(received, [2, 3, 4, 5, 6]);
}

#[test]
fn large_history_comes_in_pieces_of_whole_revisions() {
    let mut store = Store::default();
    for _ in 0..3 {
        store.put(b"a", &vec![7; RESPONSE_BYTES], 0);
        store.put(b"b", &vec![7; RESPONSE_BYTES], 0);
        store.close();
    }
    let mut watches = Watches::new(4);
    let (_, _queue, mut responses) = open(&store, &mut watches, 1);
    for revision in 2..=4 {
        watches.advance(&store, 4);
        let response = responses.try_recv().unwrap();
        assert_eq!(revisions(&response), [revision, revision]);
        assert_eq!(response.header.unwrap().revision, revision);
    }
}

#[test]
fn compaction_ends_a_reader_that_fell_behind() {
    let mut store = Store::default();
    let mut watches = Watches::new(1);
    let (_, _queue, mut responses) = open(&store, &mut watches, 0);
    for _ in 0..5 {
        let revision = put(&mut store, "a", 1);
        watches.advance(&store, revision);
    }
    store.compact(6).unwrap();
    while !responses.try_recv().unwrap().events.is_empty() {
        watches.advance(&store, 6);
        if !watches.is_lagging() {
            break;
        }
    }
    let last = std::iter::from_fn(|| responses.try_recv().ok()).last().unwrap();
    assert_eq!((last.canceled, last.compact_revision), (true, 6));
}

#[test]
fn progress_waits_for_the_events_before_it() {
    let mut store = Store::default();
    let mut watches = Watches::new(1);
    let (stream, queue, mut responses) = open(&store, &mut watches, 0);
    put(&mut store, "a", 1);
    put(&mut store, "a", 1);
    watches.advance(&store, 2);
    let permit = queue.clone().try_reserve_owned().unwrap();
    // The queue is full now: an event and the place of the answer.
    watches.advance(&store, 3);
    watches.report_progress(stream, permit);
    assert_eq!(revisions(&responses.try_recv().unwrap()), [2]);
    watches.advance(&store, 3);
    assert_eq!(revisions(&responses.try_recv().unwrap()), [3]);
    let progress = responses.try_recv().unwrap();
    assert_eq!((progress.watch_id, progress.header.unwrap().revision), (NO_WATCH, 3));
}

#[test]
fn quiet_watchers_hear_of_progress() {
    let mut store = Store::default();
    let mut watches = Watches::new(1);
    let (_, queue, mut responses) = open(&store, &mut watches, 0);
    watches.notify_progress();
    assert_eq!(responses.try_recv().unwrap().header.unwrap().revision, 1);
    let revision = put(&mut store, "a", 1);
    watches.advance(&store, revision);
    assert_eq!(revisions(&responses.try_recv().unwrap()), [2]);
    watches.notify_progress();
    assert_eq!(
        responses.try_recv(),
        Err(TryRecvError::Empty),
        "an event showed as much"
    );
    watches.notify_progress();
    assert!(responses.try_recv().unwrap().events.is_empty());
    drop((queue, responses));
    watches.sweep();
    assert!(watches.streams.is_empty());
}

#[test]
fn what_a_key_was_before_counts_in_the_size_of_a_response() {
    let mut store = Store::default();
    let mut watches = Watches::new(1);
    let (queue, mut responses) = channel(2);
    let stream = watches.open(queue.clone());
    let request = WatchCreateRequest {
        prev_kv: true,
        ..everything(0)
    };
    watches.create(&store, stream, request, queue.try_reserve_owned().unwrap());
    assert!(responses.try_recv().unwrap().created);
    for _ in 0..4 {
        put(&mut store, "a", RESPONSE_BYTES * 2 / 5);
    }
    watches.advance(&store, 5);
    // 0.4 of a response, and twice as much from the second event on.
    assert_eq!(revisions(&responses.try_recv().unwrap()), [2, 3]);
}
