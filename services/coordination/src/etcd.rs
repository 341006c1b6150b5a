//! The mesh's way to etcd: keys, reads, transactions, and errors that say whether the outcome is known.
//!
//! Promises: no call outlives its deadline; an endpoint that fails is left for the next one; streams never share a
//! connection with unary calls; `connect` works while etcd is away. Leaves repeating a call of unknown outcome to
//! the caller, who alone knows whether a repetition is safe. A read is never a proof: only a fenced write is.

pub mod change_notifier;
mod endpoints;
pub mod error;
pub mod identity;
pub mod keys;
pub mod lease;
#[cfg(test)]
mod tests;
pub mod watch;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Client, Compare, GetOptions, GetResponse, KeyValue, Txn, TxnOp, TxnOpResponse, TxnResponse};

use endpoints::Endpoints;
pub use error::EtcdError;
pub use identity::incarnation;
pub use keys::Keys;
use lepton_core::clock::Clock;
use lepton_core::context::Context;

/// Time after which the outcome of a unary call counts as unknown.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(2);

/// Largest message taken from etcd, bytes. etcd refuses requests above 1.5 MiB, so a page of ten values fits.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Keys asked for at once when a whole prefix is read: if each is as large as etcd allows, they fit into one message.
const PAGE_KEYS: i64 = 40;

/// Restarts of a paged read that a compaction has overtaken.
const PAGED_READS_MAX: u32 = 5;

/// A handle on etcd for one cluster of the mesh. Cheap to clone.
#[derive(Clone)]
pub struct Etcd {
    shared: Arc<Shared>,
}

struct Shared {
    keys: Keys,
    unary: Endpoints,
    streams: Endpoints,
    deadline: Duration,
    clock: Clock,
}

impl std::fmt::Debug for Etcd {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Etcd")
            .field("keys", &self.shared.keys)
            .finish_non_exhaustive()
    }
}

/// Keys read at one revision of the store.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The keys in order, with their values and revisions.
    pub entries: Vec<KeyValue>,
    /// The revision that they were read at; a watch continues with the one after it.
    pub revision: i64,
    /// True if the range holds more keys than the limit.
    pub more: bool,
}

