//! Listings of tasks, page by page.
//!
//! Promises: a page holds a bounded number of bytes; a task whose payloads cannot be read hides no other. Leaves tokens to
//! [`super::page_token`].

use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::task::Task;
use lepton_mesh::server::deadline::Deadline;
use lepton_proto::scheduler::v1::ListTasksRequest as LeaderListRequest;
use lepton_proto::task::v1::{ListTasksRequest, TaskView};

use super::error::CallError;
use super::payloads::stored_bytes;
use super::snapshot::TaskSnapshot;
use super::view::View;
use super::{Tasks, leader, page_token};
use crate::request::Caller;

/// Tasks on a page of a request without a size.
const PAGE_SIZE_DEFAULT: u32 = 50;
/// Bytes of blobs on one page; a page that would hold more ends early and the next one goes on.
const PAGE_BLOB_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// One page of a listing.
#[derive(Debug)]
pub struct Page {
    /// The tasks, newest first.
    pub tasks: Vec<View>,
    /// Token of the next page; empty after the last.
    pub next: String,
}

impl Tasks {
    /// Lists one page.
    pub async fn list(
        &self,
        caller: &Caller,
        request: &ListTasksRequest,
        deadline: Option<Deadline>,
    ) -> Result<Page, ApiError> {
        let query = LeaderListRequest {
            tenant: caller.tenant.as_str().to_owned(),
            page_size: if request.page_size == 0 {
                PAGE_SIZE_DEFAULT
            } else {
                request.page_size
            },
            before_seq: page_token::before_seq(caller.tenant.as_str(), request)?,
            state: u32::try_from(request.state).unwrap_or_default(),
            kind: request.kind.clone(),
        };
        let patience = self.patience(deadline);
        let list = async {
            let _permit = self.lists.acquire().await;
            let list = leader::call(&self.leader, leader::client, |mut leader| {
                let query = query.clone();
                async move { leader.list_tasks(query).await }
            });
            list.await
        };
        let answer = tokio::select! {
            answer = list => answer?.1,
            () = self.etcd_health.away() => return Err(CallError::JournalAway.into()),
            () = tokio::time::sleep(patience) => return Err(CallError::NoLeader.into()),
        };
        let (mut tasks, mut next, mut blob_bytes) = (Vec::new(), answer.next_before_seq, 0);
        for record in answer.tasks {
            let task = Task::try_from(record)?;
            if request.view() == TaskView::Basic {
                tasks.push(View::basic(TaskSnapshot::without_progress(task)));
                continue;
            }
            blob_bytes += stored_bytes(&task);
            if blob_bytes > PAGE_BLOB_BYTES_MAX && !tasks.is_empty() {
                next = last_seq(&tasks);
                break;
            }
            tasks.push(self.listed(TaskSnapshot::without_progress(task)).await?);
        }
        let next = if next == 0 {
            String::new()
        } else {
            page_token::token(next, caller.tenant.as_str(), request)
        };
        Ok(Page { tasks, next })
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
