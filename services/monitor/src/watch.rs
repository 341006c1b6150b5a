//! Observation of all instances: discovery, stats streams, verdicts and the published view.
//!
//! Promises: one task owns the state; a loss is detected by the broken stream within a second, and otherwise by
//! silence; the state survives an outage of etcd. Leaves the verdict about one instance to [`instance_state`] and
//! incidents to [`crate::incident_rules`].

mod instance_state;
mod leaderless;
mod view_builder;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lepton_coordination::election::LeaderWatch;
use lepton_coordination::registry::{Directory, Instance, Instances};
use lepton_core::context::Context;
use lepton_domain::ids::InstanceId;
use lepton_domain::incident::Live;
use lepton_domain::incident::reported::ConditionReport;
use lepton_mesh::server::health::Readiness;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::MissedTickBehavior;
use tracing::Instrument;

use crate::config::{Config, Stats};
use crate::incident_rules::IncidentRules;
use crate::stats::stream::{StatsStream, StreamEvent, StreamReport};
use crate::view::MeshView;
use instance_state::{InstanceState, Liveness};
use leaderless::LeaderlessTimers;
use view_builder::WatchMetrics;

/// Interval at which losses and returns are detected.
const TICK_INTERVAL: Duration = Duration::from_millis(100);
/// Interval at which the view is rebuilt when only loads change.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);
/// Delay of a tick after which the monitor process itself must have been suspended.
const SUSPENDED_AFTER: Duration = Duration::from_secs(1);
/// Queued stream reports; streams wait while the queue is full.
const REPORTS_MAX: usize = 1_024;

/// Inputs of the [`InstanceWatcher`].
#[derive(Debug)]
pub(crate) struct WatchSources {
    /// All instances of the cluster.
    pub directory: Directory,
    /// Leader watches of the services that elect one.
    pub leaders: BTreeMap<&'static str, LeaderWatch>,
}

/// Owner of everything observed about the mesh.
#[derive(Debug)]
pub(crate) struct InstanceWatcher {
    sources: WatchSources,
    context: Context,
    config: Stats,
    instances: BTreeMap<InstanceId, WatchedInstance>,
    streams: JoinSet<()>,
    /// Number of the newest stream.
    newest_stream: u64,
    sender: mpsc::Sender<StreamReport>,
    reports: mpsc::Receiver<StreamReport>,
    rules: IncidentRules,
    leaderless: LeaderlessTimers,
    /// Instances that were live at the last tick.
    live_before: BTreeSet<InstanceId>,
    metrics: WatchMetrics,
    last_tick: Duration,
    last_published: Duration,
    /// Set if the view must be rebuilt before its interval ends.
    view_changed: bool,
    readiness: Readiness,
    /// Set once readiness has been granted; a drain revokes it.
    ready_granted: bool,
    view: watch::Sender<Arc<MeshView>>,
}

/// Instance with its [`StatsStream`].
#[derive(Debug)]
struct WatchedInstance {
    state: InstanceState,
    stream: u64,
    task: AbortHandle,
    /// Set if the rules have seen it as overdue, though it never sent a report.
    reported_overdue: bool,
}

impl InstanceWatcher {
    /// Watcher of everything in `sources`, once [`InstanceWatcher::run`] is polled.
    pub fn new(
        sources: WatchSources,
        context: Context,
        config: &Config,
        readiness: Readiness,
        view: watch::Sender<Arc<MeshView>>,
    ) -> Self {
        let (sender, reports) = mpsc::channel(REPORTS_MAX);
        Self {
            leaderless: LeaderlessTimers::new(config.incidents.leaderless_after, context.conditions.clone()),
            sources,
            config: config.stats.clone(),
            instances: BTreeMap::new(),
            streams: JoinSet::new(),
            newest_stream: 0,
            sender,
            reports,
            rules: IncidentRules::new(context.random.clone()),
            live_before: BTreeSet::new(),
            metrics: WatchMetrics::new(&context.metrics),
            last_tick: context.clock.monotonic(),
            last_published: Duration::ZERO,
            view_changed: false,
            readiness,
            ready_granted: false,
            view,
            context,
        }
    }

