//! A standby's eye on the leader: faster than the lease.
//!
//! Promises: deposes only a leader whose health stream stood, then broke, and who could not be reached in two further
//! attempts; only while armed, that is while this standby could take over. A frozen leader breaks no stream and is
//! left to its lease. Leaves taking over to the campaign, which finds the key free.

use std::sync::Arc;
use std::time::Duration;

use lepton_domain::ids::Epoch;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Streaming;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::election_timeout::ElectionTimeout;
use super::{Leader, LeaderWatch, evict};
use crate::etcd::Etcd;
use crate::registry::{Directory, Instances};
use lepton_core::context::Context;
use lepton_core::net::Net;

/// Reconnects that must fail before the leader is evicted.
const RECONNECTS: u32 = 2;

/// Delay before the first stream to a leader is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// Time during which an evicted leader is probed, to learn whether the suspicion was false.
const VERDICT: Duration = Duration::from_secs(1);

/// Watches the leader of a service and evicts it (see [`evict()`]) when it dies. It ends when it is dropped.
#[derive(Debug)]
pub struct FailureDetector {
    armed: watch::Sender<bool>,
    /// They end with their last owner.
    _sources: (LeaderWatch, Directory),
    _task: JoinSet<()>,
}

impl FailureDetector {
    /// Starts to watch, disarmed.
    pub fn start(etcd: &Etcd, service: &str, leader: &LeaderWatch, directory: &Directory, context: &Context) -> Self {
        let armed = watch::Sender::new(false);
        let observer = Observer {
            etcd: etcd.clone(),
            service: service.to_owned(),
            net: context.net,
            leader: leader.view(),
            directory: directory.view(),
            armed: armed.subscribe(),
            timeout: ElectionTimeout::default(),
        };
        let mut task = JoinSet::new();
        task.spawn(observer.run());
        let sources = (leader.clone(), directory.clone());
        Self {
            armed,
            _sources: sources,
            _task: task,
        }
    }

    /// Sets whether this instance could take over: a standby that has caught up, and not the leader itself.
    pub fn arm(&self, armed: bool) {
        self.armed
            .send_if_modified(|old| std::mem::replace(old, armed) != armed);
    }
}

struct Observer {
    etcd: Etcd,
    service: String,
    net: Net,
    leader: watch::Receiver<Option<Leader>>,
    directory: watch::Receiver<Arc<Instances>>,
    armed: watch::Receiver<bool>,
    timeout: ElectionTimeout,
}

impl Observer {
    /// Returns when the suspicion or its sources are dropped.
    async fn run(mut self) {
        loop {
            let (net, wait) = (self.net, self.timeout.wait());
            let suspect = match self.target() {
                None => None,
                Some((epoch, address)) => tokio::select! {
                    () = dies(net, &address, wait) => Some((epoch, address)),
                    changed = self.changed() => if changed { None } else { return },
                },
            };
            match suspect {
                Some((epoch, address)) => self.act(epoch, &address).await,
                None if self.target().is_some() => {}
                None => {
                    if !self.changed().await {
                        return;
                    }
                }
            }
        }
    }

    /// Epoch and address of the leader to watch, if there is one.
    fn target(&mut self) -> Option<(Epoch, String)> {
        let armed = *self.armed.borrow_and_update();
        let leader = self.leader.borrow_and_update().clone().filter(|_| armed)?;
        let directory = self.directory.borrow_and_update();
        Some((leader.epoch, directory.get(&leader.instance)?.address.clone()))
    }

    /// Waits until the target may be another. `false` when nothing will change any more.
    async fn changed(&mut self) -> bool {
        let mine = self.target();
        loop {
            let changed = tokio::select! {
                changed = self.armed.changed() => changed,
                changed = self.leader.changed() => changed,
                changed = self.directory.changed() => changed,
            };
            if changed.is_err() {
                return false;
            }
            if self.target() != mine {
                return true;
            }
        }
    }

    async fn act(&mut self, epoch: Epoch, address: &str) {
        match evict(&self.etcd, &self.service, epoch).await {
            Ok(true) => {
                tracing::info!(
                    service = self.service,
                    epoch = epoch.0,
                    "deposed a leader that does not answer"
                );
                if comes_back(self.net, address).await {
                    self.timeout.on_false_suspicion();
                    tracing::info!(service = self.service, epoch = epoch.0, "the deposed leader was alive");
                } else {
                    self.timeout.reset();
                }
            }
            Ok(false) => tokio::time::sleep(PAUSE).await,
            Err(error) => {
                tracing::debug!(%error, "a leader that does not answer could not be deposed");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Returns when a leader that answered no longer does.
async fn dies(net: Net, address: &str, wait: Duration) {
    loop {
        let Some(stream) = watch_health(net, address).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        until_broken(stream).await;
        if !answers_again(net, address, wait).await {
            return;
        }
    }
}

async fn watch_health(net: Net, address: &str) -> Option<Streaming<HealthCheckResponse>> {
    let mut client = HealthClient::new(net.channel(address));
    client
        .watch(HealthCheckRequest::default())
        .await
        .ok()
        .map(tonic::Response::into_inner)
}

async fn until_broken(mut stream: Streaming<HealthCheckResponse>) {
    while let Ok(Some(_)) = stream.message().await {}
}

/// Tries within `wait` as often as it takes to believe that nobody is there.
async fn answers_again(net: Net, address: &str, wait: Duration) -> bool {
    let slice = wait / RECONNECTS;
    for _ in 0..RECONNECTS {
        let pause = tokio::time::sleep(slice);
        if answers(net, address, slice).await {
            return true;
        }
        // A refusal comes at once; the next attempt has its own time.
        pause.await;
    }
    false
}

/// Returns whether a health check is answered, with whatever status: a process that answers can resign by itself.
async fn answers(net: Net, address: &str, within: Duration) -> bool {
    let mut client = HealthClient::new(net.channel(address));
    let check = client.check(HealthCheckRequest::default());
    matches!(tokio::time::timeout(within, check).await, Ok(Ok(_)))
}

async fn comes_back(net: Net, address: &str) -> bool {
    let probe = async {
        while !answers(net, address, VERDICT).await {
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(VERDICT, probe).await.is_ok()
}
