//! Calls on many tasks: all that fit a filter, one after the other.
//!
//! Promises: the tasks that fit when the call begins are reached, the newest first, and those that it makes are not; what fails
//! hides nothing else; a call that runs out of time gives a token with which another
//! goes on. Leaves each task to the calls on one.

use futures::{StreamExt as _, stream};
use lepton_domain::reason::{ApiError, Code, Reason};
use lepton_domain::task::{State, StateSet};
use lepton_mesh::server::deadline::Deadline;
use lepton_proto::page::Listing;
use lepton_proto::scheduler::v1::ListTasksRequest as Selection;
use lepton_proto::task::v1::{
    BatchCancelTasksRequest, BatchCancelTasksResponse, BatchRetryTasksRequest, BatchRetryTasksResponse,
    CountTasksRequest, CountTasksResponse, PurgeTasksRequest, PurgeTasksResponse, TaskFailure,
};

use super::Tasks;
use super::filter::{self, Filters};
use super::grpc::detail;
use crate::request::Caller;

/// Tasks that are read at a time.
const PAGE_SIZE: u32 = 500;
/// Tasks that are worked on at a time.
const CONCURRENCY: usize = 64;
/// Part of its caller's time in which a call begins with further pages.
const TIME_SHARE: f64 = 0.7;
/// Most failures that an answer has.
const FAILURES_MAX: usize = 100;

/// Final states.
const ENDED: StateSet = StateSet::EMPTY
    .with(State::Succeeded)
    .with(State::Failed)
    .with(State::Cancelled)
    .with(State::Expired);

/// Outcome for one task.
enum Outcome {
    Done,
    /// It may not be deleted yet.
    Retained,
    /// It is in another state by now, so that nothing is left to do.
    Moot,
}

/// Sum of each task's [`Outcome`].
#[derive(Default)]
struct Tally {
    done: u32,
    retained: u32,
    failed: u32,
    failures: Vec<TaskFailure>,
    /// Set where nobody could act any more.
    is_cut: bool,
    /// Token of the call that goes on.
    next: String,
}

impl Tally {
    fn note(&mut self, id: String, outcome: Result<Outcome, ApiError>) {
        match outcome {
            Ok(Outcome::Done) => self.done += 1,
            Ok(Outcome::Retained) => self.retained += 1,
            Ok(Outcome::Moot) => {}
            Err(error) => {
                // Nobody who could act is there: the others would fail alike.
                self.is_cut |= error.code() == Code::Unavailable;
                self.failed += 1;
                if self.failures.len() < FAILURES_MAX {
                    let error = Some(detail(&error));
                    self.failures.push(TaskFailure { id, error });
                }
            }
        }
    }
}

impl Tasks {
    /// Counts tasks by state.
    pub async fn count(
        &self,
        caller: &Caller,
        request: &CountTasksRequest,
        deadline: Option<Deadline>,
    ) -> Result<CountTasksResponse, ApiError> {
        let selection = Filters::from(request).selection(caller)?;
        let counts = self.counted(selection, deadline).await?;
        Ok(CountTasksResponse { counts })
    }

    /// Cancels all live tasks that fit.
    pub async fn cancel_many(
        &self,
        caller: &Caller,
        request: &BatchCancelTasksRequest,
        deadline: Option<Deadline>,
    ) -> Result<BatchCancelTasksResponse, ApiError> {
        let filters = some(Filters::from(request))?;
        let selection = filters.selection_among(caller, StateSet::LIVE, StateSet::LIVE)?;
        let cancel = |id: String| async move {
            let cancelled = self.cancel(caller, &id, request.message.clone(), deadline).await;
            done(cancelled, &[Reason::TaskEnded, Reason::TaskNotFound])
        };
        let tally = self
            .each(
                Batch::new("BatchCancelTasks", selection, &request.page_token)?,
                deadline,
                cancel,
            )
            .await?;
        Ok(BatchCancelTasksResponse {
            cancelled: tally.done,
            failed: tally.failed,
            failures: tally.failures,
            next_page_token: tally.next,
        })
    }

