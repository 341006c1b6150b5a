//! `lepton.task.v1.TaskService`: decodes, calls and encodes.

use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use lepton_core::error::{self, rest_body};
use lepton_domain::reason::ApiError;
use lepton_mesh::server::deadline::Deadline;
use lepton_proto::convert;
use lepton_proto::convert::time::read_duration;
use lepton_proto::task::v1::batch_submit_result::Outcome;
use lepton_proto::task::v1::task_service_server::TaskService;
use lepton_proto::task::v1::*;
use lepton_proto::validate;
use tonic::{Request, Status};

use super::{Tasks, submit};
use crate::request::unary::{Answer, answer};

/// Length of a wait whose request sets none.
const WAIT_DEFAULT: Duration = Duration::from_secs(30);
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(60 * 60);

#[tonic::async_trait]
impl TaskService for Tasks {
    async fn submit_task(&self, request: Request<SubmitTaskRequest>) -> Answer<SubmitTaskResponse> {
        let deadline = deadline(&request);
        answer(request, async |caller, request| {
            let view = self.submit(&caller, submit::message(request)?, deadline).await?;
            let task = Some(view.to_wire()?);
            Ok(SubmitTaskResponse { task })
        })
        .await
    }

    async fn batch_submit_tasks(&self, request: Request<BatchSubmitTasksRequest>) -> Answer<BatchSubmitTasksResponse> {
        let deadline = deadline(&request);
        answer(request, async |caller, BatchSubmitTasksRequest { requests }| {
            submit::check_count(requests.len())?;
            let submits = requests.into_iter().map(submit::message).collect();
            let results = self.submit_all(&caller, submits, deadline).map(|result| {
                let outcome = result.and_then(|view| view.to_wire());
                let outcome = outcome.map_or_else(
                    |error| Outcome::Error(detail(&error)),
                    |task| Outcome::Task(Box::new(task)),
                );
                BatchSubmitResult { outcome: Some(outcome) }
            });
            let results = results.collect().await;
            Ok(BatchSubmitTasksResponse { results })
        })
        .await
    }

    async fn get_task(&self, request: Request<GetTaskRequest>) -> Answer<GetTaskResponse> {
        let deadline = deadline(&request);
        answer(request, async |caller, request| {
            validate::check_typed("lepton.task.v1.GetTaskRequest", &request)?;
            let view = self.get(&caller, &request.id, request.view(), deadline).await?;
            let task = Some(view.to_wire()?);
            Ok(GetTaskResponse { task })
        })
        .await
    }

    async fn list_tasks(&self, request: Request<ListTasksRequest>) -> Answer<ListTasksResponse> {
        let deadline = deadline(&request);
        answer(request, async |caller, request| {
            validate::check_typed("lepton.task.v1.ListTasksRequest", &request)?;
            let page = self.list(&caller, &request, deadline).await?;
            let tasks = page.tasks.iter().map(super::View::to_wire).collect::<Result<_, _>>()?;
            Ok(ListTasksResponse {
                tasks,
                next_page_token: page.next,
            })
        })
        .await
    }

    async fn count_tasks(&self, request: Request<CountTasksRequest>) -> Answer<CountTasksResponse> {
        let deadline = deadline(&request);
        answer(request, async |caller, request| {
            validate::check_typed("lepton.task.v1.CountTasksRequest", &request)?;
            self.count(&caller, &request, deadline).await
        })
        .await
    }

    async fn batch_cancel_tasks(&self, request: Request<BatchCancelTasksRequest>) -> Answer<BatchCancelTasksResponse> {
        let deadline = deadline(&request);
        answer(request, async |caller, request| {
            validate::check_typed("lepton.task.v1.BatchCancelTasksRequest", &request)?;
            self.cancel_many(&caller, &request, deadline).await
        })
        .await
    }

    async fn batch_retry_tasks(&self, request: Request<BatchRetryTasksRequest>) -> Answer<BatchRetryTasksResponse> {
        let deadline = deadline(&request);
        answer(request, async |caller, request| {
            validate::check_typed("lepton.task.v1.BatchRetryTasksRequest", &request)?;
            self.retry_many(&caller, &request, deadline).await
        })
        .await
    }

    async fn purge_tasks(&self, request: Request<PurgeTasksRequest>) -> Answer<PurgeTasksResponse> {
        let deadline = deadline(&request);
        answer(request, async |caller, request| {
            validate::check_typed("lepton.task.v1.PurgeTasksRequest", &request)?;
            self.purge_many(&caller, &request, deadline).await
        })
        .await
    }

    async fn cancel_task(&self, request: Request<CancelTaskRequest>) -> Answer<CancelTaskResponse> {
        let deadline = deadline(&request);
        answer(request, async |caller, request| {
            validate::check_typed("lepton.task.v1.CancelTaskRequest", &request)?;
            let view = self.cancel(&caller, &request.id, request.message, deadline).await?;
            let task = Some(view.to_wire()?);
            Ok(CancelTaskResponse { task })
        })
        .await
    }

