//! Work that keeps a processor busy, on threads apart from those that answer the network.
//!
//! Promises: no more runs at once than there are permits; a wish to stop, or a caller that is gone, reaches the running
//! code; a panic in it becomes the caller's. Leaves who may wait, and how long, to the caller.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::stopwatch::Stopwatch;

/// Runs blocking work, so much at once.
#[derive(Debug, Clone)]
pub struct Compute {
    permits: Arc<Semaphore>,
    stopwatch: Option<Stopwatch>,
}

/// The work was stopped before it had an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped before it was done")]
pub struct Stopped;

impl Compute {
    /// Room for this many at once.
    pub fn new(limit: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limit)),
            stopwatch: None,
        }
    }

    /// The same room for one whose stopwatch stands still while it waits for it.
    #[must_use]
    pub fn timed(&self, stopwatch: &Stopwatch) -> Self {
        Self {
            stopwatch: Some(stopwatch.clone()),
            ..self.clone()
        }
    }

    /// Waits for room and runs `work`, which is given a question to ask often: whether to stop. Work that is no longer
    /// wanted when its turn comes does not begin.
    pub async fn run<T, W>(&self, cancel: &CancellationToken, work: W) -> Result<T, Stopped>
    where
        T: Send + 'static,
        W: FnOnce(&dyn Fn() -> bool) -> T + Send + 'static,
    {
        // A child, so that dropping this future stops the work and nothing else.
        let stop = cancel.child_token();
        let _stops_when_dropped = stop.clone().drop_guard();
        let waits = self.stopwatch.as_ref().map(Stopwatch::pause);
        let permit = tokio::select! {
            () = stop.cancelled() => return Err(Stopped),
            permit = Arc::clone(&self.permits).acquire_owned() => permit.map_err(|_| Stopped)?,
        };
        drop(waits);
        let span = tracing::Span::current();
        let running = tokio::task::spawn_blocking(move || {
            // Held by the thread, not by the caller: the room is taken until the code has really stopped.
            let _permit = permit;
            let _entered = span.entered();
            (!stop.is_cancelled()).then(|| work(&|| stop.is_cancelled()))
        });
        match running.await {
            Ok(done) => done.ok_or(Stopped),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Stopped),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Work that ends only when it is told to.
    fn until_stopped(stopped: &dyn Fn() -> bool) {
        while !stopped() {
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn a_dropped_caller_frees_the_thread_and_the_room() {
        let compute = Compute::new(1);
        let (began, has_begun) = mpsc::channel();
        let busy = compute.clone();
        let caller = tokio::spawn(async move {
            let work = move |stopped: &dyn Fn() -> bool| {
                began.send(()).unwrap();
                until_stopped(stopped);
            };
            busy.run(&CancellationToken::new(), work).await
        });
        tokio::task::spawn_blocking(move || has_begun.recv())
            .await
            .unwrap()
            .unwrap();
        caller.abort();
        let cancel = CancellationToken::new();
        let next = compute.run(&cancel, |_| 7);
        assert_eq!(
            tokio::time::timeout(Duration::from_secs(10), next).await.unwrap(),
            Ok(7)
        );
    }

    #[tokio::test]
    async fn what_is_not_wanted_does_not_begin() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        let work = |_: &dyn Fn() -> bool| panic!("it began");
        assert_eq!(Compute::new(1).run(&cancel, work).await, Err::<(), _>(Stopped));
    }

    #[tokio::test]
    async fn a_panic_reaches_the_caller_and_frees_the_room() {
        let compute = Compute::new(1);
        let failing = compute.clone();
        let work = |_: &dyn Fn() -> bool| panic!("broken");
        let caller = tokio::spawn(async move { failing.run(&CancellationToken::new(), work).await });
        assert!(caller.await.unwrap_err().is_panic());
        assert_eq!(compute.run(&CancellationToken::new(), |_| 7).await, Ok(7));
    }
}
