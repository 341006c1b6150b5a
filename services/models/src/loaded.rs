//! The versions that an instance has in memory, as its registry entry reports them.
//!
//! Promises: bounded, whatever a loader reports. What cannot be read counts as nothing loaded. Leaves loading to the
//! workers.

use serde::{Deserialize, Serialize};

use lepton_coordination::registry::Instance;
use lepton_domain::text::cut;

/// The key in the entry's metadata.
pub const KEY: &str = "models";

/// Longest reported message, in bytes.
const MESSAGE_BYTES_MAX: usize = 256;

/// A version on an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// The model's name.
    pub name: String,
    /// The version's number.
    pub version: u32,
    /// Its progress.
    pub state: State,
    /// Why it could not be loaded; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Progress of loading a version; see [`Model`](lepton_domain::model::Model).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is being fetched, read or tried.
    Loading,
    /// It answers requests.
    Ready,
    /// It could not be loaded.
    Failed,
}

/// The metadata's value.
pub fn encode(loaded: &[Loaded]) -> String {
    let short = |one: &Loaded| Loaded {
        message: cut(&one.message, MESSAGE_BYTES_MAX).into_owned(),
        ..one.clone()
    };
    let short: Vec<Loaded> = loaded.iter().map(short).collect();
    serde_json::to_string(&short).expect("texts and numbers always have a JSON form")
}

/// Versions that an instance reports to have loaded.
pub fn of(instance: &Instance) -> Vec<Loaded> {
    let told = instance.metadata.get(KEY);
    told.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}
