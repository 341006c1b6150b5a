//! Waiting for a condition with a deadline, so that no test sleeps for luck.
//!
//! Promises: a wait that fails names the line that waited.

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

/// How often the condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a look can find: a `bool`, an `Option` or a `Result`.
pub trait Look {
    /// What the wait gives.
    type Found;

    /// The finding, or `None` to look again.
    fn found(self) -> Option<Self::Found>;
}

impl Look for bool {
    type Found = ();

    fn found(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Look for Option<T> {
    type Found = T;

    fn found(self) -> Option<T> {
        self
    }
}

impl<T, E> Look for Result<T, E> {
    type Found = T;

    fn found(self) -> Option<T> {
        self.ok()
    }
}

/// Looks until there is something to find. Panics, naming the caller's line, when the deadline passes first.
#[track_caller]
pub fn eventually<L, F, Fut>(deadline: Duration, mut look: F) -> impl Future<Output = L::Found>
where
    L: Look,
    F: FnMut() -> Fut,
    Fut: Future<Output = L>,
{
    let caller = Location::caller();
    async move {
        let wait = async {
            loop {
                if let Some(found) = look().await.found() {
                    return found;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        match tokio::time::timeout(deadline, wait).await {
            Ok(found) => found,
            Err(_) => panic!("not within {deadline:?}: the condition at {caller}"),
        }
    }
}
