//! One instance of a pool: its connection, its load, and how its calls went.
//!
//! Promises: reading and counting take no lock that anyone holds for long. Leaves the stream that feeds it to the
//! discovery.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use lepton_domain::ids::InstanceId;
use lepton_domain::picker::Candidate;
use lepton_proto::fleet::v1::WatchStatsResponse;
use tokio::sync::watch;
use tonic::transport::Channel;

use super::PoolConfig;
use lepton_coordination::registry::{Instance, NodeState};
use lepton_core::clock::Clock;

/// Failures in a row beyond this do not lengthen the penalty.
const DOUBLINGS_MAX: u32 = 4;

/// Latest message of an instance's stats stream.
#[derive(Debug, Clone, Default)]
struct LastStats {
    /// `None` while no stream stands.
    stats: Option<WatchStatsResponse>,
    at: Duration,
    /// Our own calls in flight at that moment, which the instance counted too.
    own: u32,
}

/// An instance in a [`Pool`](super::Pool).
#[derive(Debug)]
pub(super) struct Endpoint {
    id: InstanceId,
    address: String,
    channel: Channel,
    clock: Clock,
    config: PoolConfig,
    last: watch::Sender<LastStats>,
    /// Its latest entry in the registry.
    entry: watch::Sender<Arc<Instance>>,
    draining: AtomicBool,
    registered: AtomicBool,
    own: AtomicU32,
    failures: AtomicU32,
    /// Until when it is avoided, microseconds of the monotonic clock.
    avoided_until_us: AtomicU64,
}

impl Endpoint {
    pub(super) fn new(instance: &Instance, channel: Channel, clock: Clock, config: PoolConfig) -> Self {
        Self {
            id: instance.id.clone(),
            address: instance.address.clone(),
            channel,
            clock,
            config,
            last: watch::Sender::new(LastStats::default()),
            entry: watch::Sender::new(Arc::new(instance.clone())),
            draining: AtomicBool::new(instance.state == NodeState::Draining),
            registered: AtomicBool::new(true),
            own: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            avoided_until_us: AtomicU64::new(0),
        }
    }

    pub(super) fn id(&self) -> &InstanceId {
        &self.id
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Sets its entry in the registry; `None` when the entry is gone.
    pub(super) fn set_entry(&self, entry: Option<&Instance>) {
        self.registered.store(entry.is_some(), Ordering::Relaxed);
        if let Some(instance) = entry {
            self.draining
                .store(instance.state == NodeState::Draining, Ordering::Relaxed);
            self.entry.send_if_modified(|entry| {
                let news = **entry != *instance;
                if news {
                    *entry = Arc::new(instance.clone());
                }
                news
            });
        }
    }

    /// Its latest entry in the registry.
    pub(super) fn entry(&self) -> Arc<Instance> {
        self.entry.borrow().clone()
    }

    /// Returns whether it has left: it is not registered and has no stats stream.
    pub(super) fn is_gone(&self) -> bool {
        !self.registered.load(Ordering::Relaxed) && self.last.borrow().stats.is_none()
    }

    /// Records a message of its stats stream.
    pub(super) fn update(&self, stats: WatchStatsResponse) {
        let own = self.own.load(Ordering::Relaxed);
        self.last.send_replace(LastStats {
            stats: Some(stats),
            at: self.clock.monotonic(),
            own,
        });
    }

    /// Records that its stats stream broke.
    pub(super) fn disconnected(&self) {
        self.last.send_modify(|last| last.stats = None);
    }

    /// Returns whether its stats stream is open and not silent.
    pub(super) fn is_live(&self, now: Duration) -> bool {
        let last = self.last.borrow();
        last.stats.is_some() && now.saturating_sub(last.at) < self.config.silence_max
    }

    /// Returns whether it would take a call.
    pub(super) fn takes_calls(&self, now: Duration) -> bool {
        let ready = self
            .last
            .borrow()
            .stats
            .as_ref()
            .is_some_and(|stats| stats.ready && !stats.draining);
        ready && !self.draining.load(Ordering::Relaxed) && self.is_live(now)
    }

    pub(super) fn stats(&self) -> Option<WatchStatsResponse> {
        self.last.borrow().stats.clone()
    }

    /// As the picker sees it.
    pub(super) fn candidate(&self, now: Duration) -> Candidate {
        let last = self.last.borrow();
        let stats = last.stats.as_ref();
        let own = self.own.load(Ordering::Relaxed);
        // The others' calls as reported, and our own as they are now.
        let others = stats.map_or(0, |stats| stats.in_flight.saturating_sub(last.own));
        let avoided = Duration::from_micros(self.avoided_until_us.load(Ordering::Relaxed)) > now;
        Candidate {
            in_flight: others.saturating_add(own),
            queued: stats.map_or(0, |stats| stats.queued),
            slots: stats.map_or(0, |stats| stats.slots),
            failing: avoided || !stats.is_some_and(|stats| stats.ready),
            draining: self.draining.load(Ordering::Relaxed) || stats.is_some_and(|stats| stats.draining),
        }
    }

    fn failed(&self) {
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        let penalty = self.config.penalty * (1 << before.min(DOUBLINGS_MAX));
        let until = (self.clock.monotonic() + penalty).as_micros();
        self.avoided_until_us
            .store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.avoided_until_us.store(0, Ordering::Relaxed);
    }
}

/// A call in flight. Dropping it, as a cancelled call does, counts neither as success nor as failure.
#[derive(Debug)]
pub struct InFlight {
    endpoint: Arc<Endpoint>,
}

impl InFlight {
    pub(super) fn new(endpoint: Arc<Endpoint>) -> Self {
        endpoint.own.fetch_add(1, Ordering::Relaxed);
        Self { endpoint }
    }

    /// Records that the instance answered, whatever its verdict on the request.
    pub fn succeed(self) {
        self.endpoint.succeeded();
    }

    /// The instance did not answer, or could not take the call: it is avoided for a while.
    pub fn fail(self) {
        self.endpoint.failed();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.endpoint.own.fetch_sub(1, Ordering::Relaxed);
    }
}
