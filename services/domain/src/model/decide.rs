//! Decision of a change of a model.
//!
//! Promises: pure. Pushing the same file, deploying the deployed version and undeploying none change nothing; the
//! deployed version is never deleted; a number is never used twice. Leaves storing the outcome, and deleting files, to
//! the caller.

use super::{Model, NewVersion, VERSIONS_MAX, Version, check_name, limits, not_found, version_not_found};
use crate::reason::{ApiError, Reason};

/// Change of a [`Model`], which [`decide`] checks and applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Adds a file as a version.
    Push(Box<NewVersion>),
    /// Deploys this version; the newest for `None`.
    Deploy {
        /// Number of the version.
        version: Option<u32>,
    },
    /// Deploys none.
    Undeploy,
    /// Deploys the version that was deployed before.
    Rollback,
    /// Deletes a version.
    Delete {
        /// Number of the version.
        version: u32,
    },
    /// Reverts the deployment of a version that no worker could load. Without effect once another version is deployed.
    Revert {
        /// Version whose deployment is reverted.
        version: u32,
        /// Version deployed before it.
        deployed: Option<u32>,
        /// Previous version at that time.
        previous: Option<u32>,
    },
}

/// Result of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Model after the change.
    pub model: Model,
    /// Version concerned; 0 for none.
    pub version: u32,
    /// Set if the model differs from before.
    pub changed: bool,
    /// File that no version names any more.
    pub orphan: Option<String>,
}

/// Decides a change of the model called `name`; `model` is its present record.
pub fn decide(name: &str, model: Option<&Model>, change: Change) -> Result<Decision, ApiError> {
    check_name(name)?;
    let present = || {
        let kept = model.filter(|model| !model.is_deleted());
        kept.cloned().ok_or_else(|| not_found(name))
    };
    match change {
        Change::Push(new) => push(model.cloned().unwrap_or_else(|| Model::new(name)), *new),
        Change::Deploy { version } => deploy(present()?, version),
        Change::Undeploy => Ok(undeploy(present()?)),
        Change::Rollback => rollback(present()?),
        Change::Delete { version } => delete(present()?, version),
        Change::Revert {
            version,
            deployed,
            previous,
        } => Ok(revert(present()?, version, deployed, previous)),
    }
}

fn push(mut model: Model, new: NewVersion) -> Result<Decision, ApiError> {
    limits::check(&new)?;
    if let Some(known) = model.with_digest(new.digest) {
        let version = known.number;
        let mut same = unchanged(model, version);
        same.orphan = Some(new.blob);
        return Ok(same);
    }
    let number = number(&model, new.number)?;
    if model.versions.len() >= VERSIONS_MAX {
        let kept = model.versions.len();
        let message = format!(
            "model {:?} keeps {kept} versions, which is the most; delete some",
            model.name
        );
        let quota = format!("{kept} of {VERSIONS_MAX} versions");
        return Err(ApiError::new(Reason::QuotaExceeded, message).quota(format!("model:{}", model.name), quota));
    }
    model.next = number + 1;
    model.versions.push(Version {
        number,
        digest: new.digest,
        blob: new.blob,
        bytes: new.bytes,
        created: new.created,
        signature: new.signature,
        lineage: new.lineage,
    });
    Ok(changed(model, number))
}

/// Number of a new version.
fn number(model: &Model, wanted: Option<u32>) -> Result<u32, ApiError> {
    let number = wanted.unwrap_or(model.next);
    if number < model.next {
        let held = model.version(number).map_or("was deleted", |_| "has another content");
        let message = format!(
            "version {number} of model {:?} {held}; give {} or more",
            model.name, model.next
        );
        return Err(ApiError::field("version", message));
    }
    if number == u32::MAX {
        let message = format!("model {:?} has used up its numbers; take another name", model.name);
        return Err(ApiError::field("version", message));
    }
    Ok(number)
}

fn deploy(mut model: Model, version: Option<u32>) -> Result<Decision, ApiError> {
    let newest = model.newest().map(|version| version.number);
    let Some(number) = version.or(newest) else {
        return Err(not_found(&model.name));
    };
    if model.version(number).is_none() {
        return Err(version_not_found(&model.name, number));
    }
    if model.deployed == Some(number) {
        return Ok(unchanged(model, number));
    }
    let before = model.deployed.or(model.previous);
    model.previous = before.filter(|before| *before != number);
    model.deployed = Some(number);
    Ok(changed(model, number))
}

fn undeploy(mut model: Model) -> Decision {
    let Some(number) = model.deployed.take() else {
        return unchanged(model, 0);
    };
    model.previous = Some(number);
    changed(model, number)
}

fn rollback(mut model: Model) -> Result<Decision, ApiError> {
    let Some(number) = model.previous else {
        let message = format!(
            "no version of model {:?} was deployed before; deploy one by its number",
            model.name
        );
        return Err(ApiError::new(Reason::NoPreviousVersion, message).with("model", model.name.as_str()));
    };
    model.previous = model.deployed.replace(number);
    Ok(changed(model, number))
}

fn delete(mut model: Model, number: u32) -> Result<Decision, ApiError> {
    let index = model.versions.iter().position(|version| version.number == number);
    let index = index.ok_or_else(|| version_not_found(&model.name, number))?;
    if model.deployed == Some(number) {
        let message = format!(
            "version {number} of model {:?} is deployed; deploy another one or undeploy it first",
            model.name
        );
        let error = ApiError::new(Reason::ModelInUse, message);
        return Err(error
            .with("model", model.name.as_str())
            .with("version", number.to_string()));
    }
    let deleted = model.versions.remove(index);
    model.previous = model.previous.filter(|previous| *previous != number);
    let mut decision = changed(model, number);
    decision.orphan = Some(deleted.blob);
    Ok(decision)
}

fn revert(mut model: Model, number: u32, deployed: Option<u32>, previous: Option<u32>) -> Decision {
    if model.deployed != Some(number) {
        return unchanged(model, number);
    }
    // What was there before may have been deleted since.
    let kept = |number: Option<u32>| number.filter(|number| model.version(*number).is_some());
    (model.deployed, model.previous) = (kept(deployed), kept(previous.filter(|_| previous != deployed)));
    changed(model, number)
}

fn changed(model: Model, version: u32) -> Decision {
    Decision {
        changed: true,
        ..unchanged(model, version)
    }
}

fn unchanged(model: Model, version: u32) -> Decision {
    Decision {
        model,
        version,
        changed: false,
        orphan: None,
    }
}
