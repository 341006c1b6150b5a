//! The gateways as this console asks them, for tasks, models and the traces of other monitors.
//!
//! Promises: a page waits for an answer for a bounded time; a gateway that does not answer is passed over once. Leaves
//! what the answer means to the pages.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lepton_core::error::{fault, is_retryable};
use lepton_core::net::Net;
use lepton_domain::reason::{Fault, Reason};
use lepton_proto::model::v1::model_service_client::ModelServiceClient;
use lepton_proto::model::v1::{ListModelsRequest, Model};
use lepton_proto::monitor::v1::monitor_service_client::MonitorServiceClient;
use lepton_proto::monitor::v1::{GetTraceRequest, ListTracesRequest, Trace};
use lepton_proto::task::v1::task_service_client::TaskServiceClient;
use lepton_proto::task::v1::{CancelTaskRequest, GetTaskRequest, ListTasksRequest, ListTasksResponse, Task, TaskView};
use tokio::time::timeout;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::UNTRACED;
use crate::view::{RowState, View};

/// How long one gateway may take; two are asked at most.
const ANSWER_WAIT: Duration = Duration::from_millis(1_500);
/// Gateways that are asked before a page says that none answers.
const TRIES: usize = 2;
/// The largest answer, bytes: a trace with as many spans as a monitor keeps.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The largest task with its input and output, bytes; a page shows less of it.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// Connections to gateways. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Gateways {
    net: Net,
    channels: Arc<Mutex<BTreeMap<String, Channel>>>,
}

impl Gateways {
    pub fn new(net: Net) -> Self {
        Self {
            net,
            channels: Arc::default(),
        }
    }

    /// One page of tasks.
    pub async fn tasks(&self, view: &View, request: ListTasksRequest) -> Result<ListTasksResponse, Fault> {
        let call = |channel| {
            let request = bounded(request.clone());
            async move { tasks(channel, ANSWER_BYTES_MAX).list_tasks(request).await }
        };
        self.ask(view, call).await
    }

    /// One task without its input and output, which may be large and would be read again at every refresh.
    pub async fn task(&self, view: &View, id: &str) -> Result<Task, Fault> {
        self.one_task(view, id, TaskView::Basic, ANSWER_BYTES_MAX).await
    }

    /// One task with its input and output. Fails with REQUEST_TOO_LARGE where those are more than a page could show.
    pub async fn whole_task(&self, view: &View, id: &str) -> Result<Task, Fault> {
        self.one_task(view, id, TaskView::Full, PAYLOAD_BYTES_MAX).await
    }

    async fn one_task(&self, view: &View, id: &str, part: TaskView, bytes_max: usize) -> Result<Task, Fault> {
        let request = GetTaskRequest {
            id: id.to_owned(),
            view: part.into(),
        };
        let call = |channel| {
            let request = bounded(request.clone());
            async move { tasks(channel, bytes_max).get_task(request).await }
        };
        self.ask(view, call).await?.task.ok_or_else(|| empty("task"))
    }

    /// Cancels a task. Safe to repeat, so that a gateway that does not answer is passed over here as well.
    pub async fn cancel(&self, view: &View, id: &str) -> Result<(), Fault> {
        let request = CancelTaskRequest {
            id: id.to_owned(),
            message: "cancelled in the console".to_owned(),
        };
        let call = |channel| {
            let request = bounded(request.clone());
            async move { tasks(channel, PAYLOAD_BYTES_MAX).cancel_task(request).await }
        };
        match self.ask(view, call).await {
            // The answer is the task with its input, and only a success has one: it was cancelled.
            Err(fault) if fault.reason == Reason::RequestTooLarge => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// All models.
    pub async fn models(&self, view: &View) -> Result<Vec<Model>, Fault> {
        let call = |channel| async move {
            ModelServiceClient::new(channel)
                .max_decoding_message_size(ANSWER_BYTES_MAX)
                .list_models(bounded(ListModelsRequest {}))
                .await
        };
        Ok(self.ask(view, call).await?.models)
    }

    /// A trace, from whichever monitor keeps it.
    pub async fn trace(&self, view: &View, id: &str) -> Result<Trace, Fault> {
        let request = GetTraceRequest {
            trace_id: id.to_owned(),
        };
        let call = |channel| {
            let request = bounded(request.clone());
            async move { monitors(channel).get_trace(request).await }
        };
        self.ask(view, call).await?.trace.ok_or_else(|| empty("trace"))
    }

    /// Traces of all monitors, the newest first.
    pub async fn traces(&self, view: &View, request: ListTracesRequest) -> Result<Vec<Trace>, Fault> {
        let call = |channel| async move { monitors(channel).list_traces(bounded(request)).await };
        Ok(self.ask(view, call).await?.traces)
    }

    async fn ask<T, F>(&self, view: &View, call: impl Fn(Channel) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut refused = None;
        for channel in self.channels(view) {
            let answer = match timeout(ANSWER_WAIT, call(channel)).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) => fault(&status),
                Err(_) => unreachable(&format!("a gateway gave no answer within {ANSWER_WAIT:?}")),
            };
            if !is_retryable(&answer) {
                return Err(answer);
            }
            refused = Some(answer);
        }
        Err(refused.unwrap_or_else(|| unreachable("no gateway is known to this monitor")))
    }

    /// Connections to the gateways that are worth asking, those first that are ready.
    fn channels(&self, view: &View) -> Vec<Channel> {
        let mut gateways: Vec<_> = view.rows.iter().filter(|row| row.service == "gateway").collect();
        gateways.sort_by_key(|row| row.state != RowState::Ready);
        gateways.truncate(TRIES);
        // Nobody panics with it, and what is in it would be whole all the same.
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
    MonitorServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)
}

/// A request that the gateway gives up when the console does, and that leaves no trace.
fn bounded<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(ANSWER_WAIT);
    request
        .metadata_mut()
        .insert("traceparent", MetadataValue::from_static(UNTRACED));
    request
}

fn unreachable(what: &str) -> Fault {
    Fault::new(Reason::GatewayUnreachable, what)
}

fn empty(what: &str) -> Fault {
    Fault::new(Reason::Internal, format!("the gateway answered without a {what}"))
}
