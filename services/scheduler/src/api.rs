//! The gRPC service of the scheduler: commands and reads, handed to the leader's task.
//!
//! Leaves deciding to the leader, and the stream of commands to `intake`.

use std::pin::Pin;

use futures::Stream;
use lepton_domain::ids::{InstanceId, Kind, RequestId, Seq, Tenant};
use lepton_domain::ledger::{Filter, Order, Search};
use lepton_domain::task::{State, StateSet};
use lepton_domain::time::Timestamp;
use lepton_mesh::server::Peer;
use lepton_proto::convert::snapshot::{read_state, state_number};
use lepton_proto::convert::{self, ConvertError};
use lepton_proto::scheduler::v1 as proto;
use lepton_proto::scheduler::v1::scheduler_service_server::SchedulerService;
use tokio::sync::{oneshot, watch};
use tonic::{Request, Response, Status, Streaming};

use crate::error::CallError;
use crate::intake;
use crate::leader_handle::LocalLeader;
use crate::message::{Call, Message, TaskPage, TaskUpdates, TaskView};
use crate::status::SchedulerStatus;

/// Tasks a page where the request has no size.
const PAGE_SIZE_DEFAULT: u32 = 50;
/// Tasks a page at most.
const PAGE_SIZE_MAX: u32 = 1_000;

/// The service.
pub(crate) struct SchedulerApi {
    instance: InstanceId,
    leader: LocalLeader,
    status: watch::Receiver<SchedulerStatus>,
}

impl SchedulerApi {
    /// Serves calls with the leader of this process, and the position of this scheduler in any role.
    pub fn new(instance: InstanceId, leader: LocalLeader, status: watch::Receiver<SchedulerStatus>) -> Self {
        Self {
            instance,
            leader,
            status,
        }
    }
}

type RpcResult<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl SchedulerService for SchedulerApi {
    type IntakeStream = intake::Responses;
    type WatchTaskStream = Pin<Box<dyn Stream<Item = Result<proto::WatchTaskResponse, Status>> + Send>>;

    async fn intake(&self, request: Request<Streaming<proto::IntakeRequest>>) -> RpcResult<Self::IntakeStream> {
        let leader = self.leader.get()?;
        // A gateway gives no name.
        let peer = request.extensions().get::<Peer>();
        let sender = peer.map_or_else(String::new, |Peer(address)| format!("gateway at {address}"));
        let (responses, reading) = intake::open(leader, sender, request.into_inner());
        self.leader.spawn(reading);
        Ok(Response::new(responses))
    }

    async fn list_tasks(&self, request: Request<proto::ListTasksRequest>) -> RpcResult<proto::ListTasksResponse> {
        Ok(Response::new(self.list(request.into_inner()).await?))
    }

    async fn count_tasks(&self, request: Request<proto::CountTasksRequest>) -> RpcResult<proto::CountTasksResponse> {
        Ok(Response::new(self.count(request.into_inner()).await?))
    }

    async fn paused_kinds(&self, request: Request<proto::PausedKindsRequest>) -> RpcResult<proto::PausedKindsResponse> {
        Ok(Response::new(self.paused(request.into_inner()).await?))
    }

    async fn watch_task(&self, request: Request<proto::WatchTaskRequest>) -> RpcResult<Self::WatchTaskStream> {
        let updates = self.watch(request.into_inner()).await?;
        let responses = futures::stream::unfold((updates, Next::First), next_state);
        Ok(Response::new(Box::pin(responses)))
    }

    async fn get_position(
        &self,
        _request: Request<proto::GetPositionRequest>,
    ) -> RpcResult<proto::GetPositionResponse> {
        Ok(Response::new(self.status.borrow().response(&self.instance)))
    }
}

impl SchedulerApi {
    async fn list(&self, request: proto::ListTasksRequest) -> Result<proto::ListTasksResponse, CallError> {
        let size = match request.page_size {
            0 => PAGE_SIZE_DEFAULT,
            size => size.min(PAGE_SIZE_MAX),
        };
        let count = usize::try_from(size).unwrap_or(usize::MAX);
        let search = search(request)?;
        let (reply, page) = oneshot::channel();
        let list = Message::Call(Call::List { search, count, reply });
        self.leader.get()?.send(list).await?;
        let TaskPage { tasks, more } = page.await.unwrap_or(Err(CallError::Resigned))?;
        let last = tasks.last().filter(|_| more);
        Ok(proto::ListTasksResponse {
            tasks: tasks.iter().map(|view| view.task.as_ref().into()).collect(),
            next_before_seq: last.map_or(0, |view| view.task.created_seq.0),
            pending_reasons: tasks.into_iter().map(|view| view.pending_reason).collect(),
        })
    }

