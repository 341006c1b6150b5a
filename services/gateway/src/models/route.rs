//! Which worker answers a call for a model, and with which version.
//!
//! Promises: needs no etcd for a model that is known here; one that is not is looked up in etcd before it is said to be
//! absent. A version that is about to be loaded is waited for, for two seconds and within the deadline. Leaves sending
//! the call to `online`.

use std::sync::Arc;
use std::time::Duration;

use lepton_coordination::registry::Instance;
use lepton_core::clock::Clock;
use lepton_domain::ids::InstanceId;
use lepton_domain::model::{Model, check_name, not_found, version_not_found};
use lepton_domain::reason::{Fault, Reason};
use lepton_mesh::channel::pool::Picked;
use lepton_mesh::server::deadline::Deadline;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::board::{self, Board, Place, Sources};
use crate::online::call::no_worker;

/// The longest wait for a worker that has the version.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// When a caller should try again whose model is not loaded yet.
const RETRY: Duration = Duration::from_secs(1);
/// How many look-ups in etcd are under way at once: requests for models that are not there must not load it.
const LOOKUPS_MAX: usize = 16;

/// The ways to models. Clones share them; they end with the last one.
#[derive(Debug, Clone)]
pub struct Routes {
    sources: Sources,
    clock: Clock,
    board: watch::Receiver<Arc<Board>>,
    lookups: Arc<Semaphore>,
    _task: Arc<JoinSet<()>>,
}

/// Why a call cannot be sent now.
enum Miss {
    /// What is known here says that it never can; etcd may know more.
    Stale(Fault),
    /// It may work in a moment.
    Early(Fault),
    /// It cannot work, and waiting does not help.
    Final(Fault),
}

impl Routes {
    /// Starts to keep the ways. The directory shows the workers of the pool.
    pub fn start(sources: Sources, clock: Clock) -> Self {
        let (sender, board) = watch::channel(Arc::new(Board::new()));
        let mut task = JoinSet::new();
        task.spawn(board::keep(sources.clone(), sender));
        Self {
            sources,
            clock,
            board,
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            _task: Arc::new(task),
        }
    }

    /// What is known of the models now.
    pub fn board(&self) -> Arc<Board> {
        self.board.borrow().clone()
    }

    /// What is known of the models at this very moment, for those who show it.
    pub fn draw(&self) -> Board {
        self.sources.draw()
    }

    /// Waits, for a moment at most, until the version is served here that the record says: after a change, calls that
    /// follow must not meet what was before.
    pub async fn settled(&self, model: &Model) {
        let mut board = self.board.clone();
        let settled = |board: &Arc<Board>| {
            let place = board.get(&model.name);
            place.is_some_and(|place| place.serving == model.deployed)
        };
        // What others change meanwhile may never let it be so.
        let _ = timeout(WAIT_MAX, board.wait_for(settled)).await;
    }

    /// A worker that has the version (absent: the one that is served) and was not tried yet, and the version. Once one was
    /// tried there is no waiting for another.
    pub async fn choose(
        &self,
        name: &str,
        version: Option<u32>,
        tried: &[InstanceId],
        deadline: Deadline,
    ) -> Result<(Picked, u32), Fault> {
        let mut board = self.board.clone();
        let last = deadline.remaining(&self.clock).min(WAIT_MAX);
        let last = Deadline::after(last, &self.clock);
        let mut looked_up = false;
        loop {
            let known = board.borrow_and_update().clone();
            let fault = match self.pick(known.get(name), name, version, tried) {
                Ok(picked) => return Ok(picked),
                Err(Miss::Final(fault)) => return Err(fault),
                Err(Miss::Early(fault)) => fault,
                Err(Miss::Stale(fault)) => {
                    if !looked_up {
                        self.look_up(name, version, fault, deadline).await?;
                        looked_up = true;
                    }
                    not_ready(name, version)
                }
            };
            let patience = last.remaining(&self.clock);
            if patience.is_zero() || !tried.is_empty() {
                return Err(fault);
            }
            let news = async {
                tokio::select! {
                    changed = board.changed() => changed.is_ok(),
                    () = self.sources.pool.changed() => true,
                }
            };
            // A timeout is found out above; an end of the board is the end of the gateway.
            if timeout(patience, news).await == Ok(false) {
                return Err(fault);
            }
        }
    }

