//! The task that owns the models in memory.
//!
//! Promises: turns round whenever the registry changes, a load ends or a time comes; loads go on side by side, but only
//! so many. Leaves what to do to `plan`.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use lepton_core::blob::Blobs;
use lepton_core::clock::Clock;
use lepton_core::context::Context;
use lepton_core::metrics::{Counters, Gauge, own};
use lepton_domain::reason::{Fault, Reason};
use lepton_models::loaded::{Loaded, State};
use lepton_models::{ModelMap, Models};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tracing::Instrument;

use super::load::{Loader, pause};
use super::plan::{self, Key, Stage, Standing};
use super::{Host, Shelf};
use crate::compute::Compute;
use crate::model::contain::said;
use crate::model::{Backend, Loaded as Runs};

#[cfg(test)]
mod tests;

/// The end of a load: of which version, under which number, and how.
type Ended = (Key, u64, Result<Arc<dyn Runs>, Fault>);

/// How much may be in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of model files. What a model takes in memory is some multiple of it.
    pub files_bytes_max: u64,
    /// Models that load at once.
    pub loads_max: usize,
}

/// Keeps the models.
#[derive(Debug)]
pub struct Keeper {
    models: Models,
    clock: Clock,
    room: Room,
    loader: Loader,
    shelf: watch::Sender<Arc<Shelf>>,
    told: watch::Sender<Vec<Loaded>>,
    places: BTreeMap<Key, Place>,
    loads: JoinSet<Ended>,
    /// Numbers loads, so that the end of one that was given up is not taken for that of its successor.
    ticket: u64,
    outcomes: Counters,
    ready: Gauge,
}

/// A version and what is known of it.
#[derive(Debug)]
struct Place {
    bytes: u64,
    held: Held,
    failures: u32,
    leaves_at: Option<Duration>,
}

#[derive(Debug)]
enum Held {
    Loading {
        ticket: u64,
        load: AbortHandle,
    },
    Ready(Arc<dyn Runs>),
    Failed {
        message: String,
        again_at: Option<Duration>,
    },
}

impl Keeper {
    /// A keeper of nothing, and the handle on what it will keep.
    pub fn new(
        models: Models,
        blobs: watch::Receiver<Option<Blobs>>,
        backend: Arc<dyn Backend>,
        room: Room,
        context: &Context,
    ) -> (Self, Host) {
        let (shelf, shelf_seen) = watch::channel(Arc::new(Shelf::new()));
        let (told, told_seen) = watch::channel(Vec::new());
        let host = Host {
            models: models.clone(),
            shelf: shelf_seen,
            told: told_seen,
        };
        let loader = Loader {
            blobs,
            backend,
            compute: Compute::new(room.loads_max.max(1)),
        };
        let outcomes = context
            .metrics
            .counters("lepton_model_loads_total", "Loads of models that ended, by outcome");
        let ready = context
            .metrics
            .gauge("lepton_models_ready", "Versions of models in memory", &[]);
        let keeper = Self {
            models,
            clock: context.clock,
            room,
            loader,
            shelf,
            told,
            places: BTreeMap::new(),
            loads: JoinSet::new(),
            ticket: 0,
            outcomes,
            ready,
        };
        (keeper, host)
    }

    /// Keeps for ever.
    pub async fn run(mut self) {
        let mut view = self.models.view();
        loop {
            let models = view.borrow_and_update().clone();
            // A view that nothing was read into yet says nothing about what is deployed.
            let look_at = if self.models.is_known() {
                self.turn(&models)
            } else {
                None
            };
            self.tell();
            let pause = look_at.map(|at| at.saturating_sub(self.clock.monotonic()));
            let pause = futures::future::OptionFuture::from(pause.map(tokio::time::sleep));
            tokio::select! {
                changed = view.changed() => if changed.is_err() { return },
                Some(ended) = self.loads.join_next() => self.settle(ended),
                Some(()) = pause => {}
            }
        }
    }

    /// Does what the plan says and gives the time of the next turn.
    fn turn(&mut self, models: &ModelMap) -> Option<Duration> {
        let wanted = plan::wanted(models);
        let standing = self.places.iter().map(|(key, place)| (key, place.standing()));
        let plan = plan::plan(&wanted, standing, self.clock.monotonic());
        for key in plan.forget {
            self.forget(&key);
        }
        for (key, at) in plan.leaving {
            if let Some(place) = self.places.get_mut(&key) {
                place.leaves_at = at;
            }
        }
        for key in plan.load {
            if let Some(version) = wanted.get(&key) {
                self.load(key, (*version).clone());
            }
        }
        plan.look_at
    }

