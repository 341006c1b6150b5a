//! The REST side of tasks: typed JSON, so that inputs and outputs are copied and never parsed into trees.
//!
//! Promises: the same answers as `grpc`, in the JSON of the same messages. Leaves the rules of the path to `transcode`.

use axum::body::Body;
use axum::response::sse::Event;
use bytes::Bytes;
use futures::StreamExt as _;
use http::Response;
use lepton_core::error::rest_body;
use lepton_domain::reason::ApiError;
use lepton_mesh::server::deadline::Deadline;
use lepton_proto::task::v1::{
    CancelTaskRequest, GetTaskRequest, ListTasksRequest, RetryTaskRequest, WaitTaskRequest, WatchTaskRequest,
    task_service_server,
};
use lepton_proto::validate;
use prost_reflect::{DynamicMessage, MethodDescriptor};

use super::view::View;
use super::{Submit, Tasks, grpc, submit};
use crate::offload;
use crate::request::Caller;
use crate::request::idempotency_key::{self, IdempotencyKey};
use crate::transcode::{Bound, request, response};

#[cfg(test)]
mod tests;

/// An RPC of `lepton.task.v1.TaskService` that is served here rather than by [`crate::transcode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskRpc {
    /// `SubmitTask`.
    Submit,
    /// `BatchSubmitTasks`.
    BatchSubmit,
    /// `GetTask`.
    Get,
    /// `ListTasks`.
    List,
    /// `CancelTask`.
    Cancel,
    /// `RetryTask`.
    Retry,
    /// `WaitTask`.
    Wait,
    /// `WatchTask`.
    Watch,
}

impl TaskRpc {
    /// The RPC of a descriptor; `None` for one that is transcoded.
    pub fn of(rpc: &MethodDescriptor) -> Option<Self> {
        if rpc.parent_service().full_name() != task_service_server::SERVICE_NAME {
            return None;
        }
        Some(match rpc.name() {
            "SubmitTask" => Self::Submit,
            "BatchSubmitTasks" => Self::BatchSubmit,
            "GetTask" => Self::Get,
            "ListTasks" => Self::List,
            "CancelTask" => Self::Cancel,
            "RetryTask" => Self::Retry,
            "WaitTask" => Self::Wait,
            "WatchTask" => Self::Watch,
            _ => return None,
        })
    }

    /// True for an RPC that makes tasks: it takes no parameters, and it may carry an idempotency key.
    pub fn submits(self) -> bool {
        matches!(self, Self::Submit | Self::BatchSubmit | Self::Retry)
    }
}

/// Answers a request whose RPC is served here.
pub async fn serve(tasks: &Tasks, rpc: TaskRpc, bound: Bound<'_>, body: Bytes) -> Result<Response<Body>, ApiError> {
    let (caller, deadline) = (bound.caller, bound.deadline);
    match rpc {
        TaskRpc::Submit => {
            let mut submit = offload::run(body.len(), move || submit::one(&body)).await?;
            idempotency_key::apply(&mut submit.request.request_id, bound.key)?;
            one(tasks.submit(caller, submit, deadline).await?)
        }
        TaskRpc::BatchSubmit => batch(tasks, body, &bound).await,
        TaskRpc::List => list(tasks, caller, &typed(&bound, &body)?, deadline).await,
        TaskRpc::Cancel => {
            let CancelTaskRequest { id, message } = typed(&bound, &body)?;
            one(tasks.cancel(caller, &id, message, deadline).await?)
        }
        TaskRpc::Retry => {
            let RetryTaskRequest { id, mut request_id } = typed(&bound, &body)?;
            idempotency_key::apply(&mut request_id, bound.key)?;
            one(tasks.retry(caller, &id, request_id, deadline).await?)
        }
        TaskRpc::Wait => {
            let request: WaitTaskRequest = typed(&bound, &body)?;
            one(tasks
                .wait(caller, &request.id, grpc::wait_timeout(&request)?, deadline)
                .await?)
        }
        TaskRpc::Watch => watch(tasks, caller, &typed(&bound, &body)?).await,
        TaskRpc::Get => {
            let request: GetTaskRequest = typed(&bound, &body)?;
            one(tasks.get(caller, &request.id, request.view(), deadline).await?)
        }
    }
}

/// The request's message, checked.
fn typed<M: prost::Message + Default>(bound: &Bound<'_>, body: &Bytes) -> Result<M, ApiError> {
    let message: DynamicMessage = request::message(bound.binding, &bound.path, bound.query, body)?;
    validate::check(&message)?;
    message
        .transcode_to()
        .map_err(|error| ApiError::field("body", error.to_string()))
}

fn one(view: View) -> Result<Response<Body>, ApiError> {
    Ok(response::json(view.to_json()?))
}

/// Makes the key and its place the request id of each submit of a batch that has none; the others keep theirs.
fn name_all(submits: &mut [Result<Submit, ApiError>], key: Option<IdempotencyKey<'_>>) {
    let Some(key) = key else { return };
    for (index, submit) in submits.iter_mut().enumerate() {
        if let Ok(Submit { request, .. }) = submit
            && request.request_id.is_empty()
        {
            request.request_id = key.of_place(index);
        }
    }
}

async fn batch(tasks: &Tasks, body: Bytes, bound: &Bound<'_>) -> Result<Response<Body>, ApiError> {
    let mut submits = offload::run(body.len(), move || submit::batch(&body)).await?;
    name_all(&mut submits, bound.key);
    let mut json = b"{\"results\":[".to_vec();
    let mut results = std::pin::pin!(tasks.submit_all(bound.caller, submits, bound.deadline));
    let mut separator: &[u8] = b"";
    while let Some(result) = results.next().await {
        json.extend_from_slice(separator);
        separator = b",";
        match result.and_then(|view| view.to_json()) {
            Ok(task) => {
                json.extend_from_slice(b"{\"task\":");
                json.extend_from_slice(&task);
                json.push(b'}');
            }
            Err(error) => json.extend_from_slice(rest_body(&error).to_string().as_bytes()),
        }
    }
    json.extend_from_slice(b"]}");
    Ok(response::json(json))
}

async fn list(
    tasks: &Tasks,
    caller: &Caller,
    request: &ListTasksRequest,
    deadline: Option<Deadline>,
) -> Result<Response<Body>, ApiError> {
    let page = tasks.list(caller, request, deadline).await?;
    let mut json = b"{\"tasks\":[".to_vec();
    for (index, view) in page.tasks.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        view.write_json(&mut json)?;
    }
    // Tokens are of the URL-safe alphabet: nothing to escape.
    json.extend_from_slice(format!("],\"nextPageToken\":\"{}\"}}", page.next).as_bytes());
    Ok(response::json(json))
}

async fn watch(tasks: &Tasks, caller: &Caller, request: &WatchTaskRequest) -> Result<Response<Body>, ApiError> {
    let mut states = Box::pin(tasks.watch(caller, &request.id)?);
    // The first state decides between an answer and an error.
    let first = states.next().await.transpose()?;
    let states = futures::stream::iter(first.map(Ok)).chain(states);
    Ok(response::events(states.map(|view| event(&view?))))
}

fn event(view: &View) -> Result<Event, ApiError> {
    let json = view.to_json()?;
    let event = Event::default().event("task").id(view.task.version.to_string());
    Ok(event.data(String::from_utf8_lossy(&json)))
}
