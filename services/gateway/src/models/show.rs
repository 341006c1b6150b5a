//! Models as clients see them: the record with what the workers tell.

use lepton_domain::model::{Model, Version};
use lepton_proto::convert::model;
use lepton_proto::model::v1::{self as wire, State};

use super::board::{Board, Holders};

/// A model.
pub fn model(kept: &Model, board: &Board) -> wire::Model {
    model::model(kept, |version| self::version(kept, version, board))
}

/// One version of it.
pub fn version(kept: &Model, version: &Version, board: &Board) -> wire::ModelVersion {
    let place = board.get(&kept.name);
    let holders = place.and_then(|place| place.versions.get(&version.number));
    let deployed = kept.deployed == Some(version.number);
    let mut shown = model::version(&kept.name, version);
    shown.state = state(deployed, holders).into();
    if let Some(holders) = holders {
        shown.loaded_on = holders.ready.iter().map(ToString::to_string).collect();
        let failed = holders.failed.iter().next();
        shown.message = failed.map_or_else(String::new, |(worker, why)| format!("{worker}: {why}"));
    }
    shown
}

/// A version that nobody serves is stored, whatever is left of it in memory.
fn state(deployed: bool, holders: Option<&Holders>) -> State {
    match holders {
        _ if !deployed => State::Stored,
        Some(holders) if !holders.ready.is_empty() => State::Ready,
        Some(holders) if holders.loading.is_empty() && !holders.failed.is_empty() => State::Failed,
        _ => State::Loading,
    }
}
