//! Connections to every instance of a service, and the choice among them.
//!
//! Promises: each instance streams its load; one that is silent, or whose stream broke, is not picked. An instance
//! stays as long as it answers, also when its entry in etcd is gone; it leaves when both are gone, and one that drains
//! is not picked any more. So the pool goes on while etcd is away. Leaves retries and deadlines to the caller.

mod discovery;
mod endpoint;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lepton_domain::ids::InstanceId;
use lepton_domain::picker;
use lepton_proto::fleet::v1::WatchStatsResponse;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use discovery::Discovery;
use endpoint::Endpoint;
pub use endpoint::InFlight;
use lepton_coordination::registry::{Directory, Instance};
use lepton_core::clock::Clock;
use lepton_core::context::Context;
use lepton_core::random::Random;

#[cfg(test)]
mod tests;

/// The longest that [`Pool::changed`] waits.
const CHANGE_WAIT: Duration = Duration::from_secs(1);

/// Intervals and penalties of a [`Pool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConfig {
    /// Interval at which an instance sends its load.
    pub interval: Duration,
    /// Silence after which an instance counts as not answering.
    pub silence_max: Duration,
    /// Time for which an instance is avoided after a failed call; doubles with each further failure, four times at
    /// most.
    pub penalty: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(100),
            silence_max: Duration::from_secs(1),
            penalty: Duration::from_millis(500),
        }
    }
}

/// The endpoints by id, as the discovery keeps them.
type Endpoints = BTreeMap<InstanceId, Arc<Endpoint>>;

/// The instances of a service. Clones share them; the pool ends with the last one.
#[derive(Debug, Clone)]
pub struct Pool {
    endpoints: watch::Receiver<Arc<Endpoints>>,
    answering: watch::Receiver<usize>,
    clock: Clock,
    random: Random,
    _task: Arc<JoinSet<()>>,
}

/// The instance that was picked.
#[derive(Debug)]
pub struct Picked {
    /// The instance.
    pub instance: InstanceId,
    /// Channel to it.
    pub channel: Channel,
    /// Counts the call while it lives; [`InFlight::succeed`] or [`InFlight::fail`] ends it.
    pub lease: InFlight,
}

impl Pool {
    /// Starts to connect to the instances that the directory shows.
    pub fn start(directory: Directory, context: &Context, mut config: PoolConfig) -> Self {
        // Whoever listens seldom must not take the pause between two messages for silence.
        config.silence_max = config.silence_max.max(config.interval * 3);
        let (sender, endpoints) = watch::channel(Arc::new(Endpoints::new()));
        let (count, answering) = watch::channel(0);
        let mut task = JoinSet::new();
        task.spawn(Discovery::new(directory, context, config, sender).run(count));
        Self {
            endpoints,
            answering,
            clock: context.clock,
            random: context.random.clone(),
            _task: Arc::new(task),
        }
    }

    /// Picks the instance with the least load that is not in `exclude`; `None` when none answers.
    pub fn pick(&self, exclude: &[InstanceId]) -> Option<Picked> {
        self.pick_where(exclude, &|_| true)
    }

    /// Like [`Pool::pick`], among those of whose entry in the registry `fits` approves. An entry that is gone counts
    /// as it was last.
    pub fn pick_where(&self, exclude: &[InstanceId], fits: &dyn Fn(&Instance) -> bool) -> Option<Picked> {
        let now = self.clock.monotonic();
        let endpoints = self.endpoints.borrow().clone();
        let usable: Vec<&Arc<Endpoint>> = endpoints
            .values()
            .filter(|endpoint| endpoint.is_live(now) && !exclude.contains(endpoint.id()) && fits(&endpoint.entry()))
            .collect();
        let candidates: Vec<_> = usable.iter().map(|endpoint| endpoint.candidate(now)).collect();
        let endpoint = usable[picker::pick(&candidates, self.random.next_u64(), &[])?];
        Some(Picked {
            instance: endpoint.id().clone(),
            channel: endpoint.channel(),
            lease: InFlight::new(endpoint.clone()),
        })
    }

    /// Returns the number of instances that would take a call now.
    pub fn answering(&self) -> usize {
        let now = self.clock.monotonic();
        self.endpoints
            .borrow()
            .values()
            .filter(|endpoint| endpoint.takes_calls(now))
            .count()
    }

    /// Returns the instances whose stats arrive, including those that drain.
    pub fn live(&self) -> BTreeSet<InstanceId> {
        let now = self.clock.monotonic();
        let endpoints = self.endpoints.borrow().clone();
        let live = endpoints.values().filter(|endpoint| endpoint.is_live(now));
        live.map(|endpoint| endpoint.id().clone()).collect()
    }

    /// Completes when the number of instances that answer changes, and at the latest after a second, so that a loop
    /// over `changed` and `answering` never stays wrong.
    pub async fn changed(&self) {
        let mut answering = self.answering.clone();
        let before = *answering.borrow_and_update();
        // An error means that the pool ends; a timeout is as good as a change.
        let _ = tokio::time::timeout(CHANGE_WAIT, answering.wait_for(|now| *now != before)).await;
    }

    /// Returns the latest stats of every live instance, including those that drain.
    pub fn stats(&self) -> BTreeMap<InstanceId, WatchStatsResponse> {
        let now = self.clock.monotonic();
        let endpoints = self.endpoints.borrow().clone();
        let live = endpoints.iter().filter(|(_, endpoint)| endpoint.is_live(now));
        live.filter_map(|(id, endpoint)| Some((id.clone(), endpoint.stats()?)))
            .collect()
    }
}
