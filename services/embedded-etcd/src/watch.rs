//! Watches: streams, their watchers, and the position of each.
//!
//! Every watcher has a cursor, the next revision that it has not examined. Events come from history between the cursor and what
//! is durable, so a watch of the past, a slow client and a live watch are one case. A client that does not read fills only its
//! own stream's queue: its cursor stays, and once compaction passes it the watch is cancelled with the compaction point. Events of
//! one revision are never split. Answers to the client's own commands come with a permit, a place kept in the queue, so that
//! they can neither be lost nor overtaken.

use crate::{
    keyrange::KeyRange,
    kv::Store,
    machine,
    revision::Version,
    wire::{Event, FilterType, WatchCreateRequest, WatchResponse},
};
use bytes::Bytes;
use std::collections::BTreeMap;
use tokio::sync::mpsc;

#[cfg(test)]
mod tests;

/// Responses queued for one stream.
pub(crate) const QUEUE_RESPONSES: usize = 32;

/// A response closes after this many events or bytes, at the end of a revision.
const RESPONSE_EVENTS: usize = 1000;
const RESPONSE_BYTES: usize = 2 << 20;

/// The id in answers that concern a whole stream, or no watch at all.
const NO_WATCH: i64 = -1;

/// A place in the queue of a stream.
pub(crate) type Permit = mpsc::OwnedPermit<WatchResponse>;

/// One `Watch` call.
pub(crate) type StreamId = u64;

#[derive(Debug)]
struct Watcher {
    range: KeyRange,
    /// The next revision to examine.
    next: i64,
    puts: bool,
    deletes: bool,
    prev_kv: bool,
    progress: bool,
    /// Nothing was sent since the last progress round.
    quiet: bool,
}

#[derive(Debug)]
struct Stream {
    queue: mpsc::Sender<WatchResponse>,
    watchers: BTreeMap<i64, Watcher>,
    next_id: i64,
    /// A progress request that waits until all watchers have caught up. One answer serves all that came meanwhile.
    pending_progress: Option<Permit>,
}

/// All watches, over a store that is durable up to one revision.
#[derive(Debug)]
pub(crate) struct Watches {
    streams: BTreeMap<StreamId, Stream>,
    next_stream: StreamId,
    /// The revision up to which everything is durable.
    durable: i64,
}

impl Watches {
    /// Makes an empty set over a store that is durable up to this revision.
    pub fn new(durable: i64) -> Self {
        Self {
            streams: BTreeMap::new(),
            next_stream: 0,
            durable,
        }
    }

    /// Adds a stream; it goes when its queue is closed.
    pub fn open(&mut self, queue: mpsc::Sender<WatchResponse>) -> StreamId {
        let id = self.next_stream;
        self.next_stream += 1;
        self.streams.insert(
            id,
            Stream {
                queue,
                watchers: BTreeMap::new(),
                next_id: 0,
                pending_progress: None,
            },
        );
        id
    }

    /// Adds a watcher, confirms it, and sends the events since its start revision.
    pub fn create(&mut self, store: &Store, stream: StreamId, request: WatchCreateRequest, permit: Permit) {
        let durable = self.durable;
        let Some(stream) = self.streams.get_mut(&stream) else {
            return;
        };
        let wanted = request.watch_id;
        let watcher = Watcher::new(request, durable);
        let error = if wanted != 0 && stream.watchers.contains_key(&wanted) {
            Some("mvcc: duplicate watch ID provided on the WatchStream")
        } else if watcher.range.is_empty() {
            Some("mvcc: watcher range is empty")
        } else {
            None
        };
        let created = WatchResponse {
            created: true,
            ..response(durable, NO_WATCH)
        };
        if let Some(reason) = error {
            permit.send(WatchResponse {
                canceled: true,
                cancel_reason: reason.into(),
                ..created
            });
            return;
        }
        let id = if wanted != 0 { wanted } else { stream.free_id() };
        permit.send(WatchResponse {
            watch_id: id,
            ..created
        });
        stream.watchers.insert(id, watcher);
        stream.advance(store, durable);
    }

    /// Ends a watcher; an unknown one gets no answer.
    pub fn cancel(&mut self, stream: StreamId, id: i64, permit: Permit) {
        let Some(stream) = self.streams.get_mut(&stream) else {
            return;
        };
        if stream.watchers.remove(&id).is_some() {
            permit.send(WatchResponse {
                canceled: true,
                ..response(self.durable, id)
            });
        }
    }

