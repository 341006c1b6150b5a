//! A prefix of etcd as a view in memory.
//!
//! Promises: lists, then watches from the revision after; lists again when the stream breaks, when the history is
//! compacted, and every half minute. While etcd is away the last good view stays, with `synced: false`. The view
//! may lag, so it is a hint, never a proof.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use etcd_client::{Client, EventType, KeyValue, WatchOptions, WatchResponse, WatchStream};
use lepton_core::backoff::Backoff;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{EndpointGeneration, Etcd, EtcdError, Listing, MESSAGE_BYTES_MAX};

/// Delay after the first failure; doubles up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Interval of listings although the stream seems healthy: a stream that silently lost its member would stay stale.
const RELIST_EVERY: Duration = Duration::from_secs(30);

/// Number of listings older than the view that are put down to a lagging member, before one is believed: an etcd
/// restored from a backup really goes back.
const OLDER_LISTINGS_MAX: u32 = 3;

/// A key's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Value of the key.
    pub value: Bytes,
    /// The revision that created the key.
    pub create_revision: i64,
    /// The revision of its last change.
    pub mod_revision: i64,
}

/// All keys with a prefix, as last seen; see [`PrefixCache`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// The revision that is shown; 0 before the first listing.
    pub revision: i64,
    /// The keys, with the prefix.
    pub entries: BTreeMap<String, Entry>,
    /// True while changes arrive as they happen.
    pub synced: bool,
}

/// Keeps a [`View`] up to date. Clones share it; it ends with the last one.
#[derive(Debug, Clone)]
pub struct PrefixCache {
    view: watch::Receiver<Arc<View>>,
    _task: Arc<JoinSet<()>>,
}

impl PrefixCache {
    /// Starts to cache the keys that start with `prefix`.
    pub fn start(etcd: &Etcd, prefix: impl Into<String>) -> Self {
        let (sender, view) = watch::channel(Arc::new(View::default()));
        let follower = Follower {
            etcd: etcd.clone(),
            prefix: prefix.into(),
            sender,
            older: 0,
        };
        let mut task = JoinSet::new();
        task.spawn(follower.run());
        Self {
            view,
            _task: Arc::new(task),
        }
    }

    /// The view and its changes.
    pub fn view(&self) -> watch::Receiver<Arc<View>> {
        self.view.clone()
    }
}

struct Follower {
    etcd: Etcd,
    prefix: String,
    sender: watch::Sender<Arc<View>>,
    /// Listings in a row that were older than the view.
    older: u32,
}

impl Follower {
    async fn run(mut self) {
        let mut backoff = Backoff::new(PAUSE, PAUSE_MAX);
        loop {
            match self.follow().await {
                Ok(()) => {
                    backoff.reset();
                    continue;
                }
                Err(EtcdError::Compacted { .. }) => {}
                Err(error) => tracing::debug!(prefix = self.prefix, %error, "prefix cache lost its stream"),
            }
            if self.sender.borrow().synced {
                self.sender.send_modify(|view| Arc::make_mut(view).synced = false);
                backoff.reset();
            }
            tokio::time::sleep(backoff.delay()).await;
        }
    }

    /// Lists and watches, until it is time to list again.
    async fn follow(&mut self) -> Result<(), EtcdError> {
        let listing = self.etcd.prefix(self.prefix.as_str()).await?;
        let next = listing.revision + 1;
        self.show(listing)?;
        let (generation, mut stream) = open(&self.etcd, &self.prefix, next, false).await?;
        match tokio::time::timeout(RELIST_EVERY, self.read(&mut stream)).await {
            Err(_) => Ok(()),
            Ok(error) => {
                if error.is_unknown() {
                    self.etcd.rotate_from(generation);
                }
                Err(error)
            }
        }
    }

    fn show(&mut self, listing: Listing) -> Result<(), EtcdError> {
        let (shown, listed) = (self.sender.borrow().revision, listing.revision);
        if listed < shown && self.older < OLDER_LISTINGS_MAX {
            self.older += 1;
            return Err(EtcdError::Unavailable(format!(
                "listed revision {listed} after {shown}"
            )));
        }
        self.older = 0;
        let entries = listing.entries.iter().map(entry).collect();
        let view = Arc::new(View {
            revision: listed,
            entries,
            synced: true,
        });
        self.sender.send_if_modified(|old| {
            // A periodic listing that brings no news wakes nobody.
            let news = old.entries != view.entries || !old.synced;
            *old = view;
            news
        });
        Ok(())
    }

    async fn read(&self, stream: &mut WatchStream) -> EtcdError {
        loop {
            match next(stream).await {
                Ok(response) if response.events().is_empty() => {}
                Ok(response) => self.sender.send_modify(|view| apply(Arc::make_mut(view), &response)),
                Err(error) => return error,
            }
        }
    }
}

fn apply(view: &mut View, response: &WatchResponse) {
    for event in response.events() {
        let Some(kv) = event.kv() else { continue };
        let (key, value) = entry(kv);
        match event.event_type() {
            EventType::Put => view.entries.insert(key, value),
            EventType::Delete => view.entries.remove(&key),
        };
        view.revision = view.revision.max(kv.mod_revision());
    }
}

fn entry(kv: &KeyValue) -> (String, Entry) {
    let value = Entry {
        value: Bytes::copy_from_slice(kv.value()),
        create_revision: kv.create_revision(),
        mod_revision: kv.mod_revision(),
    };
    (String::from_utf8_lossy(kv.key()).into_owned(), value)
}

/// Opens a watch on a prefix from a revision on; 0 for now. `fragment` lets etcd split large answers, also within one
/// revision.
pub(super) async fn open(
    etcd: &Etcd,
    prefix: &str,
    from_revision: i64,
    fragment: bool,
) -> Result<(EndpointGeneration, WatchStream), EtcdError> {
    let mut options = WatchOptions::new().with_prefix().with_start_revision(from_revision);
    if fragment {
        options = options.with_fragment();
    }
    let call = |client: Client| async move {
        let mut watch = client.watch_client().max_decoding_message_size(MESSAGE_BYTES_MAX);
        watch.watch(prefix, Some(options)).await
    };
    etcd.open(call).await
}

/// The next message of a watch; an error when it is over.
pub(super) async fn next(stream: &mut WatchStream) -> Result<WatchResponse, EtcdError> {
    match stream.message().await? {
        Some(response) if response.compact_revision() > 0 => Err(EtcdError::Compacted {
            revision: response.compact_revision(),
        }),
        Some(response) if response.canceled() => Err(EtcdError::Unavailable(response.cancel_reason().to_owned())),
        Some(response) => Ok(response),
        None => Err(EtcdError::Unavailable("watch stream ended".into())),
    }
}