    async fn count(&self, request: proto::CountTasksRequest) -> Result<proto::CountTasksResponse, CallError> {
        let filter = filter(request.tasks.unwrap_or_default())?;
        let (reply, counts) = oneshot::channel();
        let count = Message::Call(Call::Count { filter, reply });
        self.leader.get()?.send(count).await?;
        let counts = counts.await.unwrap_or(Err(CallError::Resigned))?;
        let of_state = |(state, count)| proto::StateCount {
            state: state_number(state),
            count,
        };
        Ok(proto::CountTasksResponse {
            counts: counts.into_iter().map(of_state).collect(),
        })
    }

    async fn paused(&self, request: proto::PausedKindsRequest) -> Result<proto::PausedKindsResponse, CallError> {
        let (reply, kinds) = oneshot::channel();
        let named = (!request.kind.is_empty()).then(|| Kind::new(request.kind));
        let call = Call::PausedKinds {
            tenant: Tenant::new(request.tenant),
            change: named.map(|kind| (kind, request.pause)),
            reply,
        };
        self.leader.get()?.send(Message::Call(call)).await?;
        let kinds = kinds.await.unwrap_or(Err(CallError::Resigned))?;
        Ok(proto::PausedKindsResponse {
            kinds: kinds.iter().map(ToString::to_string).collect(),
        })
    }

    async fn watch(&self, request: proto::WatchTaskRequest) -> Result<TaskUpdates, CallError> {
        let task = convert::task_id("task", &request.task)?;
        let tenant = Tenant::new(request.tenant);
        let (reply, opened) = oneshot::channel();
        let watch = Message::Call(Call::Watch { tenant, task, reply });
        self.leader.get()?.send(watch).await?;
        opened.await.unwrap_or(Err(CallError::Resigned))
    }
}

/// The search for a page.
fn search(request: proto::ListTasksRequest) -> Result<Search, ConvertError> {
    let (order, behind) = match request.oldest_first {
        true => (Order::OldestFirst, request.after_seq),
        false => (Order::NewestFirst, request.before_seq),
    };
    Ok(Search::new(
        filter(request)?,
        order,
        (behind > 0).then_some(Seq(behind)),
    ))
}

/// The selection of a request, in which what is empty selects all.
fn filter(request: proto::ListTasksRequest) -> Result<Filter, ConvertError> {
    let numbers = request
        .states
        .iter()
        .chain([&request.state].into_iter().filter(|number| **number > 0));
    let states: Vec<State> = numbers
        .map(|number| read_state("state", *number))
        .collect::<Result<_, _>>()?;
    let given = |text: String| (!text.is_empty()).then_some(text);
    Ok(Filter {
        tenant: Tenant::new(request.tenant),
        states: match states.is_empty() {
            true => StateSet::ALL,
            false => states.into_iter().collect(),
        },
        kind: given(request.kind).map(Kind::new),
        labels: request.labels.into_iter().collect(),
        reason: given(request.reason),
        worker: given(request.worker).map(InstanceId::new),
        request_id: given(request.request_id).map(RequestId::new),
        created_from: request.created_from_micros.map(Timestamp::from_micros),
        created_before: request.created_before_micros.map(Timestamp::from_micros),
    })
}

/// The response of a watch that is due next.
enum Next {
    First,
    Change,
    Nothing,
}

/// Sends the present state, then each change, until the end; a leader that goes ends the stream with an error.
async fn next_state(
    (mut updates, next): (TaskUpdates, Next),
) -> Option<(Result<proto::WatchTaskResponse, Status>, (TaskUpdates, Next))> {
    match next {
        Next::Nothing => return None,
        Next::Change if updates.changed().await.is_err() => {
            return Some((Err(CallError::Resigned.into()), (updates, Next::Nothing)));
        }
        Next::First | Next::Change => {}
    }
    let TaskView {
        task,
        progress,
        pending_reason,
    } = updates.borrow_and_update().clone();
    let next = if task.state.is_final() {
        Next::Nothing
    } else {
        Next::Change
    };
    let response = proto::WatchTaskResponse {
        task: Some(task.as_ref().into()),
        progress: progress.as_deref().cloned(),
        pending_reason,
    };
    Some((Ok(response), (updates, next)))
}
