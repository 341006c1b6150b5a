//! Registry, mirrors, election and pool against a real etcd that is killed, cut off, compacted and frozen.

mod elect;
mod mirror;
mod pool;
mod register;
mod suspect;

use std::collections::BTreeMap;
use std::time::Duration;

use lepton_coordination::etcd::Etcd;
use lepton_coordination::registry::{Directory, Instance, NodeState};
use lepton_core::context::Context;
use lepton_domain::ids::InstanceId;
use lepton_domain::time::Timestamp;
use lepton_tests::etcd::RealEtcd;

/// Longer than any lease and any pause between attempts.
const SOON: Duration = Duration::from_secs(20);

/// One etcd, a handle on it, and the world.
struct Scene {
    etcd: Etcd,
    real: RealEtcd,
    context: Context,
}

impl Scene {
    async fn new() -> Self {
        let (real, context) = (RealEtcd::start(1).await, Context::system());
        Self {
            etcd: real.connect(&context, "test"),
            real,
            context,
        }
    }

    /// A handle that reaches etcd through another address.
    fn through(&self, address: &str) -> Etcd {
        Etcd::connect(&self.context, &[address.to_owned()], "test")
    }

    fn directory(&self, service: &str) -> Directory {
        Directory::start(self.etcd.clone(), Some(service), &self.context)
    }
}

fn instance(id: &str, address: &str) -> Instance {
    Instance {
        id: InstanceId::new(id),
        service: id.split('-').next().unwrap_or_default().to_owned(),
        address: address.to_owned(),
        state: NodeState::Ready,
        version: "0.1.0".into(),
        started: Timestamp::from_micros(1),
        metadata: BTreeMap::new(),
    }
}

/// The ids that a directory shows.
fn shown(directory: &Directory) -> Vec<String> {
    directory.view().borrow().keys().map(ToString::to_string).collect()
}
