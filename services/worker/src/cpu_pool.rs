//! Pool of threads for work that keeps a processor busy, apart from the threads that answer the network.
//!
//! Promises: no more runs at once than there are permits; a cancellation, or a caller that is gone, reaches the running
//! code; a panic in it becomes the caller's. Leaves admission and deadlines to the caller.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::active_time::ActiveTimer;

/// Runs a bounded number of blocking jobs at once. Clones share the bound.
#[derive(Debug, Clone)]
pub(crate) struct CpuPool {
    permits: Arc<Semaphore>,
    timer: Option<ActiveTimer>,
}

/// A job of a [`CpuPool`] that was stopped before it had a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped before it was done")]
pub(crate) struct Stopped;

impl CpuPool {
    /// A pool of this many jobs at once.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limit)),
            timer: None,
        }
    }

    /// The same pool for an attempt whose [`ActiveTimer`] is paused while it waits for a permit.
    #[must_use]
    pub(crate) fn timed(&self, timer: &ActiveTimer) -> Self {
        Self {
            timer: Some(timer.clone()),
            ..self.clone()
        }
    }

    /// Waits for a permit and runs `work`, which gets a predicate to poll: whether to stop. Work that is cancelled before
    /// its turn does not begin.
    pub(crate) async fn run<T, W>(&self, cancel: &CancellationToken, work: W) -> Result<T, Stopped>
    where
        T: Send + 'static,
        W: FnOnce(&dyn Fn() -> bool) -> T + Send + 'static,
    {
        // A child, so that dropping this future stops the work and nothing else.
        let stop = cancel.child_token();
        let _stops_when_dropped = stop.clone().drop_guard();
        let pause = self.timer.as_ref().map(ActiveTimer::pause);
        let permit = tokio::select! {
            () = stop.cancelled() => return Err(Stopped),
            permit = Arc::clone(&self.permits).acquire_owned() => permit.map_err(|_| Stopped)?,
        };
        drop(pause);
        let span = tracing::Span::current();
        let running = tokio::task::spawn_blocking(move || {
            // Held by the thread, not by the caller: the permit is taken until the code has really stopped.
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
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Work that ends only when it is stopped.
    fn until_stopped(stopped: &dyn Fn() -> bool) {
        while !stopped() {
            std::thread::yield_now();
        }
    }

    /// A caller whose work has begun and ends only when it is stopped.
    async fn busy(pool: &CpuPool, cancel: CancellationToken) -> tokio::task::JoinHandle<Result<(), Stopped>> {
        let (began, has_begun) = mpsc::channel();
        let pool = pool.clone();
        let caller = tokio::spawn(async move {
            let work = move |stopped: &dyn Fn() -> bool| {
                began.send(()).unwrap();
                until_stopped(stopped);
            };
            pool.run(&cancel, work).await
        });
        tokio::task::spawn_blocking(move || has_begun.recv())
            .await
            .unwrap()
            .unwrap();
        caller
    }

    #[tokio::test]
    async fn a_dropped_caller_frees_the_thread_and_the_permit() {
        let pool = CpuPool::new(1);
        busy(&pool, CancellationToken::new()).await.abort();
        let cancel = CancellationToken::new();
        assert_eq!(timeout(PATIENCE, pool.run(&cancel, |_| 7)).await.unwrap(), Ok(7));
    }

    #[tokio::test]
    async fn cancelled_work_does_not_begin() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        let work = |_: &dyn Fn() -> bool| panic!("it began");
        assert_eq!(CpuPool::new(1).run(&cancel, work).await, Err::<(), _>(Stopped));
    }

    #[tokio::test]
    async fn a_panic_reaches_the_caller_and_frees_the_permit() {
        let pool = CpuPool::new(1);
        let failing = pool.clone();
        let work = |_: &dyn Fn() -> bool| panic!("broken");
        let caller = tokio::spawn(async move { failing.run(&CancellationToken::new(), work).await });
        assert!(caller.await.unwrap_err().is_panic());
        assert_eq!(pool.run(&CancellationToken::new(), |_| 7).await, Ok(7));
    }

    /// A cancellation reaches running code, and only that of its own caller.
    #[tokio::test]
    async fn a_cancellation_reaches_its_own_work_alone() {
        let pool = CpuPool::new(2);
        let (cancel, other) = (CancellationToken::new(), CancellationToken::new());
        let (cancelled, spared) = (busy(&pool, cancel.clone()).await, busy(&pool, other.clone()).await);
        cancel.cancel();
        // The work itself ended by returning, so its caller has a result.
        assert_eq!(timeout(PATIENCE, cancelled).await.unwrap().unwrap(), Ok(()));
        assert!(!spared.is_finished());
        other.cancel();
        assert_eq!(timeout(PATIENCE, spared).await.unwrap().unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn work_that_is_cancelled_while_it_waits_leaves_the_queue() {
        let pool = CpuPool::new(1);
        let (running, waiting) = (CancellationToken::new(), CancellationToken::new());
        let busy = busy(&pool, running.clone()).await;
        let work = |_: &dyn Fn() -> bool| panic!("it began");
        let mut waits = std::pin::pin!(pool.run(&waiting, work));
        assert!(futures::poll!(&mut waits).is_pending());
        waiting.cancel();
        assert_eq!(timeout(PATIENCE, waits).await.unwrap(), Err::<(), _>(Stopped));
        running.cancel();
        timeout(PATIENCE, busy).await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn no_more_runs_at_once_than_there_are_permits() {
        static RUNNING: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let pool = CpuPool::new(2);
        let work = |_: &dyn Fn() -> bool| {
            let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
            MOST.fetch_max(running, Ordering::SeqCst);
            // Long enough in turns for a third job, were it let in, to be seen.
            for _ in 0..1_000 {
                std::thread::yield_now();
            }
            RUNNING.fetch_sub(1, Ordering::SeqCst);
        };
        let cancel = CancellationToken::new();
        let jobs = (0..32).map(|_| pool.run(&cancel, work));
        let done = timeout(PATIENCE, futures::future::join_all(jobs)).await.unwrap();
        assert!(done.iter().all(Result::is_ok));
        assert!(MOST.load(Ordering::SeqCst) <= 2);
    }

    /// The timer stands still while the attempt waits for a permit, and runs while it has one.
    #[tokio::test]
    async fn waiting_for_a_permit_pauses_the_timer() {
        let pool = CpuPool::new(1);
        let (running, timer) = (CancellationToken::new(), ActiveTimer::default());
        let busy = busy(&pool, running.clone()).await;
        let cancel = CancellationToken::new();
        let timed = pool.timed(&timer);
        let mut waits = std::pin::pin!(timed.run(&cancel, |_| 7));
        assert!(futures::poll!(&mut waits).is_pending());
        let mut paused = std::pin::pin!(timer.elapsed(Duration::ZERO, lepton_core::clock::Clock::system()));
        assert!(futures::poll!(&mut paused).is_pending(), "it waits for the permit");
        running.cancel();
        timeout(PATIENCE, busy).await.unwrap().unwrap().unwrap();
        assert_eq!(timeout(PATIENCE, waits).await.unwrap(), Ok(7));
        timeout(PATIENCE, paused).await.expect("the timer runs again");
    }
}