    /// Reports the progress of a stream's watchers to it, at once or when they have caught up.
    pub fn report_progress(&mut self, stream: StreamId, permit: Permit) {
        let Some(stream) = self.streams.get_mut(&stream) else {
            return;
        };
        stream.pending_progress = Some(permit);
        stream.answer_progress(self.durable);
    }

    /// Sends events that became durable, and those that did not fit earlier.
    pub fn advance(&mut self, store: &Store, durable: i64) {
        self.durable = durable;
        for stream in self.streams.values_mut() {
            stream.advance(store, durable);
        }
    }

    /// Returns true if a watcher has events to come.
    pub fn is_lagging(&self) -> bool {
        self.streams.values().any(|stream| stream.is_lagging(self.durable))
    }

    /// Removes streams whose client has gone.
    pub fn sweep(&mut self) {
        self.streams.retain(|_, stream| !stream.queue.is_closed());
    }

    /// Sends progress notifications to watchers that requested them and got nothing since the last round.
    pub fn notify_progress(&mut self) {
        let durable = self.durable;
        for stream in self.streams.values_mut() {
            for (id, watcher) in &mut stream.watchers {
                if watcher.progress && watcher.quiet && watcher.next > durable {
                    // A full queue holds events, which show the progress as well.
                    stream.queue.try_send(response(durable, *id)).ok();
                }
                watcher.quiet = true;
            }
        }
    }
}

impl Stream {
    fn free_id(&mut self) -> i64 {
        while self.watchers.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        self.next_id - 1
    }

    fn is_lagging(&self, durable: i64) -> bool {
        self.watchers.values().any(|watcher| watcher.next <= durable)
    }

    fn advance(&mut self, store: &Store, durable: i64) {
        let queue = &self.queue;
        self.watchers.retain(|id, watcher| {
            if watcher.next > durable || queue.capacity() == 0 {
                return true;
            }
            if watcher.next < store.compacted() {
                let gone = WatchResponse {
                    canceled: true,
                    compact_revision: store.compacted(),
                    ..response(0, *id)
                };
                return queue.try_send(gone).is_err();
            }
            let (events, next) = watcher.collect(store, durable);
            let sent = events.is_empty()
                || queue
                    .try_send(WatchResponse {
                        events,
                        ..response(next - 1, *id)
                    })
                    .is_ok();
            if sent {
                watcher.next = next;
            }
            true
        });
        self.answer_progress(durable);
    }

    fn answer_progress(&mut self, durable: i64) {
        if self.is_lagging(durable) {
            return;
        }
        if let Some(permit) = self.pending_progress.take() {
            permit.send(response(durable, NO_WATCH));
        }
    }
}

impl Watcher {
    fn new(request: WatchCreateRequest, durable: i64) -> Self {
        let excludes = |filter: FilterType| request.filters.contains(&i32::from(filter));
        // An empty key means the first possible one.
        let key = if request.key.is_empty() {
            Bytes::from_static(&[0])
        } else {
            request.key.clone()
        };
        Self {
            range: KeyRange::new(&key, &request.range_end),
            next: if request.start_revision == 0 {
                durable + 1
            } else {
                request.start_revision
            },
            puts: !excludes(FilterType::NoPut),
            deletes: !excludes(FilterType::NoDelete),
            prev_kv: request.prev_kv,
            progress: request.progress_notify,
            quiet: true,
        }
    }

    /// Events from the cursor on, for one response, and the cursor after them.
    fn collect(&mut self, store: &Store, durable: i64) -> (Vec<Event>, i64) {
        let mut events = Vec::new();
        let mut bytes = 0;
        let mut last = self.next;
        for version in store
            .changes_since(self.next)
            .take_while(|version| version.modified.main <= durable)
        {
            let full = events.len() >= RESPONSE_EVENTS || bytes >= RESPONSE_BYTES;
            if full && version.modified.main > last {
                return (events, last + 1);
            }
            last = version.modified.main;
            if self.wants(version) {
                let prev_kv = if self.prev_kv {
                    store.previous(version).map(|old| old.to_kv(true))
                } else {
                    None
                };
                bytes += version.size() + prev_kv.as_ref().map_or(0, |old| old.key.len() + old.value.len());
                events.push(version.to_event(prev_kv));
                self.quiet = false;
            }
        }
        (events, durable + 1)
    }

    fn wants(&self, version: &Version) -> bool {
        let kind = if version.is_tombstone() {
            self.deletes
        } else {
            self.puts
        };
        kind && self.range.contains(&version.key)
    }
}

fn response(revision: i64, watch_id: i64) -> WatchResponse {
    WatchResponse {
        header: Some(machine::header(revision)),
        watch_id,
        ..WatchResponse::default()
    }
}
