//! A connection to whoever leads a service.
//!
//! Promises: a link names its epoch, and a new epoch is a new link; while etcd is away the last link stays. Leaves
//! noticing that the leader does not answer to the caller, who then waits for the next link.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lepton_domain::ids::{Epoch, InstanceId};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use lepton_coordination::election::{Leader, LeaderWatch};
use lepton_coordination::registry::{Directory, Instances};
use lepton_core::context::Context;
use lepton_core::net::{Net, Windows};

/// A connection to a leader.
#[derive(Debug, Clone)]
pub struct LeaderLink {
    /// Epoch of its leadership.
    pub epoch: Epoch,
    /// The instance that leads.
    pub instance: InstanceId,
    /// Channel to it.
    pub channel: Channel,
    /// Channel for streams that last, over a connection of their own: as many as a connection may have, or a reader that
    /// takes nothing out of them, must not hold up the calls of [`LeaderLink::channel`].
    pub streams: Channel,
    address: String,
}

/// Follows the leader of a service. Clones share it; it ends with the last one.
#[derive(Debug, Clone)]
pub struct LeaderChannel {
    link: watch::Receiver<Option<LeaderLink>>,
    _task: Arc<JoinSet<()>>,
}

impl LeaderChannel {
    /// Starts to follow. The directory must show the service that the watch is about.
    pub fn start(leader: LeaderWatch, directory: Directory, context: &Context) -> Self {
        let (sender, link) = watch::channel(None);
        let mut task = JoinSet::new();
        task.spawn(follow(leader, directory, context.net, sender));
        Self {
            link,
            _task: Arc::new(task),
        }
    }

    /// The link now; `None` while nobody is known to lead.
    pub fn current(&self) -> Option<LeaderLink> {
        self.link.borrow().clone()
    }

    /// The link now, or the first one within `deadline`.
    pub async fn wait(&self, deadline: Duration) -> Option<LeaderLink> {
        let mut link = self.link.clone();
        let found = link.wait_for(Option::is_some);
        tokio::time::timeout(deadline, found).await.ok()?.ok()?.clone()
    }

    /// Completes when the link is another than it was at the time of the call.
    pub fn changed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut link = self.link.clone();
        let epoch = |link: &Option<LeaderLink>| link.as_ref().map(|link| (link.epoch, link.address.clone()));
        let before = epoch(&link.borrow());
        async move {
            if link.wait_for(|now| epoch(now) != before).await.is_err() {
                // Everyone who could care is about to end.
                std::future::pending::<()>().await;
            }
        }
    }
}

async fn follow(watch: LeaderWatch, directory: Directory, net: Net, sender: watch::Sender<Option<LeaderLink>>) {
    let (mut leader, mut instances) = (watch.view(), directory.view());
    loop {
        let wanted = leader.borrow_and_update().clone();
        let known = instances.borrow_and_update().clone();
        sender.send_if_modified(|link| update(link, wanted, &known, net));
        let changed = tokio::select! {
            changed = leader.changed() => changed,
            changed = instances.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Updates the link and returns whether it has changed.
fn update(link: &mut Option<LeaderLink>, leader: Option<Leader>, known: &Instances, net: Net) -> bool {
    let Some(leader) = leader else {
        return link.take().is_some();
    };
    let same = link
        .as_ref()
        .filter(|link| link.epoch == leader.epoch && link.instance == leader.instance);
    let address = known.get(&leader.instance).map(|instance| &instance.address);
    match (same, address) {
        // An entry that is gone is a hint; the leader may answer all the same.
        (Some(_), None) => false,
        (Some(link), Some(address)) if link.address == *address => false,
        (None, None) => link.take().is_some(),
        (_, Some(address)) => {
            let (channel, streams) = (net.channel(address), net.channel_with(address, Windows::MANY_STREAMS));
            let Leader { instance, epoch, .. } = leader;
            *link = Some(LeaderLink {
                epoch,
                instance,
                channel,
                streams,
                address: address.clone(),
            });
            true
        }
    }
}
