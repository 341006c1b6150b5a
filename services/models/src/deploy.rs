//! Deploying, and waiting until a request would succeed.
//!
//! Promises: a deploy ends well when every live worker has tried and one has the version; where none could load it the
//! deploy is taken back. A caller that goes away in the middle leaves the deploy as it is. Leaves loading to the
//! workers, which report their progress in the registry.

use std::sync::Arc;
use std::time::Duration;

use lepton_domain::model::{Change, Model};
use lepton_domain::reason::{ApiError, Reason};
use tokio::time::timeout;

use super::change::Made;
use super::loaded::{self, State};
use super::{ModelMap, Models};
use lepton_coordination::registry::{Directory, Instances, NodeState};

/// Service whose instances load models.
const WORKER: &str = "worker";
/// Time to wait for a worker where there is none.
const WORKER_WAIT: Duration = Duration::from_secs(5);
/// Time to wait for workers that report nothing about the version.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// Interval of checks although no change was notified.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Retry delay for clients.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Progress of the live workers with a version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Standing {
    ready: usize,
    failed: usize,
    loading: usize,
    /// They say nothing of it: about to begin, or dead with an entry that has not expired.
    silent: usize,
    /// One of the failed ones' words.
    message: String,
}

impl Standing {
    /// Returns whether there is no worker left to wait for.
    fn is_decided(&self, waited: Duration) -> bool {
        match (self.ready + self.failed, self.silent) {
            _ if self.loading > 0 => false,
            (0, 0) => waited >= WORKER_WAIT,
            (0, _) => false,
            (_, 0) => true,
            _ => waited >= SILENCE_MAX,
        }
    }
}

impl Models {
    /// Serves a version (the newest for `None`) and answers when a request would succeed, after `patience` at the
    /// latest.
    pub async fn deploy(
        &self,
        directory: &Directory,
        name: &str,
        version: Option<u32>,
        patience: Duration,
    ) -> Result<Model, ApiError> {
        let made = self.make(name, Change::Deploy { version }).await?;
        self.settle(directory, name, made, patience).await
    }

    /// Serves the version that was served before, like [`Models::deploy`].
    pub async fn rollback(&self, directory: &Directory, name: &str, patience: Duration) -> Result<Model, ApiError> {
        let made = self.make(name, Change::Rollback).await?;
        self.settle(directory, name, made, patience).await
    }

    /// Waits for what was deployed; takes it back when it cannot be served.
    async fn settle(
        &self,
        directory: &Directory,
        name: &str,
        made: Made,
        patience: Duration,
    ) -> Result<Model, ApiError> {
        let Made { before, decision } = made;
        let version = decision.version;
        let waited = self.deployed_when_ready(directory, name, version, patience).await;
        let Err(mut api_error) = waited else {
            return Ok(decision.model);
        };
        if !decision.changed || api_error.reason == Reason::ModelChanged {
            return Err(api_error);
        }
        let revert = Change::Revert {
            version,
            deployed: before.as_ref().and_then(|before| before.deployed),
            previous: before.as_ref().and_then(|before| before.previous),
        };
        match self.change(name, revert).await {
            Ok(Model {
                deployed: Some(kept), ..
            }) => api_error.message.push_str(&format!("; version {kept} is deployed")),
            Ok(_) => api_error.message.push_str("; no version is deployed"),
            Err(error) => api_error.message.push_str(&format!(
                "; and it stays deployed, because the deploy cannot be taken back: {error}"
            )),
        }
        Err(api_error)
    }

    /// Waits until a request to the deployed version would succeed: every live worker has loaded it or failed to, and
    /// one has it. A worker that reports nothing of it for some seconds counts as dead.
    pub async fn deployed_when_ready(
        &self,
        directory: &Directory,
        name: &str,
        version: u32,
        patience: Duration,
    ) -> Result<(), ApiError> {
        let (mut instances, mut models) = (directory.view(), self.view());
        let begun = self.clock.monotonic();
        let settled = async {
            loop {
                let standing = standing(&instances.borrow_and_update(), name, version);
                let shown = deployed(&models.borrow_and_update(), name) == Some(version);
                let waited = self.clock.monotonic().saturating_sub(begun);
                if shown && standing.is_decided(waited) {
                    return Ok(());
                }
                // The view may only lag; without an answer from etcd that is what is hoped.
                if !shown && self.read(name).await.is_ok_and(|found| is_other(found, version)) {
                    return Err(overtaken(name, version));
                }
                let changed = tokio::select! {
                    changed = instances.changed() => changed,
                    changed = models.changed() => changed,
                    () = tokio::time::sleep(LOOK_EVERY) => Ok(()),
                };
                if changed.is_err() {
                    return Ok(());
                }
            }
        };
        timeout(patience, settled).await.unwrap_or(Ok(()))?;
        let standing = standing(&directory.view().borrow(), name, version);
        match (standing.ready, standing.loading) {
            (0, 0) => Err(failed(name, version, &standing)),
            (0, loading) => {
                let message = format!(
                    "version {version} of model {name:?} was not loaded within {patience:?}; {loading} workers are still at it"
                );
                let error = ApiError::new(Reason::ModelNotReady, message).with("model", name);
                Err(error.retry_after(RETRY_AFTER))
            }
            _ => Ok(()),
        }
    }
}

/// Returns whether another version than this one is deployed.
fn is_other(found: Option<Model>, version: u32) -> bool {
    found.and_then(|model| model.deployed) != Some(version)
}

fn overtaken(name: &str, version: u32) -> ApiError {
    let message =
        format!("version {version} of model {name:?} is not the deployed one any more: somebody else changed it");
    ApiError::new(Reason::ModelChanged, message).with("model", name)
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
            Some((State::Loading, _)) => standing.loading += 1,
            None => standing.silent += 1,
        }
    }
    standing
}

fn failed(name: &str, version: u32, standing: &Standing) -> ApiError {
    if standing.failed == 0 {
        let message = format!("no worker has begun to load version {version} of model {name:?}; is one running?");
        return ApiError::new(Reason::NoWorker, message).retry_after(RETRY_AFTER);
    }
    let (count, why) = (standing.failed, &standing.message);
    let message = format!("version {version} of model {name:?} could not be loaded by any of {count} workers ({why})");
    let error = ApiError::new(Reason::ModelLoadFailed, message).with("model", name);
    error.with("version", version.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deploy_is_decided_when_nobody_is_left_to_wait_for() {
        let decided = |[ready, failed, loading, silent]: [usize; 4], waited_s| {
            let standing = Standing {
                ready,
                failed,
                loading,
                silent,
                message: String::new(),
            };
            standing.is_decided(Duration::from_secs(waited_s))
        };
        assert!(decided([1, 1, 0, 0], 0) && decided([0, 2, 0, 0], 0));
        assert!(!decided([1, 0, 1, 0], 50), "one is still at it");
        assert!(
            !decided([1, 0, 0, 1], 2) && decided([1, 0, 0, 1], 3),
            "the silent one is dead"
        );
        assert!(!decided([0, 0, 0, 0], 4) && decided([0, 0, 0, 0], 5), "there is nobody");
        assert!(!decided([0, 0, 0, 2], 50), "they may begin");
    }
}