    /// The record of a model, and the version that a call would get, if any is served.
    pub async fn find(&self, name: &str, version: Option<u32>, deadline: Deadline) -> Result<(Arc<Model>, u32), Fault> {
        let known = self.board();
        let place = known.get(name);
        let model = match place.map(|place| place.model.clone()) {
            Some(model) if version.is_none_or(|version| model.version(version).is_some()) => model,
            _ => Arc::new(self.read(name, deadline).await?),
        };
        let serving = place.and_then(|place| place.serving).or(model.deployed);
        let Some(number) = version.or(serving) else {
            return Err(not_deployed(name, None));
        };
        match model.version(number) {
            Some(_) => Ok((model, number)),
            None => Err(version_not_found(name, number)),
        }
    }

    /// Refuses a model that would not answer at once.
    pub fn ready(&self, name: &str, version: Option<u32>) -> Result<(), Fault> {
        match self.pick(self.board().get(name), name, version, &[]) {
            Ok(_) => Ok(()),
            Err(Miss::Stale(fault) | Miss::Early(fault) | Miss::Final(fault)) => Err(fault),
        }
    }

    fn pick(
        &self,
        place: Option<&Place>,
        name: &str,
        version: Option<u32>,
        tried: &[InstanceId],
    ) -> Result<(Picked, u32), Miss> {
        let place = place.ok_or_else(|| Miss::Stale(not_found(name)))?;
        let Some(number) = version.or(place.serving) else {
            return Err(Miss::Stale(not_deployed(name, None)));
        };
        // Where those that have the former version are all dead, the deployed one takes over at once.
        let deployed = place.model.deployed.filter(|_| version.is_none());
        for number in std::iter::once(number).chain(deployed) {
            let fits = |worker: &Instance| place.has(number, &worker.id);
            if let Some(picked) = self.sources.pool.pick_where(tried, &fits) {
                return Ok((picked, number));
            }
        }
        if place.model.version(number).is_none() {
            return Err(Miss::Stale(version_not_found(name, number)));
        }
        if place.model.deployed != Some(number) {
            return Err(Miss::Stale(not_deployed(name, Some(number))));
        }
        if self.sources.pool.answering() == 0 {
            return Err(Miss::Final(no_worker()));
        }
        Err(Miss::Early(not_ready(name, Some(number))))
    }

    /// Asks etcd where the board says no. Gives `stale` back when etcd says so too.
    async fn look_up(&self, name: &str, version: Option<u32>, stale: Fault, deadline: Deadline) -> Result<(), Fault> {
        let model = self.read(name, deadline).await?;
        let wanted = version.or(model.deployed);
        match wanted {
            Some(number) if model.deployed == Some(number) => Ok(()),
            Some(number) if model.version(number).is_none() => Err(version_not_found(name, number)),
            Some(number) => Err(not_deployed(name, Some(number))),
            None if stale.reason == Reason::ModelNotFound => Err(not_deployed(name, None)),
            None => Err(stale),
        }
    }

    async fn read(&self, name: &str, deadline: Deadline) -> Result<Model, Fault> {
        // What can be no model's name need not be asked for.
        check_name(name).map_err(|_| not_found(name))?;
        let read = async {
            let _place = self.lookups.acquire().await;
            self.sources.models.read(name).await
        };
        let read = timeout(deadline.remaining(&self.clock), read).await;
        let found = read.unwrap_or_else(|_| Err(unknown(name, "it did not answer in time")));
        match found {
            Ok(found) => found.ok_or_else(|| not_found(name)),
            Err(fault) if fault.reason == Reason::JournalUnavailable => Err(unknown(name, &fault.message)),
            Err(fault) => Err(fault),
        }
    }
}

fn unknown(name: &str, why: &str) -> Fault {
    let message = format!("model {name:?} is not known here, and etcd, which may know it, cannot be asked: {why}");
    Fault::new(Reason::JournalUnavailable, message)
        .with("model", name)
        .retry_after(RETRY)
}

fn not_ready(name: &str, version: Option<u32>) -> Fault {
    let which = version.map_or_else(String::new, |version| format!("version {version} of "));
    let message = format!("no worker that answers has {which}model {name:?} in memory yet; try again shortly");
    let fault = Fault::new(Reason::ModelNotReady, message).with("model", name);
    fault.retry_after(RETRY)
}

fn not_deployed(name: &str, version: Option<u32>) -> Fault {
    let message = match version {
        Some(version) => {
            format!("version {version} of model {name:?} is not deployed; deploy it, or leave the version out")
        }
        None => format!("model {name:?} is kept, but no version of it is deployed; deploy one"),
    };
    Fault::new(Reason::ModelNotDeployed, message).with("model", name)
}