    /// Runs until it is dropped.
    pub async fn run(mut self) {
        let mut registry = self.sources.directory.view();
        let mut ticks = tokio::time::interval(TICK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                changed = registry.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let registered = registry.borrow_and_update().clone();
                    self.update_registry(&registered);
                }
                Some(report) = self.reports.recv() => self.handle_report(report),
                _ = ticks.tick() => self.tick(),
            }
        }
    }

    /// Updates the instances from the registry.
    fn update_registry(&mut self, registered: &Instances) {
        // The monitor is registered itself, so a registry that has been read is not empty.
        if !self.ready_granted && !registered.is_empty() {
            self.ready_granted = true;
            self.readiness.set(true);
        }
        for (id, watched) in &mut self.instances {
            watched.state.registered = registered.contains_key(id);
        }
        self.view_changed = true;
        let mut ignored = 0;
        for instance in registered.values() {
            let full = self.instances.len() >= self.config.instances_max;
            match self.instances.get_mut(&instance.id) {
                Some(watched) if watched.state.instance.address == instance.address => {
                    watched.state.instance = instance.clone();
                }
                None if full => ignored += 1,
                _ => self.observe(instance),
            }
        }
        self.metrics.ignored(ignored);
    }

    /// Opens a stream to an instance that is new, or new at its address.
    fn observe(&mut self, instance: &Instance) {
        self.newest_stream += 1;
        let stats_stream = StatsStream {
            instance: instance.id.clone(),
            stream: self.newest_stream,
            channel: self.context.net.channel(&instance.address),
            interval: self.config.interval,
            reports: self.sender.clone(),
        };
        let task = self.streams.spawn(stats_stream.run().in_current_span());
        let state = InstanceState::new(
            instance.clone(),
            self.config.samples_max,
            self.config.silence_max,
            self.context.clock.monotonic(),
        );
        let watched = WatchedInstance {
            state,
            stream: self.newest_stream,
            task,
            reported_overdue: false,
        };
        if let Some(before) = self.instances.insert(instance.id.clone(), watched) {
            before.task.abort();
        }
    }

    /// Handles an event of a stream.
    fn handle_report(&mut self, report: StreamReport) {
        let Some(watched) = self
            .instances
            .get_mut(&report.instance)
            .filter(|it| it.stream == report.stream)
        else {
            return;
        };
        let now = self.context.clock.monotonic();
        match report.event {
            StreamEvent::Received(stats) => watched.state.record_report(*stats, self.context.clock.now(), now),
            StreamEvent::Ended => watched.state.record_end(now),
            StreamEvent::Failed => watched.state.record_failure(now),
        }
    }

    /// Judges all instances, evaluates the [`IncidentRules`], forgets instances that left, and publishes the view.
    fn tick(&mut self) {
        let now = self.context.clock.monotonic();
        if now.saturating_sub(self.last_tick) > SUSPENDED_AFTER {
            self.instances
                .values_mut()
                .for_each(|watched| watched.state.reset_after_pause(now));
            self.leaderless.reset();
        }
        self.last_tick = now;
        self.check_leaders(now);
        let (live, reports) = (self.live(now), self.condition_reports(now));
        self.view_changed |= self.rules.evaluate(&live, &reports, self.context.clock.now());
        self.view_changed |= !live.keys().eq(self.live_before.iter());
        self.live_before = live.into_keys().collect();
        self.forget_departed(now);
        if std::mem::take(&mut self.view_changed) || now.saturating_sub(self.last_published) >= PUBLISH_INTERVAL {
            self.last_published = now;
            self.publish(now);
        }
    }

    /// Live instances as input of the rules. One that left in order is included once more as draining; one that never
    /// sent a report is included once when it is overdue, so that its absence is detected.
    fn live(&mut self, now: Duration) -> BTreeMap<InstanceId, Live> {
        let mut live = BTreeMap::new();
        for (id, watched) in &mut self.instances {
            let departing = match watched.state.liveness(now) {
                Liveness::Answering | Liveness::Suspect => false,
                Liveness::Left if self.live_before.contains(id) => true,
                Liveness::Gone if !watched.reported_overdue => {
                    let overdue = watched.state.expected(self.context.clock.now());
                    watched.reported_overdue = overdue.is_some();
                    live.extend(overdue.map(|it| (id.clone(), it)));
                    continue;
                }
                Liveness::Unknown | Liveness::Gone | Liveness::Left => continue,
            };
            if let Some(mut live_instance) = watched.state.live() {
                live_instance.draining |= departing;
                live.insert(id.clone(), live_instance);
            }
        }
        live
    }

    /// Raises or clears the condition "no leader" of this monitor, which reports it as any other instance does.
    fn check_leaders(&mut self, now: Duration) {
        if !self.ready_granted {
            return;
        }
        for service in self.sources.leaders.keys().copied() {
            let mut states = self.instances.values().map(|watched| &watched.state);
            let led = states.any(|state| state.instance.service == service && state.leads(now));
            self.leaderless.observe(service, led, now);
        }
    }

    /// Last words of all instances that have not left about conditions.
    fn condition_reports(&self, now: Duration) -> BTreeMap<InstanceId, ConditionReport> {
        let report =
            |(id, watched): (&InstanceId, &WatchedInstance)| Some((id.clone(), watched.state.condition_report(now)?));
        self.instances.iter().filter_map(report).collect()
    }

    fn forget_departed(&mut self, now: Duration) {
        self.instances.retain(|_, watched| {
            let remains = watched.state.liveness(now) != Liveness::Left;
            if !remains {
                watched.task.abort();
            }
            remains
        });
        while self.streams.try_join_next().is_some() {}
    }
}
