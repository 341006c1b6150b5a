//! The registry of instances in etcd: entries, and the ways to write and read them.
//!
//! Promises: a value is JSON with `Addr` and `Metadata`, which any gRPC resolver for etcd can read. Leaves the decision
//! whether an instance is usable to those who talk to it: an entry, or its absence, is only a hint.

mod directory;
mod mass_loss_guard;
mod registrar;

use std::collections::BTreeMap;

use lepton_domain::ids::InstanceId;
use lepton_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use directory::{Directory, Instances};
pub use registrar::Registrar;

#[cfg(test)]
mod tests;

/// Readiness of an instance, as it registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Not yet.
    #[default]
    Starting,
    /// Yes.
    Ready,
    /// No more; it finishes what it has.
    Draining,
}

/// One process of the mesh, as it registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id, unique in the cluster.
    pub id: InstanceId,
    /// Its service, such as `worker`.
    pub service: String,
    /// Address of its gRPC server, `host:port`.
    pub address: String,
    /// Its readiness.
    pub state: NodeState,
    /// The version of the program.
    pub version: String,
    /// Start time of the process.
    pub started: Timestamp,
    /// More about it, for people and for placement.
    pub metadata: BTreeMap<String, String>,
}

/// Value of an [`Instance`] in etcd. The id and the service are in the key.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "Addr")]
    address: String,
    #[serde(rename = "Metadata")]
    metadata: StoredMetadata,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredMetadata {
    // Absent values are allowed: an entry of a newer version must not make an instance invisible.
    #[serde(default)]
    state: NodeState,
    #[serde(default)]
    version: String,
    #[serde(default)]
    start_time_us: u64,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Instance {
    fn encode(&self) -> Vec<u8> {
        let metadata = StoredMetadata {
            state: self.state,
            version: self.version.clone(),
            start_time_us: self.started.as_micros(),
            labels: self.metadata.clone(),
        };
        let stored = Stored {
            address: self.address.clone(),
            metadata,
        };
        serde_json::to_vec(&stored).expect("texts and numbers always have a JSON form")
    }

    /// Decodes an entry whose key ends in `<service>/<instance>`.
    fn decode(key_end: &str, value: &[u8]) -> Option<Self> {
        let (service, id) = key_end.split_once('/')?;
        let Stored { address, metadata } = serde_json::from_slice(value).ok()?;
        Some(Self {
            id: InstanceId::new(id),
            service: service.to_owned(),
            address,
            state: metadata.state,
            version: metadata.version,
            started: Timestamp::from_micros(metadata.start_time_us),
            metadata: metadata.labels,
        })
    }
}
