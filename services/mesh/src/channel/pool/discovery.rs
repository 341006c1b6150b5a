//! The endpoints of a pool, and the stats streams that keep them live.
//!
//! Promises: one task owns the discovery; each endpoint's stream ends with its membership. Leaves the choice to the
//! pool.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lepton_domain::ids::InstanceId;
use lepton_proto::fleet::v1::WatchStatsRequest;
use lepton_proto::fleet::v1::fleet_service_client::FleetServiceClient;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::endpoint::Endpoint;
use super::{Endpoints, PoolConfig};
use lepton_coordination::registry::{Directory, Instance, Instances};
use lepton_core::backoff::Backoff;
use lepton_core::clock::Clock;
use lepton_core::context::Context;
use lepton_core::net::Net;

/// Interval at which silent instances are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Delay before a broken stream is opened again; doubles up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

pub(super) struct Discovery {
    directory: Directory,
    net: Net,
    clock: Clock,
    config: PoolConfig,
    endpoints: BTreeMap<InstanceId, (Arc<Endpoint>, AbortHandle)>,
    listeners: JoinSet<()>,
    sender: watch::Sender<Arc<Endpoints>>,
}

impl Discovery {
    pub(super) fn new(
        directory: Directory,
        context: &Context,
        config: PoolConfig,
        sender: watch::Sender<Arc<Endpoints>>,
    ) -> Self {
        let (net, clock) = (context.net, context.clock);
        Self {
            directory,
            net,
            clock,
            config,
            endpoints: BTreeMap::new(),
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
                .endpoints
                .values()
                .filter(|(endpoint, _)| endpoint.takes_calls(now))
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
        for (id, (endpoint, _)) in &self.endpoints {
            endpoint.set_entry(registered.get(id));
        }
        self.endpoints.retain(|_, (endpoint, listener)| {
            let gone = endpoint.is_gone();
            if gone {
                listener.abort();
            }
            changed |= gone;
            !gone
        });
        for instance in registered.values() {
            let known = self.endpoints.get(&instance.id);
            if known.is_none_or(|(endpoint, _)| endpoint.address() != instance.address) {
                self.admit(instance);
                changed = true;
            }
        }
        if changed {
            let endpoints = self
                .endpoints
                .iter()
                .map(|(id, (endpoint, _))| (id.clone(), endpoint.clone()))
                .collect();
            self.sender.send_replace(Arc::new(endpoints));
        }
    }

    /// Adds an instance, or the new process of one that has moved.
    fn admit(&mut self, instance: &Instance) {
        let channel = self.net.channel(&instance.address);
        let endpoint = Arc::new(Endpoint::new(instance, channel, self.clock, self.config));
        let listener = self.listeners.spawn(listen(endpoint.clone(), self.config.interval));
        if let Some((_, old)) = self.endpoints.insert(instance.id.clone(), (endpoint, listener)) {
            old.abort();
        }
    }
}

/// Keeps the stats stream of an [`Endpoint`] open as long as it is in the pool.
async fn listen(endpoint: Arc<Endpoint>, interval: Duration) {
    let mut backoff = Backoff::new(PAUSE, PAUSE_MAX);
    loop {
        if one_stream(&endpoint, interval).await {
            backoff.reset();
        }
        endpoint.disconnected();
        tokio::time::sleep(backoff.delay()).await;
    }
}

/// Receives stats until the stream breaks; returns whether any arrived.
async fn one_stream(endpoint: &Endpoint, interval: Duration) -> bool {
    let mut client = FleetServiceClient::new(endpoint.channel());
    let interval_ms = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
    let mut stream = match client.watch_stats(WatchStatsRequest { interval_ms }).await {
        Ok(stream) => stream.into_inner(),
        Err(status) => {
            tracing::trace!(instance = %endpoint.id(), %status, "no stats stream");
            return false;
        }
    };
    let mut last = false;
    while let Ok(Some(stats)) = stream.message().await {
        // A port may have been taken over by another process.
        if stats.instance != endpoint.id().as_str() {
            tracing::debug!(instance = %endpoint.id(), found = stats.instance, "another instance answers there");
            return false;
        }
        endpoint.update(stats);
        last = true;
    }
    last
}
