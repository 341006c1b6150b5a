//! Client of the gateways, for tasks, models and the traces of other monitors.
//!
//! Promises: a call has a time limit; a gateway that does not answer is skipped once. Leaves the content of responses
//! to the pages.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lepton_core::error::{from_status, is_retryable};
use lepton_core::net::Net;
use lepton_domain::reason::{ApiError, Reason};
use lepton_proto::model::v1::model_service_client::ModelServiceClient;
use lepton_proto::model::v1::{ListModelsRequest, Model};
use lepton_proto::monitor::v1::monitor_service_client::MonitorServiceClient;
use lepton_proto::monitor::v1::{GetTraceRequest, ListTracesRequest, Trace};
use lepton_proto::task::v1::task_service_client::TaskServiceClient;
use lepton_proto::task::v1::{
    CancelTaskRequest, CountTasksRequest, CountTasksResponse, GetTaskRequest, ListTasksRequest, ListTasksResponse,
    Task, TaskView,
};
use tokio::time::timeout;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::UNTRACED;
use super::error::ConsoleError;
use crate::view::{MeshView, RowState};

/// Time limit of a call to one gateway; a page calls at most [`TRIES`] of them.
const CALL_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Gateways called before a page reports that none answers.
const TRIES: usize = 2;
/// Largest response, bytes: a trace with as many spans as a monitor stores.
const RESPONSE_BYTES_MAX: usize = 64 << 20;
/// Largest task with its input and output, bytes; a page shows less of it.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// Client of the gateways, with one connection each. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct GatewayClient {
    net: Net,
    channels: Arc<Mutex<BTreeMap<String, Channel>>>,
}

impl GatewayClient {
    pub fn new(net: Net) -> Self {
        Self {
            net,
            channels: Arc::default(),
        }
    }

    /// Lists tasks.
    pub async fn tasks(&self, view: &MeshView, request: ListTasksRequest) -> Result<ListTasksResponse, ApiError> {
        let call = |channel| {
            let request = bounded(request.clone());
            async move { tasks(channel, RESPONSE_BYTES_MAX).list_tasks(request).await }
        };
        self.call(view, call).await
    }

    /// Counts tasks by state.
    pub async fn count(&self, view: &MeshView, request: CountTasksRequest) -> Result<CountTasksResponse, ApiError> {
        let call = |channel| {
            let request = bounded(request.clone());
            async move { tasks(channel, PAYLOAD_BYTES_MAX).count_tasks(request).await }
        };
        self.call(view, call).await
    }

    /// Fetches a task without its input and output, which may be large and would be read again at every refresh.
    pub async fn task(&self, view: &MeshView, id: &str) -> Result<Task, ApiError> {
        self.one_task(view, id, TaskView::Basic, RESPONSE_BYTES_MAX).await
    }

    /// Fetches a task with its input and output. Fails with REQUEST_TOO_LARGE beyond [`PAYLOAD_BYTES_MAX`].
    pub async fn whole_task(&self, view: &MeshView, id: &str) -> Result<Task, ApiError> {
        self.one_task(view, id, TaskView::Full, PAYLOAD_BYTES_MAX).await
    }

    async fn one_task(&self, view: &MeshView, id: &str, part: TaskView, bytes_max: usize) -> Result<Task, ApiError> {
        let request = GetTaskRequest {
            id: id.to_owned(),
            view: part.into(),
        };
        let call = |channel| {
            let request = bounded(request.clone());
            async move { tasks(channel, bytes_max).get_task(request).await }
        };
        self.call(view, call)
            .await?
            .task
            .ok_or_else(|| ConsoleError::IncompleteResponse("task").into())
    }

    /// Cancels a task. Idempotent, so a gateway that does not answer is skipped here as well.
    pub async fn cancel(&self, view: &MeshView, id: &str) -> Result<(), ApiError> {
        let request = CancelTaskRequest {
            id: id.to_owned(),
            message: "cancelled in the console".to_owned(),
        };
        let call = |channel| {
            let request = bounded(request.clone());
            async move { tasks(channel, PAYLOAD_BYTES_MAX).cancel_task(request).await }
        };
        match self.call(view, call).await {
            // The answer is the task with its input, and only a success has one: it was cancelled.
            Err(error) if error.reason == Reason::RequestTooLarge => Ok(()),
            response => response.map(drop),
        }
    }

    /// Lists all models.
    pub async fn models(&self, view: &MeshView) -> Result<Vec<Model>, ApiError> {
        let call = |channel| async move {
            ModelServiceClient::new(channel)
                .max_decoding_message_size(RESPONSE_BYTES_MAX)
                .list_models(bounded(ListModelsRequest::default()))
                .await
        };
        Ok(self.call(view, call).await?.models)
    }

    /// Fetches a trace, with the spans of every monitor that stores some.
    pub async fn trace(&self, view: &MeshView, id: &str) -> Result<Trace, ApiError> {
        let request = GetTraceRequest {
            trace_id: id.to_owned(),
        };
        let call = |channel| {
            let request = bounded(request.clone());
            async move { monitors(channel).get_trace(request).await }
        };
        self.call(view, call)
            .await?
            .trace
            .ok_or_else(|| ConsoleError::IncompleteResponse("trace").into())
    }

    /// Lists traces of all monitors, newest first.
    pub async fn traces(&self, view: &MeshView, request: &ListTracesRequest) -> Result<Vec<Trace>, ApiError> {
        let call = |channel| async move { monitors(channel).list_traces(bounded(request.clone())).await };
        Ok(self.call(view, call).await?.traces)
    }

    async fn call<T, F>(&self, view: &MeshView, call: impl Fn(Channel) -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut last_error = None;
        for channel in self.channels(view) {
            let error = match timeout(CALL_TIMEOUT, call(channel)).await {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) => from_status(&status),
                Err(_) => ConsoleError::GatewayTimeout(CALL_TIMEOUT).into(),
            };
            if !is_retryable(&error) {
                return Err(error);
            }
            last_error = Some(error);
        }
        Err(last_error.unwrap_or_else(|| ConsoleError::NoGateway.into()))
    }

    /// Connections to at most [`TRIES`] gateways, ready ones first.
    fn channels(&self, view: &MeshView) -> Vec<Channel> {
        let mut gateways: Vec<_> = view.rows.iter().filter(|row| row.service == "gateway").collect();
        gateways.sort_by_key(|row| row.state != RowState::Ready);
        gateways.truncate(TRIES);
        // No code panics while it holds the lock, and the map would be whole all the same.
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.retain(|address, _| gateways.iter().any(|row| row.address == *address));
        let dial = |address: &String| {
            let fresh = || self.net.channel(address);
            channels.entry(address.clone()).or_insert_with(fresh).clone()
        };
        gateways.iter().map(|row| &row.address).map(dial).collect()
    }
}

fn tasks(channel: Channel, bytes_max: usize) -> TaskServiceClient<Channel> {
    TaskServiceClient::new(channel).max_decoding_message_size(bytes_max)
}

fn monitors(channel: Channel) -> MonitorServiceClient<Channel> {
    MonitorServiceClient::new(channel).max_decoding_message_size(RESPONSE_BYTES_MAX)
}

/// Request with the timeout [`CALL_TIMEOUT`] and the trace context [`UNTRACED`].
fn bounded<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
        .metadata_mut()
        .insert("traceparent", MetadataValue::from_static(UNTRACED));
    request
}
