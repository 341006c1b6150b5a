//! Long work on large bodies, offloaded from the threads that answer everyone else.
//!
//! Promises: small work is done at once, as handing it over would take longer. Leaves the work to its callers.

use lepton_domain::reason::ApiError;
use tracing::Span;

use crate::request::error::EdgeError;

/// Bodies from this size on take milliseconds.
const LARGE_BYTES: usize = 1 << 20;

/// Does the work on a body of this many bytes.
pub async fn run<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    if bytes < LARGE_BYTES {
        return work();
    }
    let span = Span::current();
    let ended = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    ended.map_err(EdgeError::from)?
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn only_large_work_goes_to_another_thread() {
        let here = thread::current().id();
        let at = async |bytes| run(bytes, || Ok(thread::current().id())).await.expect("done");
        assert_eq!(at(LARGE_BYTES - 1).await, here);
        assert_ne!(at(LARGE_BYTES).await, here);
    }
}
