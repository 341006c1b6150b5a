//! Listings of tasks, page by page.
//!
//! Promises: a page begins behind the last task of the one before, whatever is submitted meanwhile, and holds a bounded
//! number of bytes; a task whose payloads cannot be read hides no other. Leaves the form of tokens to
//! [`lepton_proto::page`].

use std::collections::BTreeMap;

use lepton_domain::reason::{ApiError, Reason};
use lepton_mesh::server::deadline::Deadline;
use lepton_proto::scheduler::v1::{CountTasksRequest, ListTasksRequest as LeaderListRequest, StateCount};
use lepton_proto::task::v1::{ListTasksRequest, State, TaskView};

use super::error::CallError;
use super::filter::{self, Filters};
use super::payloads::stored_bytes;
use super::snapshot::TaskSnapshot;
use super::view::View;
use super::{Tasks, leader};
use crate::request::Caller;

/// Tasks on a page of a request without a size.
const PAGE_SIZE_DEFAULT: u32 = 50;
/// Bytes of blobs on one page; a page that would hold more ends early and the next one goes on.
const PAGE_BLOB_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// One page of a listing.
#[derive(Debug)]
pub struct Page {
    /// The tasks, in the order that was asked for.
    pub tasks: Vec<View>,
    /// Token of the next page; empty after the last.
    pub next: String,
}

/// [`TaskSnapshot`]s that the leader has selected.
pub(super) struct Selected {
    /// The records, without progress.
    pub tasks: Vec<TaskSnapshot>,
    /// First event of the last one, behind which the next page begins; 0 after the last page.
    pub next: u64,
}

impl Tasks {
    /// Lists one page.
    pub async fn list(
        &self,
        caller: &Caller,
        request: &ListTasksRequest,
        deadline: Option<Deadline>,
    ) -> Result<Page, ApiError> {
        let mut selection = Filters::from(request).selection(caller)?;
        selection.oldest_first = request.order == "asc";
        let listing = filter::listing("ListTasks", &selection);
        selection.page_size = match request.page_size {
            0 => PAGE_SIZE_DEFAULT,
            size => size,
        };
        let behind = listing.key(&request.page_token)?.unwrap_or_default();
        match selection.oldest_first {
            true => selection.after_seq = behind,
            false => selection.before_seq = behind,
        }
        let selected = self.selected(&selection, deadline).await?;
        let (mut tasks, mut next, mut blob_bytes) = (Vec::new(), selected.next, 0);
        for snapshot in selected.tasks {
            if request.view() == TaskView::Basic {
                tasks.push(View::basic(snapshot));
                continue;
            }
            blob_bytes += stored_bytes(&snapshot.task);
            if blob_bytes > PAGE_BLOB_BYTES_MAX && !tasks.is_empty() {
                next = last_seq(&tasks);
                break;
            }
            tasks.push(self.listed(snapshot).await?);
        }
        let next = if next == 0 { String::new() } else { listing.token(&next) };
        Ok(Page { tasks, next })
    }

    /// Reads a page of records from the leader.
    pub(super) async fn selected(
        &self,
        selection: &LeaderListRequest,
        deadline: Option<Deadline>,
    ) -> Result<Selected, ApiError> {
        let list = async {
            let _permit = self.lists.acquire().await;
            let list = leader::call(&self.leader, leader::client, |mut leader| {
                let selection = selection.clone();
                async move { leader.list_tasks(selection).await }
            });
            list.await
        };
        let (_, answer) = self.until_leader(list, deadline).await?;
        // A leader of the release before gives none.
        let reasons = answer
            .pending_reasons
            .into_iter()
            .chain(std::iter::repeat(String::new()));
        let records = answer.tasks.into_iter().zip(reasons);
        let tasks = records.map(|(record, reason)| TaskSnapshot::from_wire(record, None, reason));
        Ok(Selected {
            tasks: tasks.collect::<Result<_, _>>()?,
            next: answer.next_before_seq,
        })
    }

    /// Reads numbers of tasks, by the names of their states, from the leader.
    pub(super) async fn counted(
        &self,
        selection: LeaderListRequest,
        deadline: Option<Deadline>,
    ) -> Result<BTreeMap<String, u32>, ApiError> {
        let count = async {
            let _permit = self.lists.acquire().await;
            let count = leader::call(&self.leader, leader::client, |mut leader| {
                let request = CountTasksRequest {
                    tasks: Some(selection.clone()),
                };
                async move { leader.count_tasks(request).await }
            });
            count.await
        };
        let (_, answer) = self.until_leader(count, deadline).await?;
        let named = answer.counts.into_iter().filter_map(|StateCount { state, count }| {
            let state = State::try_from(i32::try_from(state).ok()?).ok()?;
            Some((state.as_str_name().to_owned(), u32::try_from(count).unwrap_or(u32::MAX)))
        });
        Ok(named.collect())
    }

    /// The answer of a leader, while etcd is there and the deadline has not passed.
    async fn until_leader<T>(
        &self,
        call: impl Future<Output = Result<T, ApiError>>,
        deadline: Option<Deadline>,
    ) -> Result<T, ApiError> {
        tokio::select! {
            answer = call => answer,
            () = self.etcd_health.away() => Err(CallError::JournalAway.into()),
            () = tokio::time::sleep(self.patience(deadline)) => Err(CallError::NoLeader.into()),
        }
    }

    /// A task on a page: one whose payloads cannot be read must not hide the others.
    async fn listed(&self, snapshot: TaskSnapshot) -> Result<View, ApiError> {
        match self.payloads.resolve(&snapshot.task, None).await {
            Ok(resolved) => Ok(View::new(snapshot, resolved)),
            Err(error) if is_of_one_blob(&error) => {
                tracing::warn!(task = %snapshot.task.id, %error, "a task is listed without its input and output");
                Ok(View::basic(snapshot))
            }
            Err(error) => Err(error),
        }
    }
}

/// True for an error of one blob, and not of the whole store.
fn is_of_one_blob(error: &ApiError) -> bool {
    use Reason::{BlobNotFound, BlobUnavailable, DataCorrupt};
    [BlobNotFound, BlobUnavailable, DataCorrupt].contains(&error.reason)
}

fn last_seq(tasks: &[View]) -> u64 {
    tasks.last().map_or(0, |view| view.task.created_seq.0)
}