impl Etcd {
    /// A handle that dials when it is first used. `endpoints` are `host:port`, with or without `http://`.
    pub fn connect(context: &Context, endpoints: &[String], cluster: &str) -> Self {
        let shared = Shared {
            keys: Keys::new(cluster),
            unary: Endpoints::new(context.net, endpoints),
            streams: Endpoints::new(context.net, endpoints),
            deadline: DEADLINE_DEFAULT,
            clock: context.clock,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The names of the mesh's keys.
    pub fn keys(&self) -> &Keys {
        &self.shared.keys
    }

    /// Reads one key.
    pub async fn get(&self, key: impl Into<Vec<u8>>) -> Result<Option<KeyValue>, EtcdError> {
        Ok(self.get_at(key).await?.0)
    }

    /// Reads one key, and the store's revision when it was read.
    pub async fn get_at(&self, key: impl Into<Vec<u8>>) -> Result<(Option<KeyValue>, i64), EtcdError> {
        let listing = self.list(key.into(), None).await?;
        Ok((listing.entries.into_iter().next(), listing.revision))
    }

    /// Returns whether a member answers within `patience`, which may be shorter than a call's deadline. One that is
    /// silent is left for the next all the same: cut off from the network it would stay silent for long.
    pub async fn answers(&self, patience: Duration) -> bool {
        let (generation, _client) = self.shared.unary.current();
        let asked = tokio::time::timeout(patience, self.get(self.keys().manifest())).await;
        if asked.is_err() {
            self.shared.unary.rotate_from(generation);
        }
        matches!(asked, Ok(Ok(_)))
    }

    /// Reads the keys in `[from, to)`, the first `limit` of them; 0 for all. For values of unknown number give a
    /// limit: an answer above 64 MiB is refused.
    pub async fn range(
        &self,
        from: impl Into<Vec<u8>>,
        to: impl Into<Vec<u8>>,
        limit: i64,
    ) -> Result<Listing, EtcdError> {
        self.list(from.into(), Some(GetOptions::new().with_range(to).with_limit(limit)))
            .await
    }

    /// Reads every key that starts with `prefix`, in pages, all at one revision.
    pub async fn prefix(&self, prefix: impl Into<Vec<u8>>) -> Result<Listing, EtcdError> {
        let prefix = prefix.into();
        let end = keys::prefix_end(&prefix);
        for _ in 1..PAGED_READS_MAX {
            match self.pages(prefix.clone(), &end).await {
                Err(EtcdError::Compacted { .. }) => {}
                answer => return answer,
            }
        }
        self.pages(prefix, &end).await
    }

    async fn pages(&self, mut from: Vec<u8>, end: &[u8]) -> Result<Listing, EtcdError> {
        let mut all = Listing::default();
        loop {
            let options = GetOptions::new()
                .with_range(end)
                .with_limit(PAGE_KEYS)
                .with_revision(all.revision);
            let page = self.list(from, Some(options)).await?;
            if all.revision == 0 {
                all.revision = page.revision;
            }
            all.entries.extend(page.entries);
            let Some(last) = all.entries.last().filter(|_| page.more) else {
                return Ok(all);
            };
            from = [last.key(), &[0]].concat();
        }
    }

    async fn list(&self, from: Vec<u8>, options: Option<GetOptions>) -> Result<Listing, EtcdError> {
        let call = |client: Client| async move {
            let mut kv = client.kv_client().max_decoding_message_size(MESSAGE_BYTES_MAX);
            kv.get(from, options).await
        };
        self.unary(call).await.map(listing)
    }

    /// Runs a transaction. An error with `is_unknown()` means that it may or may not have been applied.
    pub async fn txn(
        &self,
        compares: Vec<Compare>,
        then: Vec<TxnOp>,
        otherwise: Vec<TxnOp>,
    ) -> Result<TxnResponse, EtcdError> {
        let txn = Txn::new().when(compares).and_then(then).or_else(otherwise);
        let call = |client: Client| async move {
            let mut kv = client.kv_client().max_decoding_message_size(MESSAGE_BYTES_MAX);
            kv.txn(txn).await
        };
        self.unary(call).await
    }

    /// Drops what was before `revision` from the store's history; keys keep their values. A revision that has been
    /// compacted already is no error.
    pub async fn compact(&self, revision: i64) -> Result<(), EtcdError> {
        let call = |client: Client| async move { client.kv_client().compact(revision, None).await };
        match self.unary(call).await {
            Err(EtcdError::Compacted { .. }) => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Runs one unary call under the deadline and turns to the next endpoint if this one does not answer.
    pub async fn unary<T, F>(&self, call: impl FnOnce(Client) -> F) -> Result<T, EtcdError>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let (generation, client) = self.shared.unary.current();
        let answer = self.within_deadline(call(client)).await;
        if matches!(&answer, Err(error) if error.is_unknown()) {
            self.shared.unary.rotate_from(generation);
        }
        answer
    }

    /// Opens a stream. Only the opening is under the deadline; the caller reports a broken stream by
    /// [`Etcd::rotate_from`].
    pub(crate) async fn open<T, F>(&self, call: impl FnOnce(Client) -> F) -> Result<(EndpointGeneration, T), EtcdError>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let (generation, client) = self.shared.streams.current();
        let answer = self.within_deadline(call(client)).await;
        if matches!(&answer, Err(error) if error.is_unknown()) {
            self.shared.streams.rotate_from(generation);
        }
        answer.map(|stream| (EndpointGeneration(generation), stream))
    }

    /// Turns new streams to the next endpoint, because one opened in this generation broke.
    pub(crate) fn rotate_from(&self, generation: EndpointGeneration) {
        self.shared.streams.rotate_from(generation.0);
    }

    async fn within_deadline<T>(
        &self,
        call: impl Future<Output = Result<T, etcd_client::Error>>,
    ) -> Result<T, EtcdError> {
        match tokio::time::timeout(self.shared.deadline, call).await {
            Ok(answer) => answer.map_err(EtcdError::from),
            Err(_) => Err(EtcdError::Unavailable(format!(
                "no answer within {:?}",
                self.shared.deadline
            ))),
        }
    }

    pub(crate) fn clock(&self) -> Clock {
        self.shared.clock
    }
}

/// Endpoint on which a stream was opened, as a count of rotations; given back to [`Etcd::rotate_from`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndpointGeneration(usize);

/// The key that each `get` of a transaction's answer found, in the order of the transaction.
pub fn found_keys(answer: &TxnResponse) -> impl Iterator<Item = Option<KeyValue>> {
    answer.op_responses().into_iter().filter_map(|op| match op {
        TxnOpResponse::Get(mut found) => Some(found.take_kvs().into_iter().next()),
        _ => None,
    })
}

/// The first key that the first `get` of a transaction's answer found.
pub fn first_key(answer: &TxnResponse) -> Option<KeyValue> {
    answer.op_responses().into_iter().find_map(|op| match op {
        TxnOpResponse::Get(mut found) => found.take_kvs().into_iter().next(),
        _ => None,
    })
}

fn listing(mut answer: GetResponse) -> Listing {
    let revision = answer.header().map_or(0, |header| header.revision());
    Listing {
        more: answer.more(),
        revision,
        entries: answer.take_kvs(),
    }
}