    async fn retry_task(&self, request: Request<RetryTaskRequest>) -> Answer<RetryTaskResponse> {
        let deadline = deadline(&request);
        answer(request, async |caller, request| {
            validate::check_typed("lepton.task.v1.RetryTaskRequest", &request)?;
            let view = self.retry(&caller, &request.id, request.request_id, deadline).await?;
            let task = Some(view.to_wire()?);
            Ok(RetryTaskResponse { task })
        })
        .await
    }

    async fn delete_task(&self, request: Request<DeleteTaskRequest>) -> Answer<DeleteTaskResponse> {
        let deadline = deadline(&request);
        answer(request, async |caller, request| {
            validate::check_typed("lepton.task.v1.DeleteTaskRequest", &request)?;
            self.delete(&caller, &request.id, deadline).await?;
            Ok(DeleteTaskResponse {})
        })
        .await
    }

    async fn list_attempts(&self, request: Request<ListAttemptsRequest>) -> Answer<ListAttemptsResponse> {
        let deadline = deadline(&request);
        answer(request, async |caller, request| {
            validate::check_typed("lepton.task.v1.ListAttemptsRequest", &request)?;
            let record = self.record(&caller, &request.id, deadline).await?;
            Ok(ListAttemptsResponse {
                attempts: convert::task::attempts(&record.task),
            })
        })
        .await
    }

    async fn list_kinds(&self, request: Request<ListKindsRequest>) -> Answer<ListKindsResponse> {
        let deadline = deadline(&request);
        answer(request, async |caller, _request| {
            let kinds = self.kinds(&caller, None, deadline).await?;
            Ok(ListKindsResponse { kinds })
        })
        .await
    }

    async fn pause_kind(&self, request: Request<PauseKindRequest>) -> Answer<PauseKindResponse> {
        let deadline = deadline(&request);
        answer(request, async |caller, request| {
            validate::check_typed("lepton.task.v1.PauseKindRequest", &request)?;
            let kind = Some(self.set_paused(&caller, request.kind, true, deadline).await?);
            Ok(PauseKindResponse { kind })
        })
        .await
    }

    async fn resume_kind(&self, request: Request<ResumeKindRequest>) -> Answer<ResumeKindResponse> {
        let deadline = deadline(&request);
        answer(request, async |caller, request| {
            validate::check_typed("lepton.task.v1.ResumeKindRequest", &request)?;
            let kind = Some(self.set_paused(&caller, request.kind, false, deadline).await?);
            Ok(ResumeKindResponse { kind })
        })
        .await
    }

    async fn wait_task(&self, request: Request<WaitTaskRequest>) -> Answer<WaitTaskResponse> {
        let deadline = deadline(&request);
        answer(request, async |caller, request| {
            validate::check_typed("lepton.task.v1.WaitTaskRequest", &request)?;
            let timeout = wait_timeout(&request)?;
            let task = Some(self.wait(&caller, &request.id, timeout, deadline).await?.to_wire()?);
            Ok(WaitTaskResponse { task })
        })
        .await
    }

    type WatchTaskStream = Pin<Box<dyn Stream<Item = Result<WatchTaskResponse, Status>> + Send>>;

    async fn watch_task(&self, request: Request<WatchTaskRequest>) -> Answer<Self::WatchTaskStream> {
        answer(request, async |caller, request| {
            validate::check_typed("lepton.task.v1.WatchTaskRequest", &request)?;
            let states = self.watch(&caller, &request.id)?;
            let states = states.map(|view| view?.to_wire().map(|task| WatchTaskResponse { task: Some(task) }));
            let states = states.map(|state| state.map_err(|error| error::status(&error)));
            Ok(states.boxed())
        })
        .await
    }
}

/// Deadline of a request.
fn deadline<T>(request: &Request<T>) -> Option<Deadline> {
    request.extensions().get().copied()
}

/// Length of a wait. Fails with FIELD_INVALID beyond an hour.
pub fn wait_timeout(request: &WaitTaskRequest) -> Result<Duration, ApiError> {
    let Some(timeout) = &request.timeout else {
        return Ok(WAIT_DEFAULT);
    };
    match read_duration("timeout", timeout)? {
        timeout if timeout <= WAIT_MAX => Ok(timeout),
        timeout => Err(ApiError::field(
            "timeout",
            format!("{} s, at most 3600 s are taken", timeout.as_secs()),
        )),
    }
}

/// An error inside an answer.
pub(super) fn detail(api_error: &ApiError) -> ErrorDetail {
    let details = rest_body(api_error)["error"]["details"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    ErrorDetail {
        code: api_error.reason.http_status().into(),
        status: api_error.code().name().to_owned(),
        message: api_error.message.clone(),
        details: details.iter().filter_map(structure).collect(),
    }
}

fn structure(detail: &serde_json::Value) -> Option<prost_types::Struct> {
    let value = convert::value::to_value(detail.to_string().as_bytes()).ok()?;
    match value.kind {
        Some(prost_types::value::Kind::StructValue(structure)) => Some(structure),
        _ => None,
    }
}
