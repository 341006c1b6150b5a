//! One mesh for all tests that take it as it is: they neither stop anything nor mind each other's tasks.
//!
//! Promises: it runs while a test holds it and ends with the last one, also when tests fail; every instance has said in
//! the registry that it is ready, which comes a moment after the mesh's first answer.

use std::sync::{Arc, Weak};
use std::time::Duration;

use lepton_tests::mesh::{Up, nodes};
use lepton_tests::wait::eventually;
use tokio::sync::Mutex;

/// How long the instances may take to say so.
const REGISTERED_MAX: Duration = Duration::from_secs(20);
/// A gateway, a scheduler, a monitor and two workers.
const INSTANCES: usize = 5;

/// The mesh; started when no other test holds it.
pub async fn shared() -> Arc<Up> {
    // Weak, because what a static holds is never dropped and would leave its processes behind.
    static SHARED: Mutex<Weak<Up>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(up) = shared.upgrade() {
        return up;
    }
    let up = Arc::new(Up::fresh().await);
    let rest = up.rest();
    eventually(REGISTERED_MAX, || async {
        let nodes = nodes(&rest).await;
        nodes.len() == INSTANCES && nodes.iter().all(|node| node["state"] == "NODE_STATE_READY")
    })
    .await;
    *shared = Arc::downgrade(&up);
    up
}
