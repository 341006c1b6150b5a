//! Who is in the pool, and the streams that keep them heard.
//!
//! Promises: one task owns the roster; each member's stream ends with its membership. Leaves the choice to the pool.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lepton_domain::ids::InstanceId;
use lepton_proto::fleet::v1::WatchStatsRequest;
use lepton_proto::fleet::v1::fleet_service_client::FleetServiceClient;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::member::Member;
use super::{Members, PoolConfig};
use lepton_coordination::registry::{Directory, Instance, Instances};
use lepton_core::clock::Clock;
use lepton_core::context::Context;
use lepton_core::net::Net;

/// How often silence is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long to wait before a broken stream is opened again; doubles up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

pub(super) struct Roster {
    directory: Directory,
    net: Net,
    clock: Clock,
    config: PoolConfig,
    members: BTreeMap<InstanceId, (Arc<Member>, AbortHandle)>,
    listeners: JoinSet<()>,
    sender: watch::Sender<Arc<Members>>,
}

impl Roster {
    pub(super) fn new(
        directory: Directory,
        context: &Context,
        config: PoolConfig,
        sender: watch::Sender<Arc<Members>>,
    ) -> Self {
        let (net, clock) = (context.net, context.clock);
        Self {
            directory,
            net,
            clock,
            config,
            members: BTreeMap::new(),
            listeners: JoinSet::new(),
            sender,
        }
    }

    /// Returns when the directory ends.
    pub(super) async fn run(mut self, answering: watch::Sender<usize>) {
        let mut view = self.directory.view();
        loop {
            let registered = view.borrow_and_update().clone();
            self.update(&registered);
            let now = self.clock.monotonic();
            let count = self
                .members
                .values()
                .filter(|(member, _)| member.takes_calls(now))
                .count();
            answering.send_if_modified(|old| std::mem::replace(old, count) != count);
            while self.listeners.try_join_next().is_some() {}
            tokio::select! {
                changed = view.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn update(&mut self, registered: &Instances) {
        let mut changed = false;
        for (id, (member, _)) in &self.members {
            member.set_entry(registered.get(id));
        }
        self.members.retain(|_, (member, listener)| {
            let gone = member.is_gone();
            if gone {
                listener.abort();
            }
            changed |= gone;
            !gone
        });
        for instance in registered.values() {
            let known = self.members.get(&instance.id);
            if known.is_none_or(|(member, _)| member.address() != instance.address) {
                self.admit(instance);
                changed = true;
            }
        }
        if changed {
            let members = self
                .members
                .iter()
                .map(|(id, (member, _))| (id.clone(), member.clone()))
                .collect();
            self.sender.send_replace(Arc::new(members));
        }
    }

    /// Adds an instance, or the new process of one that has moved.
    fn admit(&mut self, instance: &Instance) {
        let channel = self.net.channel(&instance.address);
        let member = Arc::new(Member::new(instance, channel, self.clock, self.config));
        let listener = self.listeners.spawn(listen(member.clone(), self.config.interval));
        if let Some((_, old)) = self.members.insert(instance.id.clone(), (member, listener)) {
            old.abort();
        }
    }
}

/// Keeps a member heard as long as it is one.
async fn listen(member: Arc<Member>, interval: Duration) {
    let mut pause = PAUSE;
    loop {
        if one_stream(&member, interval).await {
            pause = PAUSE;
        }
        member.lose();
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Listens until the stream breaks; says whether anything came.
async fn one_stream(member: &Member, interval: Duration) -> bool {
    let mut client = FleetServiceClient::new(member.channel());
    let interval_ms = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
    let mut stream = match client.watch_stats(WatchStatsRequest { interval_ms }).await {
        Ok(stream) => stream.into_inner(),
        Err(status) => {
            tracing::trace!(instance = %member.id(), %status, "no stats stream");
            return false;
        }
    };
    let mut heard = false;
    while let Ok(Some(stats)) = stream.message().await {
        // A port may have been taken over by another process.
        if stats.instance != member.id().as_str() {
            tracing::debug!(instance = %member.id(), found = stats.instance, "another instance answers there");
            return false;
        }
        member.hear(stats);
        heard = true;
    }
    heard
}
