//! The leader of a service, as others see it.
//!
//! Promises: follows the leader key; while etcd is away the last known leader stays. Leaves checking the epoch to
//! every message between leader and followers.

use std::sync::Arc;

use lepton_domain::ids::{Epoch, InstanceId};
use lepton_domain::time::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::candidacy::Claim;
use super::epoch;
use crate::etcd::watch::{PrefixCache, View};
use crate::etcd::{Etcd, EtcdError};

/// The leader of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// The instance that leads.
    pub instance: InstanceId,
    /// The create revision of the leader key.
    pub epoch: Epoch,
    /// Time of its election, by its own clock.
    pub since: Timestamp,
}

/// Follows the [`Leader`] of a service. Clones share it; it ends with the last one.
#[derive(Debug, Clone)]
pub struct LeaderWatch {
    view: watch::Receiver<Option<Leader>>,
    _cache: PrefixCache,
    _task: Arc<JoinSet<()>>,
}

impl LeaderWatch {
    /// Starts to follow the leader of `service`.
    pub fn start(etcd: Etcd, service: &str) -> Self {
        let key = etcd.keys().leader(service);
        let cache = PrefixCache::start(&etcd, key.as_str());
        let (sender, view) = watch::channel(None);
        let mut task = JoinSet::new();
        task.spawn(follow(cache.view(), key, sender));
        Self {
            view,
            _cache: cache,
            _task: Arc::new(task),
        }
    }

    /// The leader and its changes; `None` while there is none or none is known yet.
    pub fn view(&self) -> watch::Receiver<Option<Leader>> {
        self.view.clone()
    }
}

async fn follow(mut cache: watch::Receiver<Arc<View>>, key: String, sender: watch::Sender<Option<Leader>>) {
    loop {
        let leader = leader(&cache.borrow_and_update(), &key);
        sender.send_if_modified(|old| {
            let news = *old != leader;
            *old = leader;
            news
        });
        if cache.changed().await.is_err() {
            return;
        }
    }
}

/// Returns the leader of `service` by a plain read, which proves nothing.
pub async fn current(etcd: &Etcd, service: &str) -> Result<Option<Leader>, EtcdError> {
    let found = etcd.get(etcd.keys().leader(service)).await?;
    Ok(found.and_then(|entry| read(entry.value(), entry.create_revision())))
}

fn leader(view: &View, key: &str) -> Option<Leader> {
    let entry = view.entries.get(key)?;
    read(&entry.value, entry.create_revision)
}

fn read(claim: &[u8], create_revision: i64) -> Option<Leader> {
    let claim = Claim::read(claim)?;
    Some(Leader {
        instance: claim.instance(),
        epoch: epoch(create_revision),
        since: claim.since(),
    })
}
