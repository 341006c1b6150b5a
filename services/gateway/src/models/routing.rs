//! Routing of calls to models: the worker and the version that answer one.
//!
//! Promises: needs no etcd for a model that is known here; one that is not is looked up in etcd before it is refused as
//! absent. A version that is about to be loaded is waited for, for two seconds and within the deadline. Leaves sending
//! the call to [`crate::proxy`].

use std::sync::Arc;
use std::time::Duration;

use lepton_coordination::registry::Instance;
use lepton_core::clock::Clock;
use lepton_domain::ids::{InstanceId, Tenant};
use lepton_domain::model::{Model, not_found, version_not_found};
use lepton_domain::reason::{ApiError, Reason};
use lepton_mesh::channel::pool::Picked;
use lepton_mesh::server::deadline::Deadline;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::check_known;
use super::error::RoutingError;
use super::placement_view::{self, ModelPlacement, PlacementView, Sources};

/// The longest wait for a worker that has the version.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// Maximum of reads of etcd under way: requests for models that are not there must not load it.
const LOOKUPS_MAX: usize = 16;

/// Chooses workers by the [`PlacementView`]. Clones share it; it ends with the last one.
#[derive(Debug, Clone)]
pub struct Routing {
    sources: Sources,
    clock: Clock,
    view: watch::Receiver<Arc<PlacementView>>,
    lookups: Arc<Semaphore>,
    _task: Arc<JoinSet<()>>,
}

/// Reason why a call cannot be sent now.
enum Miss {
    /// By the view it never can; etcd may know more.
    Stale(ApiError),
    /// It may work in a moment.
    Early(ApiError),
    /// It cannot work, and waiting does not help.
    Final(ApiError),
}

impl Routing {
    /// Starts to keep the view. The directory shows the workers of the pool.
    pub fn start(sources: Sources, clock: Clock) -> Self {
        let (sender, view) = watch::channel(Arc::new(PlacementView::new()));
        let mut task = JoinSet::new();
        task.spawn(placement_view::keep(sources.clone(), sender));
        Self {
            sources,
            clock,
            view,
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            _task: Arc::new(task),
        }
    }

    /// The placement of the models as last built.
    pub fn view(&self) -> Arc<PlacementView> {
        self.view.borrow().clone()
    }

    /// The placement of the models at this very moment, for answers that show it.
    pub fn build_view(&self) -> PlacementView {
        self.sources.build()
    }

    /// Waits, for a moment at most, until the version of the record is served here: after a change, calls that
    /// follow must not meet what was before.
    pub async fn settled(&self, model: &Model) {
        let mut view = self.view.clone();
        let settled = |view: &Arc<PlacementView>| {
            let placement = view.get(&model.name);
            placement.is_some_and(|placement| placement.serving == model.deployed)
        };
        // What others change meanwhile may never let it be so.
        let _ = timeout(WAIT_MAX, view.wait_for(settled)).await;
    }

    /// A worker that has the version (absent: the one that is served) and was not tried yet, and the version. Once one was
    /// tried there is no waiting for another.
    pub async fn choose(
        &self,
        tenant: &Tenant,
        name: &str,
        version: Option<u32>,
        tried: &[InstanceId],
        deadline: Deadline,
    ) -> Result<(Picked, u32), ApiError> {
        let mut view = self.view.clone();
        let last = deadline.remaining(&self.clock).min(WAIT_MAX);
        let last = Deadline::after(last, &self.clock);
        let mut looked_up = false;
        loop {
            let known = view.borrow_and_update().clone();
            let error = match self.pick(placement(&known, tenant, name), name, version, tried) {
                Ok(picked) => return Ok(picked),
                Err(Miss::Final(error)) => return Err(error),
                Err(Miss::Early(error)) => error,
                Err(Miss::Stale(error)) => {
                    if !looked_up {
                        self.look_up(tenant, name, version, error, deadline).await?;
                        looked_up = true;
                    }
                    not_ready(name, version)
                }
            };
            let patience = last.remaining(&self.clock);
            if patience.is_zero() || !tried.is_empty() {
                return Err(error);
            }
            let news = async {
                tokio::select! {
                    changed = view.changed() => changed.is_ok(),
                    () = self.sources.pool.changed() => true,
                }
            };
            // A timeout is found out above; an end of the view is the end of the gateway.
            if timeout(patience, news).await == Ok(false) {
                return Err(error);
            }
        }
    }