    /// Runs all ended tasks that fit again. A task has one retry by this call, whose request id is made of the task's id.
    pub async fn retry_many(
        &self,
        caller: &Caller,
        request: &BatchRetryTasksRequest,
        deadline: Option<Deadline>,
    ) -> Result<BatchRetryTasksResponse, ApiError> {
        let filters = some(Filters::from(request))?;
        let selection = filters.selection_among(caller, ENDED, StateSet::EMPTY.with(State::Failed))?;
        let retry = |id: String| async move {
            let retried = self.retry(caller, &id, format!("retry:{id}"), deadline).await;
            done(retried, &[Reason::TaskNotFound])
        };
        let tally = self
            .each(
                Batch::new("BatchRetryTasks", selection, &request.page_token)?,
                deadline,
                retry,
            )
            .await?;
        Ok(BatchRetryTasksResponse {
            retried: tally.done,
            failed: tally.failed,
            failures: tally.failures,
            next_page_token: tally.next,
        })
    }

    /// Deletes the records of all ended tasks that fit.
    pub async fn purge_many(
        &self,
        caller: &Caller,
        request: &PurgeTasksRequest,
        deadline: Option<Deadline>,
    ) -> Result<PurgeTasksResponse, ApiError> {
        let selection = Filters::from(request).selection_among(caller, ENDED, ENDED)?;
        let purge = |id: String| async move {
            match self.delete(caller, &id, deadline).await {
                Err(error) if error.reason == Reason::TaskRetained => Ok(Outcome::Retained),
                deleted => done(deleted, &[Reason::TaskNotFound]),
            }
        };
        let tally = self
            .each(
                Batch::new("PurgeTasks", selection, &request.page_token)?,
                deadline,
                purge,
            )
            .await?;
        Ok(PurgeTasksResponse {
            purged: tally.done,
            retained: tally.retained,
            failed: tally.failed,
            failures: tally.failures,
            next_page_token: tally.next,
        })
    }

    /// Acts on each selected task, some at a time. From the newest to the oldest, so that those made meanwhile stand behind.
    async fn each<F>(
        &self,
        mut batch: Batch,
        deadline: Option<Deadline>,
        act: impl Fn(String) -> F,
    ) -> Result<Tally, ApiError>
    where
        F: Future<Output = Result<Outcome, ApiError>>,
    {
        let (clock, longest) = (self.context.clock, self.config.batch_time);
        let time = deadline.map_or(longest, |deadline| {
            deadline.remaining(&clock).mul_f64(TIME_SHARE).min(longest)
        });
        let until = clock.monotonic() + time;
        let mut tally = Tally::default();
        loop {
            let page = self.selected(&batch.selection, deadline).await?;
            let acts = page.tasks.into_iter().map(|snapshot| {
                let id = snapshot.task.id.to_string();
                let outcome = act(id.clone());
                async move { (id, outcome.await) }
            });
            let mut outcomes = stream::iter(acts).buffer_unordered(CONCURRENCY);
            while let Some((id, outcome)) = outcomes.next().await {
                tally.note(id, outcome);
                if tally.is_cut {
                    // The page is gone through again: acting twice on a task changes nothing.
                    tally.next = batch.token();
                    return Ok(tally);
                }
            }
            if page.next == 0 {
                return Ok(tally);
            }
            batch.selection.before_seq = page.next;
            if clock.monotonic() >= until {
                tally.next = batch.token();
                return Ok(tally);
            }
        }
    }
}

/// Walk over the selected tasks, in one call or in several.
struct Batch {
    listing: Listing,
    selection: Selection,
}

impl Batch {
    /// Goes on behind the tasks that the call with this token has reached. Fails with PAGE_TOKEN_INVALID.
    fn new(rpc: &str, mut selection: Selection, page_token: &str) -> Result<Self, ApiError> {
        selection.page_size = PAGE_SIZE;
        let listing = filter::listing(rpc, &selection);
        selection.before_seq = listing.key(page_token)?.unwrap_or_default();
        Ok(Self { listing, selection })
    }

    /// Token of a call that goes on from here.
    fn token(&self) -> String {
        self.listing.token(&self.selection.before_seq)
    }
}

/// Refuses a call that would reach every task.
fn some(filters: Filters<'_>) -> Result<Filters<'_>, ApiError> {
    match filters.is_empty() {
        true => Err(ApiError::field(
            "state",
            "there is no filter, so that every task would be reached; give state, kind, label, reason, worker, requestId, \
             createdAfter or createdBefore",
        )),
        false => Ok(filters),
    }
}

/// The outcome of a call, which has nothing left to do where it failed for one of these reasons.
fn done<T>(result: Result<T, ApiError>, moot: &[Reason]) -> Result<Outcome, ApiError> {
    match result {
        Ok(_) => Ok(Outcome::Done),
        Err(error) if moot.contains(&error.reason) => Ok(Outcome::Moot),
        Err(error) => Err(error),
    }
}
