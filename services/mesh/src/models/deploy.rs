//! Deploying, and waiting until a request would succeed.
//!
//! Promises: a deploy ends well when every live worker has tried and one has the version; where none could load it the
//! deploy is taken back. A caller that goes away in the middle leaves the deploy as it is. Leaves loading to the workers,
//! who tell in the registry how far they are.

use std::sync::Arc;
use std::time::Duration;

use lepton_domain::model::{Change, Model};
use lepton_domain::reason::{Fault, Reason};
use tokio::time::timeout;

use super::change::Made;
use super::loaded::{self, State};
use super::{ModelMap, Models};
use crate::registry::{Directory, Instances, NodeState};

/// Whose instances load models.
const WORKER: &str = "worker";
/// How long to look for a worker where there is none.
const WORKER_WAIT: Duration = Duration::from_secs(5);
/// When a client may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How the live workers stand to a version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Standing {
    ready: usize,
    failed: usize,
    /// Neither.
    waiting: usize,
    /// One of the failed ones' words.
    message: String,
}

impl Models {
    /// Serves a version (the newest for `None`) and answers when a request would succeed, after `patience` at the latest.
    pub async fn deploy(
        &self,
        directory: &Directory,
        name: &str,
        version: Option<u32>,
        patience: Duration,
    ) -> Result<Model, Fault> {
        let made = self.make(name, Change::Deploy { version }).await?;
        self.settle(directory, name, made, patience).await
    }

    /// Serves the version that was served before, like [`Models::deploy`].
    pub async fn rollback(&self, directory: &Directory, name: &str, patience: Duration) -> Result<Model, Fault> {
        let made = self.make(name, Change::Rollback).await?;
        self.settle(directory, name, made, patience).await
    }

    /// Waits for what was deployed; takes it back when it cannot be served.
    async fn settle(&self, directory: &Directory, name: &str, made: Made, patience: Duration) -> Result<Model, Fault> {
        let Made { before, decision } = made;
        let version = decision.version;
        let waited = self.deployed_when_ready(directory, name, version, patience).await;
        let Err(mut fault) = waited else {
            return Ok(decision.model);
        };
        if !decision.changed || fault.reason == Reason::ModelChanged {
            return Err(fault);
        }
        let revert = Change::Revert {
            version,
            deployed: before.as_ref().and_then(|before| before.deployed),
            previous: before.as_ref().and_then(|before| before.previous),
        };
        match self.change(name, revert).await {
            Ok(Model {
                deployed: Some(kept), ..
            }) => fault.message.push_str(&format!("; version {kept} is deployed")),
            Ok(_) => fault.message.push_str("; no version is deployed"),
            Err(error) => fault.message.push_str(&format!(
                "; and it stays deployed, because the deploy cannot be taken back: {error}"
            )),
        }
        Err(fault)
    }

    /// Waits until a request to the deployed version would succeed: every live worker has loaded it or failed to, and one
    /// has it.
    pub async fn deployed_when_ready(
        &self,
        directory: &Directory,
        name: &str,
        version: u32,
        patience: Duration,
    ) -> Result<(), Fault> {
        let (mut instances, mut models) = (directory.view(), self.view());
        let settled = async {
            loop {
                let standing = standing(&instances.borrow_and_update(), name, version);
                let shown = deployed(&models.borrow_and_update(), name) == Some(version);
                if shown && standing.waiting == 0 && standing.ready + standing.failed > 0 {
                    return Ok(());
                }
                // The view may only lag; without an answer from etcd that is what is hoped.
                if !shown && self.read(name).await.is_ok_and(|found| is_other(found, version)) {
                    return Err(overtaken(name, version));
                }
                let changed = tokio::select! {
                    changed = instances.changed() => changed,
                    changed = models.changed() => changed,
                };
                if changed.is_err() {
                    return Ok(());
                }
            }
        };
        let nobody = standing(&directory.view().borrow(), name, version) == Standing::default();
        let patience = if nobody { patience.min(WORKER_WAIT) } else { patience };
        timeout(patience, settled).await.unwrap_or(Ok(()))?;
        let standing = standing(&directory.view().borrow(), name, version);
        match (standing.ready, standing.waiting) {
            (0, 0) => Err(failed(name, version, &standing)),
            (0, waiting) => {
                let message = format!(
                    "version {version} of model {name:?} was not loaded within {patience:?}; {waiting} workers are still at it"
                );
                let fault = Fault::new(Reason::ModelNotReady, message).with("model", name);
                Err(fault.retry_after(RETRY_AFTER))
            }
            _ => Ok(()),
        }
    }
}

/// Whether another version than this one is deployed.
fn is_other(found: Option<Model>, version: u32) -> bool {
    found.and_then(|model| model.deployed) != Some(version)
}

fn overtaken(name: &str, version: u32) -> Fault {
    let message =
        format!("version {version} of model {name:?} is not the deployed one any more: somebody else changed it");
    Fault::new(Reason::ModelChanged, message).with("model", name)
}

fn deployed(models: &Arc<ModelMap>, name: &str) -> Option<u32> {
    models.get(name)?.deployed
}

fn standing(instances: &Arc<Instances>, name: &str, version: u32) -> Standing {
    let mut standing = Standing::default();
    let live = instances.values().filter(|instance| instance.service == WORKER);
    for instance in live.filter(|instance| instance.state != NodeState::Draining) {
        let told = loaded::of(instance);
        let told = told.into_iter().find(|one| one.name == name && one.version == version);
        match told.map(|told| (told.state, told.message)) {
            Some((State::Ready, _)) => standing.ready += 1,
            Some((State::Failed, message)) => {
                standing.failed += 1;
                standing.message = format!("{}: {message}", instance.id);
            }
            Some((State::Loading, _)) | None => standing.waiting += 1,
        }
    }
    standing
}

fn failed(name: &str, version: u32, standing: &Standing) -> Fault {
    if standing.failed == 0 {
        let message = format!("there is no worker to load version {version} of model {name:?}; start one");
        return Fault::new(Reason::NoWorker, message).retry_after(RETRY_AFTER);
    }
    let (count, why) = (standing.failed, &standing.message);
    let message = format!("version {version} of model {name:?} could not be loaded by any of {count} workers ({why})");
    let fault = Fault::new(Reason::ModelLoadFailed, message).with("model", name);
    fault.with("version", version.to_string())
}