    fn load(&mut self, key: Key, version: lepton_domain::model::Version) {
        let failures = self.places.get(&key).map_or(0, |place| place.failures);
        let taken: u64 = self
            .places
            .iter()
            .filter(|(other, _)| **other != key)
            .map(|(_, place)| place.bytes)
            .sum();
        let bytes = version.bytes;
        let held = if taken.saturating_add(bytes) > self.room.files_bytes_max {
            self.no_room(bytes, failures)
        } else {
            self.ticket += 1;
            let (ticket, loader, of) = (self.ticket, self.loader.clone(), key.clone());
            // A panic is an end like any other: without its key the place would be loading for ever.
            let load = AssertUnwindSafe(loader.load(version)).catch_unwind();
            let work = async move { (of, ticket, load.await.unwrap_or_else(|panic| Err(panicked(&*panic)))) };
            let load = self.loads.spawn(work.in_current_span());
            tracing::info!(model = key.0, version = key.1, "loading");
            Held::Loading { ticket, load }
        };
        // What is not loaded takes no room.
        let bytes = if matches!(held, Held::Failed { .. }) { 0 } else { bytes };
        let failures = if bytes == 0 { failures + 1 } else { failures };
        let place = Place {
            bytes,
            held,
            failures,
            leaves_at: None,
        };
        self.places.insert(key, place);
    }

    fn no_room(&self, bytes: u64, failures: u32) -> Held {
        let most = self.room.files_bytes_max >> 20;
        let message =
            format!("its {bytes} bytes do not fit beside the other models; this worker keeps {most} MiB of files");
        let fault = Fault::new(Reason::Overloaded, message);
        Held::Failed {
            again_at: pause(&fault, failures).map(|pause| self.clock.monotonic() + pause),
            message: fault.message,
        }
    }

    fn settle(&mut self, ended: Result<Ended, JoinError>) {
        // A load that was given up; its place has been taken care of.
        let Ok((key, number, outcome)) = ended else { return };
        let now = self.clock.monotonic();
        let Some(place) = self.places.get_mut(&key) else { return };
        if !matches!(place.held, Held::Loading { ticket, .. } if ticket == number) {
            return;
        }
        let (model, version) = (key.0.as_str(), key.1);
        let outcome = match outcome {
            Ok(runs) => {
                tracing::info!(model, version, "ready");
                (place.held, place.failures) = (Held::Ready(runs), 0);
                "ok"
            }
            Err(fault) => {
                tracing::warn!(model, version, %fault, "could not be loaded");
                let again_at = pause(&fault, place.failures).map(|pause| now + pause);
                place.failures += 1;
                place.bytes = 0;
                place.held = Held::Failed {
                    message: fault.message,
                    again_at,
                };
                "failed"
            }
        };
        let labels = own(&[("model", model), ("outcome", outcome)]);
        self.outcomes.get_or_create_owned(&labels).inc();
    }

    fn forget(&mut self, key: &Key) {
        let Some(place) = self.places.remove(key) else { return };
        if let Held::Loading { load, .. } = place.held {
            load.abort();
        }
        tracing::info!(model = key.0, version = key.1, "let go");
    }

    /// Shows what there is, to requests and to others.
    fn tell(&self) {
        let now = self.clock.monotonic();
        let mut shelf = Shelf::new();
        let mut told = Vec::new();
        for ((name, version), place) in &self.places {
            if let Held::Ready(runs) = &place.held {
                shelf
                    .entry(name.clone())
                    .or_default()
                    .insert(*version, Arc::clone(runs));
            }
            if place.leaves_at.is_none_or(|at| at > now) {
                told.push(place.told(name, *version));
            }
        }
        self.ready.set(shelf.values().map(BTreeMap::len).sum::<usize>() as f64);
        self.told.send_if_modified(|before| {
            let news = *before != told;
            *before = told;
            news
        });
        // Sent at every turn: a request that waits looks again, also at what failed.
        self.shelf.send_replace(Arc::new(shelf));
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Fault {
    Fault::new(Reason::Internal, format!("the load panicked: {}", said(panic)))
}

impl Place {
    fn standing(&self) -> Standing {
        let stage = match &self.held {
            Held::Loading { .. } => Stage::Loading,
            Held::Ready(_) => Stage::Ready,
            Held::Failed { again_at, .. } => Stage::Failed(*again_at),
        };
        Standing {
            stage,
            leaves_at: self.leaves_at,
        }
    }

    fn told(&self, name: &str, version: u32) -> Loaded {
        let (state, message) = match &self.held {
            Held::Loading { .. } => (State::Loading, String::new()),
            Held::Ready(_) => (State::Ready, String::new()),
            Held::Failed { message, .. } => (State::Failed, message.clone()),
        };
        Loaded {
            name: name.to_owned(),
            version,
            state,
            message,
        }
    }
}
