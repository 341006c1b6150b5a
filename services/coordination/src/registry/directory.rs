//! The registered instances, as a view in memory.
//!
//! Promises: the last good view stays while etcd is away; a mass of sudden losses is not believed at once. Leaves
//! checking that an instance answers to the channels.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lepton_domain::ids::InstanceId;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Instance;
use super::mass_loss_guard::MassLossGuard;
use crate::etcd::Etcd;
use crate::etcd::watch::{PrefixCache, View};
use lepton_core::clock::Clock;
use lepton_core::context::Context;

/// Instances by their id.
pub type Instances = BTreeMap<InstanceId, Instance>;

/// Follows the registry. Clones share it; it ends with the last one.
#[derive(Debug, Clone)]
pub struct Directory {
    view: watch::Receiver<Arc<Instances>>,
    known: Arc<AtomicBool>,
    _cache: PrefixCache,
    _task: Arc<JoinSet<()>>,
}

impl Directory {
    /// Starts to follow one service, or all for `None`.
    pub fn start(etcd: Etcd, service: Option<&str>, context: &Context) -> Self {
        let cache = PrefixCache::start(&etcd, etcd.keys().registry_prefix(service));
        let (sender, view) = watch::channel(Arc::new(Instances::new()));
        let mut task = JoinSet::new();
        let prefix = etcd.keys().registry_prefix(None);
        let known = Arc::new(AtomicBool::new(false));
        task.spawn(follow(cache.view(), prefix, context.clock, sender, known.clone()));
        Self {
            view,
            known,
            _cache: cache,
            _task: Arc::new(task),
        }
    }

    /// The instances and their changes.
    pub fn view(&self) -> watch::Receiver<Arc<Instances>> {
        self.view.clone()
    }

    /// The instance with this id, if it is registered.
    pub fn find(&self, id: &InstanceId) -> Option<Instance> {
        self.view.borrow().get(id).cloned()
    }

    /// Returns whether the view shows the registry, and is not empty only because nothing was read yet.
    pub fn is_known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }
}

async fn follow(
    mut cache: watch::Receiver<Arc<View>>,
    prefix: String,
    clock: Clock,
    sender: watch::Sender<Arc<Instances>>,
    known: Arc<AtomicBool>,
) {
    let mut retain = MassLossGuard::default();
    loop {
        let (registered, read) = {
            let view = cache.borrow_and_update();
            (instances(&view, &prefix), view.revision > 0)
        };
        let shown = retain.view(registered, clock.monotonic());
        sender.send_if_modified(|old| {
            let news = **old != shown;
            if news {
                *old = Arc::new(shown);
            }
            news
        });
        known.store(read, Ordering::Release);
        let change = retain
            .next_change()
            .map(|at| tokio::time::sleep(at.saturating_sub(clock.monotonic())));
        tokio::select! {
            changed = cache.changed() => if changed.is_err() { return },
            Some(()) = futures::future::OptionFuture::from(change) => {}
        }
    }
}

fn instances(view: &View, prefix: &str) -> Instances {
    let read = |(key, entry): (&String, &crate::etcd::watch::Entry)| {
        let instance = Instance::decode(key.strip_prefix(prefix)?, &entry.value);
        if instance.is_none() {
            tracing::warn!(key, "an entry of the registry is not readable");
        }
        instance.map(|instance| (instance.id.clone(), instance))
    };
    view.entries.iter().filter_map(read).collect()
}
