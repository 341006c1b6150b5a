//! What is known of one instance: its entry, its stream, and what the two together mean.
//!
//! Promises: pure; time comes in. An instance lives as long as it answers, whatever its entry says; it is gone when it
//! neither answers nor has said goodbye. Leaves incidents to `rule`.

use std::time::Duration;

use lepton_coordination::registry::{Instance, NodeState};
use lepton_domain::incident::Live;
use lepton_domain::time::Timestamp;
use lepton_proto::fleet::v1::WatchStatsResponse;

use crate::stats::ring::Ring;

#[cfg(test)]
mod tests;

/// A broken stream means a loss after so many failures in a row, the break itself included...
const FAILURES_MIN: u32 = 3;
/// ...and not before this time: the word that an instance left in order takes its way through etcd.
const BREAK_MIN: Duration = Duration::from_millis(400);

/// Beyond the longest silence, so much longer may one that was never heard take to answer: it may still be starting.
const FIRST_WORD_EXTRA: Duration = Duration::from_secs(10);

/// The key of the registry's metadata under which a supervisor names the place that an instance fills.
const NAME: &str = "name";

/// An instance under watch.
#[derive(Debug)]
pub(crate) struct Track {
    /// Its entry, or the last that there was.
    pub instance: Instance,
    /// Whether the entry is there.
    pub registered: bool,
    /// What it told last.
    pub last: Option<WatchStatsResponse>,
    /// Its recent past.
    pub ring: Ring,
    link: Link,
    /// Silence beyond this counts as absence.
    silence_max: Duration,
    /// Whether it ended its stream in order and has not been heard since.
    ended: bool,
}

/// How the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// Nothing has come yet, and it is listened to since this monotonic time.
    Opening { from: Duration },
    /// It answers.
    Open {
        since: Timestamp,
        heard: Timestamp,
        heard_at: Duration,
    },
    /// It answered and does not any more.
    Broken {
        since: Timestamp,
        heard: Timestamp,
        at: Duration,
        failures: u32,
    },
}

/// What is to be thought of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Registered, not yet heard.
    Unknown,
    /// Lives.
    Answering,
    /// Does not answer, but may be leaving in order, or be back at once.
    Suspect,
    /// Does not answer, and has not said why.
    Gone,
    /// Left in order, or is known by nobody any more.
    Left,
}

impl Track {
    /// Of an instance that has just been discovered, at monotonic time `now`.
    pub fn new(instance: Instance, samples: usize, silence_max: Duration, now: Duration) -> Self {
        Self {
            instance,
            registered: true,
            last: None,
            ring: Ring::new(samples),
            link: Link::Opening { from: now },
            silence_max,
            ended: false,
        }
    }

    /// It told its load, at wall time `now` and monotonic time `at`.
    pub fn hear(&mut self, stats: WatchStatsResponse, now: Timestamp, at: Duration) {
        let since = match self.link {
            Link::Open { since, heard_at, .. } if !self.is_silent(heard_at, at) => since,
            _ => now,
        };
        self.link = Link::Open {
            since,
            heard: now,
            heard_at: at,
        };
        self.ended = false;
        self.ring.push(at, &stats);
        self.last = Some(stats);
    }

    /// Its stream broke, or was not opened again, at monotonic time `now`.
    pub fn fail(&mut self, now: Duration) {
        self.link = match self.link {
            Link::Opening { from } => Link::Opening { from },
            Link::Open { since, heard, .. } => Link::Broken {
                since,
                heard,
                at: now,
                failures: 1,
            },
            Link::Broken {
                since,
                heard,
                at,
                failures,
            } => Link::Broken {
                since,
                heard,
                at,
                failures: failures.saturating_add(1),
            },
        };
    }

    /// It ended its stream in order.
    pub fn end(&mut self, now: Duration) {
        self.ended = true;
        self.fail(now);
    }

    /// The monitor itself was stopped until `now`: the silence of that time is not the instance's.
    pub fn forgive(&mut self, now: Duration) {
        match &mut self.link {
            Link::Opening { from: at } | Link::Open { heard_at: at, .. } => *at = now,
            Link::Broken { .. } => {}
        }
    }

    /// Whether it takes nothing new.
    pub fn is_draining(&self) -> bool {
        let told = self.last.as_ref().is_some_and(|stats| stats.draining);
        told || self.ended || self.instance.state == NodeState::Draining
    }

    /// What to think of it at monotonic time `now`.
    pub fn standing(&self, now: Duration) -> Standing {
        let lost = match self.link {
            Link::Opening { .. } if !self.registered => return Standing::Left,
            Link::Opening { from } => {
                let late = now.saturating_sub(from) > self.silence_max + FIRST_WORD_EXTRA;
                return if late && !self.is_draining() {
                    Standing::Gone
                } else {
                    Standing::Unknown
                };
            }
            Link::Open { heard_at, .. } if !self.is_silent(heard_at, now) => return Standing::Answering,
            // Its connection stands. Without an entry it is stopped rather than gone in order: an exit closes it.
            Link::Open { .. } => {
                return if self.is_draining() {
                    Standing::Suspect
                } else {
                    Standing::Gone
                };
            }
            Link::Broken { at, failures, .. } => failures >= FAILURES_MIN && now.saturating_sub(at) >= BREAK_MIN,
        };
        match (self.registered, self.is_draining()) {
            // The entry of a killed one stays for seconds: one that left has deleted it.
            (false, _) => Standing::Left,
            (true, false) if lost => Standing::Gone,
            (true, _) => Standing::Suspect,
        }
    }

    /// As the rule sees it; `None` as long as it was never heard.
    pub fn live(&self) -> Option<Live> {
        let (Link::Open { since, heard, .. } | Link::Broken { since, heard, .. }) = self.link else {
            return None;
        };
        Some(self.living(since, heard))
    }

    /// As the rule has to see one that was never heard, for it to be missed afterwards: there, but only since `now`, so
    /// that it makes up for nobody.
    pub fn expected(&self, now: Timestamp) -> Option<Live> {
        matches!(self.link, Link::Opening { .. }).then(|| self.living(now, now))
    }

    fn living(&self, since: Timestamp, heard: Timestamp) -> Live {
        Live {
            service: self.instance.service.clone(),
            name: self.instance.metadata.get(NAME).cloned(),
            draining: self.is_draining(),
            since,
            heard,
        }
    }

    fn is_silent(&self, heard_at: Duration, now: Duration) -> bool {
        now.saturating_sub(heard_at) > self.silence_max
    }
}
