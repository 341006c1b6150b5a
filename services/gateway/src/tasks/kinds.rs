//! The kinds of task that there are.
//!
//! Promises: a kind that any registered worker runs is known, and so is every kind of this version, while no worker is
//! there yet. Leaves finding a free worker to the scheduler.

use std::collections::BTreeMap;

use lepton_coordination::registry::{Directory, Instances};
use lepton_domain::reason::ApiError;
use lepton_mesh::server::deadline::Deadline;
use lepton_proto::scheduler::v1::PausedKindsRequest;
use lepton_proto::task::v1::Kind;

use super::error::CallError;
use super::{Tasks, leader};
use crate::request::Caller;

/// The kinds that every worker of this version runs.
const BUILT_IN: [&str; 4] = ["analyze", "echo", "evaluate", "train"];
/// Metadata of a worker's entry in the registry: its kinds, separated by commas.
const METADATA_KEY: &str = "kinds";

/// Refuses a kind that nobody runs.
pub fn check(kind: &str, workers: &Directory) -> Result<(), CallError> {
    if BUILT_IN.contains(&kind) {
        return Ok(());
    }
    let view = workers.view();
    let instances = view.borrow();
    let mut known: Vec<&str> = BUILT_IN.into_iter().chain(registered(&instances)).collect();
    if known.contains(&kind) {
        return Ok(());
    }
    known.sort_unstable();
    known.dedup();
    Err(CallError::KindUnknown {
        kind: kind.to_owned(),
        known: known.join(", "),
    })
}

impl Tasks {
    /// The kinds that there are, with those of the tenant that are paused, after a change if one is asked for.
    pub async fn kinds(
        &self,
        caller: &Caller,
        change: Option<(&str, bool)>,
        deadline: Option<Deadline>,
    ) -> Result<Vec<Kind>, ApiError> {
        let (kind, pause) = change.unwrap_or_default();
        let request = PausedKindsRequest {
            tenant: caller.tenant.as_str().to_owned(),
            kind: kind.to_owned(),
            pause,
        };
        let call = leader::call(&self.leader, leader::client, |mut leader| {
            let request = request.clone();
            async move { leader.paused_kinds(request).await }
        });
        let paused = tokio::select! {
            answer = call => answer?.1.kinds,
            () = self.etcd_health.away() => return Err(CallError::JournalAway.into()),
            () = tokio::time::sleep(self.patience(deadline)) => return Err(CallError::NoLeader.into()),
        };
        let view = self.directory.view();
        let instances = view.borrow();
        let mut workers: BTreeMap<&str, u32> = BUILT_IN.into_iter().map(|kind| (kind, 0)).collect();
        registered(&instances).for_each(|kind| *workers.entry(kind).or_default() += 1);
        for kind in &paused {
            workers.entry(kind).or_default();
        }
        let kind = |(kind, workers): (&str, u32)| Kind {
            kind: kind.to_owned(),
            paused: paused.iter().any(|paused| paused == kind),
            workers,
        };
        Ok(workers.into_iter().map(kind).collect())
    }

    /// Pauses or resumes a kind of the tenant, and returns it. A paused one can be resumed though nobody runs it any more.
    pub async fn set_paused(
        &self,
        caller: &Caller,
        kind: String,
        paused: bool,
        deadline: Option<Deadline>,
    ) -> Result<Kind, ApiError> {
        if paused {
            check(&kind, &self.directory)?;
        }
        let kinds = self.kinds(caller, Some((&kind, paused)), deadline).await?;
        let found = kinds.into_iter().find(|known| known.kind == kind);
        Ok(found.unwrap_or(Kind {
            kind,
            paused,
            workers: 0,
        }))
    }
}

fn registered(instances: &Instances) -> impl Iterator<Item = &str> {
    let workers = instances.values().filter(|instance| instance.service == "worker");
    let kinds = workers.filter_map(|worker| worker.metadata.get(METADATA_KEY));
    kinds
        .flat_map(|kinds| kinds.split(','))
        .map(str::trim)
        .filter(|kind| !kind.is_empty())
}
