//! One mesh for all tests that take it as it is: they neither stop anything nor mind each other's tasks.
//!
//! Promises: it runs while a test holds it and ends with the last one, also when tests fail.

use std::sync::{Arc, Weak};

use lepton_tests::mesh::Up;
use tokio::sync::Mutex;

/// The mesh; started when no other test holds it.
pub async fn shared() -> Arc<Up> {
    // Weak, because what a static holds is never dropped and would leave its processes behind.
    static SHARED: Mutex<Weak<Up>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(up) = shared.upgrade() {
        return up;
    }
    let up = Arc::new(Up::fresh().await);
    *shared = Arc::downgrade(&up);
    up
}
