//! Discovers every instance, listens to each, and looks at what they are together.
//!
//! Promises: one task owns everything that is known; a loss is noticed by the broken stream within a second, and by
//! silence otherwise; what is known stays while etcd is away. Leaves the reading of one instance to `track` and the
//! incidents to `rule`.

mod show;
mod track;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lepton_coordination::election::LeaderWatch;
use lepton_coordination::registry::{Directory, Instance, Instances};
use lepton_core::context::Context;
use lepton_domain::ids::InstanceId;
use lepton_domain::incident::Live;
use lepton_mesh::server::health::Readiness;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::MissedTickBehavior;
use tracing::Instrument;

use crate::config::Stats;
use crate::rule::Rules;
use crate::stats::stream::{Event, Listen, Report};
use crate::view::View;
use show::Figures;
use track::{Standing, Track};

/// How often losses and returns are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often the view is made anew when nothing happens but load.
const SHOW_EVERY: Duration = Duration::from_secs(1);
/// A look that is later than this means that the monitor itself was stopped.
const SLEPT_AFTER: Duration = Duration::from_secs(1);
/// Reports that wait to be read; streams wait when there are more.
const REPORTS_MAX: usize = 1_024;

/// Where to look.
#[derive(Debug)]
pub(crate) struct Sources {
    /// All instances of the cluster.
    pub directory: Directory,
    /// The services that elect a leader.
    pub leaders: BTreeMap<&'static str, LeaderWatch>,
}

/// Owns what is known of the mesh.
#[derive(Debug)]
pub(crate) struct Observer {
    sources: Sources,
    context: Context,
    config: Stats,
    tracks: BTreeMap<InstanceId, Watched>,
    streams: JoinSet<()>,
    /// The number of the newest stream.
    newest: u64,
    sender: mpsc::Sender<Report>,
    reports: mpsc::Receiver<Report>,
    rules: Rules,
    /// Who was live at the last look.
    shown: BTreeSet<InstanceId>,
    figures: Figures,
    looked_at: Duration,
    shown_at: Duration,
    /// Whether the registry has changed since it was shown.
    news: bool,
    readiness: Readiness,
    /// Whether readiness has been given; a drain takes it back.
    known: bool,
    view: watch::Sender<Arc<View>>,
}

/// An instance and the stream that listens to it.
#[derive(Debug)]
struct Watched {
    track: Track,
    stream: u64,
    task: AbortHandle,
    /// Whether the rules were told that it should be there, though it was never heard.
    missed: bool,
}

impl Observer {
    /// Watches what `sources` show, as soon as it runs.
    pub fn new(
        sources: Sources,
        context: Context,
        config: Stats,
        readiness: Readiness,
        view: watch::Sender<Arc<View>>,
    ) -> Self {
        let (sender, reports) = mpsc::channel(REPORTS_MAX);
        Self {
            sources,
            config,
            tracks: BTreeMap::new(),
            streams: JoinSet::new(),
            newest: 0,
            sender,
            reports,
            rules: Rules::new(context.random.clone()),
            shown: BTreeSet::new(),
            figures: Figures::new(&context.metrics),
            looked_at: context.clock.monotonic(),
            shown_at: Duration::ZERO,
            news: false,
            readiness,
            known: false,
            view,
            context,
        }
    }

    /// Watches until it is dropped.
    pub async fn run(mut self) {
        let mut registry = self.sources.directory.view();
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                changed = registry.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let registered = registry.borrow_and_update().clone();
                    self.register(&registered);
                }
                Some(report) = self.reports.recv() => self.take(report),
                _ = ticks.tick() => self.look(),
            }
        }
    }

    /// Takes in who is registered.
    fn register(&mut self, registered: &Instances) {
        // The monitor is registered itself, so a registry that has been read is not empty.
        if !self.known && !registered.is_empty() {
            self.known = true;
            self.readiness.set(true);
        }
        for (id, watched) in &mut self.tracks {
            watched.track.registered = registered.contains_key(id);
        }
        self.news = true;
        let mut ignored = 0;
        for instance in registered.values() {
            let full = self.tracks.len() >= self.config.instances_max;
            match self.tracks.get_mut(&instance.id) {
                Some(watched) if watched.track.instance.address == instance.address => {
                    watched.track.instance = instance.clone();
                }
                None if full => ignored += 1,
                _ => self.watch(instance),
            }
        }
        self.figures.ignored(ignored);
    }

    /// Listens to an instance that is new, or new at its address.
    fn watch(&mut self, instance: &Instance) {
        self.newest += 1;
        let listen = Listen {
            instance: instance.id.clone(),
            stream: self.newest,
            channel: self.context.net.channel(&instance.address),
            interval: self.config.interval,
            reports: self.sender.clone(),
        };
        let task = self.streams.spawn(listen.run().in_current_span());
        let track = Track::new(
            instance.clone(),
            self.config.samples_max,
            self.config.silence_max,
            self.context.clock.monotonic(),
        );
        let watched = Watched {
            track,
            stream: self.newest,
            task,
            missed: false,
        };
        if let Some(before) = self.tracks.insert(instance.id.clone(), watched) {
            before.task.abort();
        }
    }

    /// Takes in what happened on a stream.
    fn take(&mut self, report: Report) {
        let Some(watched) = self
            .tracks
            .get_mut(&report.instance)
            .filter(|it| it.stream == report.stream)
        else {
            return;
        };
        let now = self.context.clock.monotonic();
        match report.event {
            Event::Heard(stats) => watched.track.hear(*stats, self.context.clock.now(), now),
            Event::Ended => watched.track.end(now),
            Event::Failed => watched.track.fail(now),
        }
    }

    /// Looks at everything: prepares what is live, lets the rules decide, forgets who left, and shows the outcome.
    fn look(&mut self) {
        let now = self.context.clock.monotonic();
        if now.saturating_sub(self.looked_at) > SLEPT_AFTER {
            self.tracks.values_mut().for_each(|watched| watched.track.forgive(now));
        }
        self.looked_at = now;
        let live = self.live(now);
        self.news |= self.rules.look(&live, self.context.clock.now());
        self.news |= !live.keys().eq(self.shown.iter());
        self.shown = live.into_keys().collect();
        self.forget(now);
        if std::mem::take(&mut self.news) || now.saturating_sub(self.shown_at) >= SHOW_EVERY {
            self.shown_at = now;
            self.show(now);
        }
    }

    /// Who lives, as the rules see it. One that left in order is shown once more, so that they see it drain; one that was
    /// never heard is shown once when it is overdue, so that they miss it.
    fn live(&mut self, now: Duration) -> BTreeMap<InstanceId, Live> {
        let mut live = BTreeMap::new();
        for (id, watched) in &mut self.tracks {
            let left = match watched.track.standing(now) {
                Standing::Answering | Standing::Suspect => false,
                Standing::Left if self.shown.contains(id) => true,
                Standing::Gone if !watched.missed => {
                    let overdue = watched.track.expected(self.context.clock.now());
                    watched.missed = overdue.is_some();
                    live.extend(overdue.map(|it| (id.clone(), it)));
                    continue;
                }
                Standing::Unknown | Standing::Gone | Standing::Left => continue,
            };
            if let Some(mut seen) = watched.track.live() {
                seen.draining |= left;
                live.insert(id.clone(), seen);
            }
        }
        live
    }

    fn forget(&mut self, now: Duration) {
        self.tracks.retain(|_, watched| {
            let stays = watched.track.standing(now) != Standing::Left;
            if !stays {
                watched.task.abort();
            }
            stays
        });
        while self.streams.try_join_next().is_some() {}
    }
}
