//! Connections to every instance of a service, and the choice among them.
//!
//! Promises: each instance streams its load; one that is silent, or whose stream broke, is not picked. An instance
//! stays as long as it answers, also when its entry in etcd is gone; it leaves when both are gone, and one that drains
//! is not picked any more. So the pool goes on while etcd is away. Leaves retries and deadlines to the caller.

mod member;
mod roster;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lepton_domain::ids::InstanceId;
use lepton_domain::picker;
use lepton_proto::fleet::v1::WatchStatsResponse;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use lepton_coordination::registry::{Directory, Instance};
use lepton_core::clock::Clock;
use lepton_core::context::Context;
use lepton_core::random::Random;
pub use member::InFlight;
use member::Member;
use roster::Roster;

#[cfg(test)]
mod tests;

/// The longest that [`Pool::changed`] waits.
const CHANGE_WAIT: Duration = Duration::from_secs(1);

/// How a pool listens to its instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConfig {
    /// How often an instance sends its load.
    pub interval: Duration,
    /// How long an instance may be silent before it counts as not answering.
    pub silence_max: Duration,
    /// How long an instance is avoided after a failed call; doubles with each further failure, four times at most.
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

/// The members by id, as the roster keeps them.
type Members = BTreeMap<InstanceId, Arc<Member>>;

/// The instances of a service. Clones share them; the pool ends with the last one.
#[derive(Debug, Clone)]
pub struct Pool {
    members: watch::Receiver<Arc<Members>>,
    answering: watch::Receiver<usize>,
    clock: Clock,
    random: Random,
    _task: Arc<JoinSet<()>>,
}

/// The instance that was picked.
#[derive(Debug)]
pub struct Picked {
    /// Who it is.
    pub instance: InstanceId,
    /// How to reach it.
    pub channel: Channel,
    /// Counts the call while it lives; tell it how the call ended.
    pub lease: InFlight,
}

impl Pool {
    /// Starts to connect to the instances that the directory shows.
    pub fn start(directory: Directory, context: &Context, mut config: PoolConfig) -> Self {
        // Whoever listens seldom must not take the pause between two messages for silence.
        config.silence_max = config.silence_max.max(config.interval * 3);
        let (sender, members) = watch::channel(Arc::new(Members::new()));
        let (count, answering) = watch::channel(0);
        let mut task = JoinSet::new();
        task.spawn(Roster::new(directory, context, config, sender).run(count));
        Self {
            members,
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

    /// Like [`Pool::pick`], among those of whose entry in the registry `fits` approves. An entry that is gone counts as it
    /// was last.
    pub fn pick_where(&self, exclude: &[InstanceId], fits: &dyn Fn(&Instance) -> bool) -> Option<Picked> {
        let now = self.clock.monotonic();
        let members = self.members.borrow().clone();
        let usable: Vec<&Arc<Member>> = members
            .values()
            .filter(|member| member.hears(now) && !exclude.contains(member.id()) && fits(&member.entry()))
            .collect();
        let candidates: Vec<_> = usable.iter().map(|member| member.candidate(now)).collect();
        let member = usable[picker::pick(&candidates, self.random.next_u64(), &[])?];
        Some(Picked {
            instance: member.id().clone(),
            channel: member.channel(),
            lease: InFlight::new(member.clone()),
        })
    }

    /// How many instances would take a call now.
    pub fn answering(&self) -> usize {
        let now = self.clock.monotonic();
        self.members
            .borrow()
            .values()
            .filter(|member| member.takes_calls(now))
            .count()
    }

    /// The instances that are heard, also those that drain.
    pub fn heard(&self) -> BTreeSet<InstanceId> {
        let now = self.clock.monotonic();
        let members = self.members.borrow().clone();
        let heard = members.values().filter(|member| member.hears(now));
        heard.map(|member| member.id().clone()).collect()
    }

    /// Completes when the number of instances that answer changes, and at the latest after a second, so that a loop
    /// over `changed` and `answering` never stays wrong.
    pub async fn changed(&self) {
        let mut answering = self.answering.clone();
        let before = *answering.borrow_and_update();
        // An error means that the pool ends; a timeout is as good as a change.
        let _ = tokio::time::timeout(CHANGE_WAIT, answering.wait_for(|now| *now != before)).await;
    }

    /// The last message of every instance that is heard, also of those that drain.
    pub fn stats(&self) -> BTreeMap<InstanceId, WatchStatsResponse> {
        let now = self.clock.monotonic();
        let members = self.members.borrow().clone();
        let heard = members.iter().filter(|(_, member)| member.hears(now));
        heard
            .filter_map(|(id, member)| Some((id.clone(), member.stats()?)))
            .collect()
    }
}
