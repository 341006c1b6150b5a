//! Says to everyone that this instance exists.
//!
//! Promises: the key is under a lease of 10 s and is looked after every 5 s, so it comes back after any loss; etcd
//! may be away at any time. Leaves the order of a drain to the service: say `Draining`, finish, then `leave`.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Compare, CompareOp, PutOptions, TxnOp};
use futures::future::OptionFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Instance, NodeState};
use crate::etcd::lease::Lease;
use crate::etcd::{Etcd, EtcdError};
use lepton_core::context::Context;

/// Lease of an entry: the time for which that of a dead instance stays.
const LEASE_TTL: Duration = Duration::from_secs(10);

/// Interval at which the entry is asserted again.
const REASSERT_EVERY: Duration = Duration::from_secs(5);

/// Delay after a failure, and as much again at random, so that a returning etcd is not stormed.
const PAUSE: Duration = Duration::from_millis(500);

/// Keeps this [`Instance`] registered. Dropping it revokes the lease in the background; [`Registrar::leave`] waits
/// for that.
#[derive(Debug)]
pub struct Registrar {
    instance: Arc<watch::Sender<Instance>>,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Registrar {
    /// Starts to register the instance; etcd may be away.
    pub fn start(etcd: Etcd, context: &Context, instance: Instance) -> Self {
        let stop = CancellationToken::new();
        let sender = Arc::new(watch::Sender::new(instance));
        let keeper = Keeper {
            etcd,
            context: context.clone(),
            instance: sender.subscribe(),
            lease: None,
        };
        let task = tokio::spawn(keeper.run(stop.clone()));
        Self {
            instance: sender,
            stop: stop.drop_guard(),
            task,
        }
    }

    /// Says whether the instance takes work.
    pub fn set_state(&self, state: NodeState) {
        self.instance
            .send_if_modified(|instance| std::mem::replace(&mut instance.state, state) != state);
    }

    /// Sets metadata of the instance, such as the models that it has loaded; an entry that has it already is left
    /// alone.
    pub fn set_metadata(&self, key: &str, value: impl Into<String>) {
        let value = value.into();
        self.instance.send_if_modified(|instance| {
            let news = instance.metadata.get(key) != Some(&value);
            if news {
                instance.metadata.insert(key.to_owned(), value);
            }
            news
        });
    }

    /// Removes the entry. Takes at most the deadline of one call when etcd is away; then the entry expires.
    pub async fn leave(self) {
        let Self { stop, task, .. } = self;
        drop(stop);
        if let Err(error) = task.await {
            tracing::warn!(%error, "the registrar did not end in order");
        }
    }
}

struct Keeper {
    etcd: Etcd,
    context: Context,
    instance: watch::Receiver<Instance>,
    lease: Option<Lease>,
}

impl Keeper {
    async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.register() => {}
        }
        if let Some(lease) = self.lease.take() {
            lease.revoke().await;
        }
    }

    /// Never returns while the registrar lives.
    async fn register(&mut self) {
        loop {
            let instance = self.instance.borrow_and_update().clone();
            let wait = match self.assert(&instance).await {
                Ok(()) => REASSERT_EVERY,
                Err(error) => {
                    tracing::debug!(%error, "not registered");
                    if error == EtcdError::LeaseGone {
                        self.lease = None;
                    }
                    PAUSE + PAUSE * self.context.random.below(1_000) as u32 / 1_000
                }
            };
            let lost = OptionFuture::from(self.lease.as_ref().map(Lease::lost));
            tokio::select! {
                changed = self.instance.changed() => if changed.is_err() { return },
                Some(()) = lost => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Writes the entry unless it stands as it should.
    async fn assert(&mut self, instance: &Instance) -> Result<(), EtcdError> {
        let lease = match self.lease.take() {
            Some(lease) if !lease.is_lost() => lease,
            _ => Lease::grant(&self.etcd, LEASE_TTL).await?,
        };
        let id = self.lease.insert(lease).id();
        let key = self.etcd.keys().registry(&instance.service, instance.id.as_str());
        let value = instance.encode();
        let stands = vec![
            Compare::lease(key.as_str(), CompareOp::Equal, id),
            Compare::value(key.as_str(), CompareOp::Equal, value.as_slice()),
        ];
        let put = TxnOp::put(key, value, Some(PutOptions::new().with_lease(id)));
        // An entry that stands is not written again: each write would wake every directory.
        self.etcd.txn(stands, Vec::new(), vec![put]).await.map(|_| ())
    }
}
