//! A lease that is kept alive as long as its owner lives.
//!
//! Promises: `lost` fires when etcd reports that the lease is gone, or when no keep-alive was confirmed for the lease's
//! whole time, counted from before the request was sent; dropping the lease revokes it. A keep-alive that succeeded
//! proves nothing about keys: whoever acts must fence its writes.

use std::future::Future;
use std::time::Duration;

use etcd_client::{Client, LeaseKeepAliveStream, LeaseKeeper};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Etcd, EtcdError};

/// Delay before another attempt after a stream broke.
const PAUSE: Duration = Duration::from_millis(50);

/// A lease of this process.
#[derive(Debug)]
pub struct Lease {
    id: i64,
    lost: watch::Receiver<bool>,
    /// Makes the [`Keeper`] revoke the lease and end when dropped.
    owner: DropGuard,
}

impl Lease {
    /// Asks etcd for a lease of this length, rounded up to seconds, and keeps it alive. An unknown outcome leaves
    /// at most a lease that nobody uses and that expires.
    pub async fn grant(etcd: &Etcd, ttl: Duration) -> Result<Self, EtcdError> {
        let asked = etcd.clock().monotonic();
        let id = grant(etcd, ttl).await?;
        let stop = CancellationToken::new();
        let (loss, lost) = watch::channel(false);
        let keeper = Keeper {
            etcd: etcd.clone(),
            id,
            ttl,
            confirmed: asked,
        };
        tokio::spawn(keeper.run(stop.clone(), loss));
        Ok(Self {
            id,
            lost,
            owner: stop.drop_guard(),
        })
    }

    /// The number by which puts name the lease.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Completes when the lease is lost; never before. Independent of the lease's lifetime.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut lost = self.lost.clone();
        async move {
            // The keeper ends without a loss only when the owner gave the lease up.
            if lost.wait_for(|lost| *lost).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Returns whether the lease is lost; see [`Lease::lost`].
    pub fn is_lost(&self) -> bool {
        *self.lost.borrow()
    }

    /// Gives the lease up, which deletes its keys. Returns when etcd has done so, or at the latest after the
    /// call's deadline; then the lease expires by itself.
    pub async fn revoke(self) {
        let Self { mut lost, owner, .. } = self;
        drop(owner);
        while lost.changed().await.is_ok() {}
    }
}

/// Requests a lease that nobody keeps alive; unlike [`Lease::grant`].
pub(crate) async fn grant(etcd: &Etcd, ttl: Duration) -> Result<i64, EtcdError> {
    let seconds = ttl.as_millis().div_ceil(1_000) as i64;
    let call = |client: Client| async move { client.lease_client().grant(seconds, None).await };
    Ok(etcd.unary(call).await?.id())
}

/// Gives a lease up. Its keys go with it.
pub(crate) async fn revoke(etcd: &Etcd, id: i64) -> Result<(), EtcdError> {
    let call = |client: Client| async move { client.lease_client().revoke(id).await };
    etcd.unary(call).await.map(|_| ())
}

/// Keeps one lease alive.
struct Keeper {
    etcd: Etcd,
    id: i64,
    ttl: Duration,
    /// Monotonic time at which the last confirmed keep-alive was sent.
    confirmed: Duration,
}

impl Keeper {
    /// Ends after its owner, by at most one call: the revocation.
    async fn run(mut self, stop: CancellationToken, loss: watch::Sender<bool>) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep() => {
                loss.send_replace(true);
                tracing::debug!(lease = self.id, "lease lost");
                stop.cancelled().await;
            }
        }
        if let Err(error) = revoke(&self.etcd, self.id).await {
            tracing::debug!(lease = self.id, %error, "lease not revoked; it expires by itself");
        }
    }

    /// Returns when the lease is lost.
    async fn keep(&mut self) {
        while !self.remaining().is_zero() {
            match self.one_stream().await {
                EtcdError::LeaseGone => return,
                error => tracing::debug!(lease = self.id, %error, "keep-alive stream broke"),
            }
            tokio::time::sleep(PAUSE.min(self.remaining())).await;
        }
    }

    /// Renews over one stream until it breaks.
    async fn one_stream(&mut self) -> EtcdError {
        let id = self.id;
        let sent = self.etcd.clock().monotonic();
        let open = self
            .etcd
            .open(|client| async move { client.lease_client().keep_alive(id).await });
        let (generation, (mut keeper, mut answers)) = match tokio::time::timeout(self.remaining(), open).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return error,
            Err(_) => return EtcdError::Unavailable("no keep-alive stream in time".into()),
        };
        self.confirmed = sent;
        loop {
            tokio::time::sleep(self.ttl / 3).await;
            if let Err(error) = self.renew(&mut keeper, &mut answers).await {
                self.etcd.rotate_from(generation);
                return error;
            }
        }
    }

    async fn renew(&mut self, keeper: &mut LeaseKeeper, answers: &mut LeaseKeepAliveStream) -> Result<(), EtcdError> {
        let sent = self.etcd.clock().monotonic();
        keeper.keep_alive().await?;
        // A third of the time, so that a silent member leaves time to ask another.
        let answer = tokio::time::timeout(self.ttl / 3, answers.message()).await;
        match answer.map_err(|_| EtcdError::Unavailable("keep-alive not answered".into()))?? {
            Some(answer) if answer.ttl() > 0 => {
                self.confirmed = sent;
                Ok(())
            }
            Some(_) => Err(EtcdError::LeaseGone),
            None => Err(EtcdError::Unavailable("keep-alive stream ended".into())),
        }
    }

    fn remaining(&self) -> Duration {
        (self.confirmed + self.ttl).saturating_sub(self.etcd.clock().monotonic())
    }
}