    /// The record of a model, and the version that a call would get, if any is served.
    pub async fn find(
        &self,
        tenant: &Tenant,
        name: &str,
        version: Option<u32>,
        deadline: Deadline,
    ) -> Result<(Arc<Model>, u32), ApiError> {
        let known = self.view();
        let placement = placement(&known, tenant, name);
        let model = match placement.map(|placement| placement.model.clone()) {
            Some(model) if version.is_none_or(|version| model.version(version).is_some()) => model,
            _ => Arc::new(self.read(tenant, name, deadline).await?),
        };
        let serving = placement.and_then(|placement| placement.serving).or(model.deployed);
        let Some(number) = version.or(serving) else {
            return Err(not_deployed(name, None));
        };
        match model.version(number) {
            Some(_) => Ok((model, number)),
            None => Err(version_not_found(name, number)),
        }
    }

    /// Refuses a model that would not answer at once.
    pub fn ready(&self, tenant: &Tenant, name: &str, version: Option<u32>) -> Result<(), ApiError> {
        match self.pick(placement(&self.view(), tenant, name), name, version, &[]) {
            Ok(_) => Ok(()),
            Err(Miss::Stale(error) | Miss::Early(error) | Miss::Final(error)) => Err(error),
        }
    }

    fn pick(
        &self,
        placement: Option<&ModelPlacement>,
        name: &str,
        version: Option<u32>,
        tried: &[InstanceId],
    ) -> Result<(Picked, u32), Miss> {
        let placement = placement.ok_or_else(|| Miss::Stale(not_found(name)))?;
        let Some(number) = version.or(placement.serving) else {
            return Err(Miss::Stale(not_deployed(name, None)));
        };
        // Where those that have the former version are all dead, the deployed one takes over at once.
        let deployed = placement.model.deployed.filter(|_| version.is_none());
        for number in std::iter::once(number).chain(deployed) {
            let fits = |worker: &Instance| placement.has(number, &worker.id);
            if let Some(picked) = self.sources.pool.pick_where(tried, &fits) {
                return Ok((picked, number));
            }
        }
        if placement.model.version(number).is_none() {
            return Err(Miss::Stale(version_not_found(name, number)));
        }
        if placement.model.deployed != Some(number) {
            return Err(Miss::Stale(not_deployed(name, Some(number))));
        }
        if self.sources.pool.answering() == 0 {
            return Err(Miss::Final(RoutingError::NoWorker.into()));
        }
        Err(Miss::Early(not_ready(name, Some(number))))
    }

    /// Reads etcd where the view has no answer. Returns `stale` where etcd has none either.
    async fn look_up(
        &self,
        tenant: &Tenant,
        name: &str,
        version: Option<u32>,
        stale: ApiError,
        deadline: Deadline,
    ) -> Result<(), ApiError> {
        let model = self.read(tenant, name, deadline).await?;
        let wanted = version.or(model.deployed);
        match wanted {
            Some(number) if model.deployed == Some(number) => Ok(()),
            Some(number) if model.version(number).is_none() => Err(version_not_found(name, number)),
            Some(number) => Err(not_deployed(name, Some(number))),
            None if stale.reason == Reason::ModelNotFound => Err(not_deployed(name, None)),
            None => Err(stale),
        }
    }

    async fn read(&self, tenant: &Tenant, name: &str, deadline: Deadline) -> Result<Model, ApiError> {
        // What can be no model's name need not be asked for.
        check_known(tenant, name)?;
        let read = async {
            let _permit = self.lookups.acquire().await;
            self.sources.models.read(name).await
        };
        let read = timeout(deadline.remaining(&self.clock), read).await;
        let found = read.unwrap_or_else(|_| Err(unknown(name, "it did not answer in time".to_owned())));
        match found {
            Ok(found) => found.ok_or_else(|| not_found(name)),
            Err(error) if error.reason == Reason::JournalUnavailable => Err(unknown(name, error.message)),
            Err(error) => Err(error),
        }
    }
}

/// The placement of a model for calls of a tenant. Records belong to no tenant, so every tenant has the same models.
fn placement<'a>(view: &'a PlacementView, _tenant: &Tenant, name: &str) -> Option<&'a ModelPlacement> {
    view.get(name)
}

fn unknown(name: &str, why: String) -> ApiError {
    let model = name.to_owned();
    RoutingError::Unknown { model, why }.into()
}

fn not_ready(name: &str, version: Option<u32>) -> ApiError {
    let model = name.to_owned();
    RoutingError::NotReady { model, version }.into()
}

fn not_deployed(name: &str, version: Option<u32>) -> ApiError {
    let model = name.to_owned();
    match version {
        Some(version) => RoutingError::VersionNotDeployed { model, version }.into(),
        None => RoutingError::NotDeployed { model }.into(),
    }
}
