//! Models as clients see them: the record with the states that the workers report.

use lepton_domain::model::{Model, Version};
use lepton_proto::convert::model;
use lepton_proto::model::v1::{self as wire, State};

use super::placement_view::{PlacementView, Replicas};

/// A model.
pub fn model(kept: &Model, view: &PlacementView) -> wire::Model {
    model::model(kept, |version| self::version(kept, version, view))
}

/// One version of it.
pub fn version(kept: &Model, version: &Version, view: &PlacementView) -> wire::ModelVersion {
    let placement = view.get(&kept.name);
    let replicas = placement.and_then(|placement| placement.versions.get(&version.number));
    let deployed = kept.deployed == Some(version.number);
    let mut shown = model::version(&kept.name, version);
    shown.state = state(deployed, replicas).into();
    if let Some(replicas) = replicas {
        shown.loaded_on = replicas.ready.iter().map(ToString::to_string).collect();
        let failed = replicas.failed.iter().next();
        shown.message = failed.map_or_else(String::new, |(worker, why)| format!("{worker}: {why}"));
    }
    shown
}

/// A version that nobody serves is stored, whatever is left of it in memory.
fn state(deployed: bool, replicas: Option<&Replicas>) -> State {
    match replicas {
        _ if !deployed => State::Stored,
        Some(replicas) if !replicas.ready.is_empty() => State::Ready,
        Some(replicas) if replicas.loading.is_empty() && !replicas.failed.is_empty() => State::Failed,
        _ => State::Loading,
    }
}
