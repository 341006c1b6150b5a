//! Plain reads of the journal in etcd.
//!
//! Promises: segments come in order, in ranges of four, which etcd answers fastest; the next ranges are on their way
//! while one is being looked at. A plain read proves nothing: it may be stale. Leaves checking to `replay`.

use bytes::Bytes;
use etcd_client::{GetOptions, KeyValue, TxnOp, TxnOpResponse};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt};
use lepton_proto::journal::v1::Manifest;

use super::codec::{self, Damage};
use super::error::FollowError;
use lepton_coordination::etcd::keys::prefix_end;
use lepton_coordination::etcd::{Etcd, EtcdError};

/// Segments asked for at once.
pub(super) const RANGE_SEGMENTS: u64 = 4;

/// Ranges on their way at once where there are many.
const RANGES_AHEAD: usize = 4;

/// A segment as it is stored.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    /// The number in its key.
    pub number: u64,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Manifest and segments that a follower needs, all at one revision of the store.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    /// The manifest.
    pub known: Known,
    /// The segments asked for.
    pub range: Vec<Stored>,
    /// True if there are segments with higher numbers than those requested.
    pub more: bool,
}

/// The manifest as it was at some revision of the store.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Its content; empty while there is none.
    pub manifest: Manifest,
    /// Its mod revision; 0 while there is none.
    pub revision: i64,
    /// The store's revision at the read.
    pub store_revision: i64,
}

/// The last segment that the older snapshot covers: trimming goes up to here, never beyond.
pub(super) fn floor(manifest: &Manifest) -> u64 {
    manifest.older.as_ref().map_or(0, |older| older.segment)
}

/// Bytes of the newest snapshot; 0 while there is none.
pub(super) fn snapshot_bytes(manifest: &Manifest) -> u64 {
    manifest.newest.as_ref().map_or(0, |newest| newest.bytes)
}

/// Reads the manifest.
pub(super) async fn manifest(etcd: &Etcd) -> Result<Known, FollowError> {
    let (found, store_revision) = etcd.get_at(etcd.keys().manifest()).await?;
    known(found, store_revision)
}

fn known(found: Option<KeyValue>, store_revision: i64) -> Result<Known, FollowError> {
    let Some(entry) = found else {
        return Ok(Known {
            store_revision,
            ..Known::default()
        });
    };
    let manifest = codec::decode_manifest(entry.value()).map_err(FollowError::CorruptManifest)?;
    Ok(Known {
        manifest,
        revision: entry.mod_revision(),
        store_revision,
    })
}

/// Reads the manifest and the next segments in one request, as a follower does after every notification.
pub(super) async fn view(etcd: &Etcd, from: u64) -> Result<View, FollowError> {
    let keys = etcd.keys();
    let to = keys.segment(from.saturating_add(RANGE_SEGMENTS));
    let end = prefix_end(keys.segment_prefix().as_bytes());
    let range = GetOptions::new()
        .with_range(to.as_str())
        .with_limit(RANGE_SEGMENTS.cast_signed());
    let more = GetOptions::new().with_range(end).with_keys_only().with_limit(1);
    let look = vec![
        TxnOp::get(keys.manifest(), None),
        TxnOp::get(keys.segment(from), Some(range)),
        TxnOp::get(to, Some(more)),
    ];
    let answer = etcd.txn(Vec::new(), look, Vec::new()).await?;
    let revision = answer.header().map_or(0, |header| header.revision());
    let mut found = answer.op_responses().into_iter().map(|response| match response {
        TxnOpResponse::Get(mut found) => found.take_kvs(),
        _ => Vec::new(),
    });
    let mut next = || found.next().unwrap_or_default();
    let known = known(next().pop(), revision)?;
    let range = next().into_iter().map(stored).collect::<Result<_, _>>()?;
    Ok(View {
        known,
        range,
        more: !next().is_empty(),
    })
}

/// Reads one segment.
pub(super) async fn segment(etcd: &Etcd, number: u64) -> Result<Option<Bytes>, EtcdError> {
    let found = etcd.get(etcd.keys().segment(number)).await?;
    Ok(found.map(|entry| Bytes::from(entry.into_key_value().1)))
}

/// Reads at most [`RANGE_SEGMENTS`] segments, those with numbers in `[from, from + RANGE_SEGMENTS)`.
pub(super) async fn range(etcd: &Etcd, from: u64) -> Result<Vec<Stored>, EtcdError> {
    let keys = etcd.keys();
    let (from, to) = (keys.segment(from), keys.segment(from.saturating_add(RANGE_SEGMENTS)));
    let listing = etcd.range(from, to, RANGE_SEGMENTS.cast_signed()).await?;
    listing.entries.into_iter().map(stored).collect()
}

/// Reads from a segment on, up to and with the first range that is not full.
pub(super) struct Walk<'a> {
    etcd: &'a Etcd,
    next: u64,
    ahead: FuturesOrdered<BoxFuture<'a, Result<Vec<Stored>, EtcdError>>>,
    done: bool,
}

impl<'a> Walk<'a> {
    /// Starts at this segment.
    pub(super) fn from(etcd: &'a Etcd, segment: u64) -> Self {
        Self {
            etcd,
            next: segment,
            ahead: FuturesOrdered::new(),
            done: false,
        }
    }

    /// The next range; none after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Stored>>, EtcdError> {
        while !self.done && self.ahead.len() < RANGES_AHEAD {
            self.ahead.push_back(range(self.etcd, self.next).boxed());
            self.next = self.next.saturating_add(RANGE_SEGMENTS);
        }
        let Some(found) = self.ahead.next().await.transpose()? else {
            return Ok(None);
        };
        if (found.len() as u64) < RANGE_SEGMENTS {
            self.done = true;
            self.ahead.clear();
        }
        Ok(Some(found))
    }
}

/// The number of the first segment that is kept, from this number on.
pub(super) async fn first_segment(etcd: &Etcd, from: u64) -> Result<Option<u64>, EtcdError> {
    let keys = etcd.keys();
    let end = prefix_end(keys.segment_prefix().as_bytes());
    let options = GetOptions::new().with_range(end).with_keys_only().with_limit(1);
    let found = keys_only(etcd, keys.segment(from), options).await?;
    found.first().map(|entry| number(entry.key())).transpose()
}

/// Reads keys without their values.
pub(super) async fn keys_only(
    etcd: &Etcd,
    key: impl Into<Vec<u8>>,
    options: GetOptions,
) -> Result<Vec<KeyValue>, EtcdError> {
    let call = |client: etcd_client::Client| async move { client.kv_client().get(key, Some(options)).await };
    Ok(etcd.unary(call).await?.take_kvs())
}

fn stored(entry: KeyValue) -> Result<Stored, EtcdError> {
    let (key, value) = entry.into_key_value();
    Ok(Stored {
        number: number(&key)?,
        bytes: Bytes::from(value),
    })
}

/// The number at the end of a segment's key.
fn number(key: &[u8]) -> Result<u64, EtcdError> {
    let text = std::str::from_utf8(key).ok().and_then(|key| key.rsplit('/').next());
    let number = text.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| EtcdError::Malformed(String::from_utf8_lossy(key).into_owned()))
}

/// Notes where damage was found.
pub(super) fn at(segment: u64) -> impl FnOnce(Damage) -> FollowError {
    move |why| match why {
        Damage::UnknownEvent(index) => FollowError::UnknownEvent { segment, index },
        why => FollowError::Corrupt { segment, why },
    }
}
