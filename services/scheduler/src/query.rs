//! The gRPC service of the scheduler: commands and reads, handed to the leader's task.
//!
//! Leaves deciding to the leader and the stream of commands to `intake`.

use std::pin::Pin;

use futures::Stream;
use lepton_core::error::status;
use lepton_domain::ids::{InstanceId, Kind, Seq, Tenant};
use lepton_domain::reason::Fault;
use lepton_proto::convert;
use lepton_proto::convert::snapshot::read_state;
use lepton_proto::scheduler::v1 as wire;
use lepton_proto::scheduler::v1::scheduler_service_server::SchedulerService;
use tokio::sync::{oneshot, watch};
use tonic::{Request, Response, Status, Streaming};

use crate::intake;
use crate::leader::message::{Filter, Message, Seen, Watched};
use crate::office::{Office, resigned};
use crate::progress::Progress;

/// Tasks a page when the caller does not say.
const PAGE_SIZE_DEFAULT: u32 = 50;
/// Tasks a page at most.
const PAGE_SIZE_MAX: u32 = 1_000;

/// The service.
pub(crate) struct Queries {
    instance: InstanceId,
    office: Office,
    progress: watch::Receiver<Progress>,
}

impl Queries {
    /// Answers from whoever leads here, and about this scheduler's own position.
    pub fn new(instance: InstanceId, office: Office, progress: watch::Receiver<Progress>) -> Self {
        Self {
            instance,
            office,
            progress,
        }
    }
}

type Answered<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl SchedulerService for Queries {
    type IntakeStream = intake::Responses;
    type WatchTaskStream = Pin<Box<dyn Stream<Item = Result<wire::WatchTaskResponse, Status>> + Send>>;

    async fn intake(&self, request: Request<Streaming<wire::IntakeRequest>>) -> Answered<Self::IntakeStream> {
        let leader = self.office.leader().map_err(|fault| status(&fault))?;
        let (responses, reading) = intake::open(leader, request.into_inner());
        self.office.spawn(reading);
        Ok(Response::new(responses))
    }

    async fn list_tasks(&self, request: Request<wire::ListTasksRequest>) -> Answered<wire::ListTasksResponse> {
        let page = self.list(request.into_inner()).await.map_err(|fault| status(&fault))?;
        Ok(Response::new(page))
    }

    async fn watch_task(&self, request: Request<wire::WatchTaskRequest>) -> Answered<Self::WatchTaskStream> {
        let states = self.watch(request.into_inner()).await.map_err(|fault| status(&fault))?;
        Ok(Response::new(Box::pin(states)))
    }

    async fn get_position(&self, _request: Request<wire::GetPositionRequest>) -> Answered<wire::GetPositionResponse> {
        Ok(Response::new(self.progress.borrow().response(&self.instance)))
    }
}

impl Queries {
    async fn list(&self, request: wire::ListTasksRequest) -> Result<wire::ListTasksResponse, Fault> {
        let size = if request.page_size == 0 {
            PAGE_SIZE_DEFAULT
        } else {
            request.page_size.min(PAGE_SIZE_MAX)
        };
        let state = match request.state {
            0 => None,
            number => Some(read_state("state", number)?),
        };
        let filter = Filter {
            tenant: Tenant::new(request.tenant),
            before: (request.before_seq > 0).then_some(Seq(request.before_seq)),
            count: usize::try_from(size).unwrap_or(usize::MAX),
            state,
            kind: (!request.kind.is_empty()).then(|| Kind::new(request.kind)),
        };
        let (answer, page) = oneshot::channel();
        self.office.leader()?.send(Message::List { filter, answer }).await?;
        let page = page.await.unwrap_or_else(|_gone| Err(resigned()))?;
        Ok(wire::ListTasksResponse {
            tasks: page.tasks.iter().map(|task| task.as_ref().into()).collect(),
            next_before_seq: page.next.map_or(0, |seq| seq.0),
        })
    }

    async fn watch(
        &self,
        request: wire::WatchTaskRequest,
    ) -> Result<impl Stream<Item = Result<wire::WatchTaskResponse, Status>> + Send + use<>, Fault> {
        let task = convert::task_id("task", &request.task)?;
        let (answer, opened) = oneshot::channel();
        let watch = Message::Watch {
            tenant: Tenant::new(request.tenant),
            task,
            answer,
        };
        self.office.leader()?.send(watch).await?;
        let states = opened.await.unwrap_or_else(|_gone| Err(resigned()))?;
        Ok(futures::stream::unfold((states, Next::First), next_state))
    }
}

/// What a watch has still to send.
enum Next {
    First,
    Change,
    Nothing,
}

/// Sends the present state, then each change, until the end; a leader that goes ends the stream with an error.
async fn next_state(
    (mut states, next): (Watched, Next),
) -> Option<(Result<wire::WatchTaskResponse, Status>, (Watched, Next))> {
    match next {
        Next::Nothing => return None,
        Next::Change if states.changed().await.is_err() => {
            return Some((Err(status(&resigned())), (states, Next::Nothing)));
        }
        Next::First | Next::Change => {}
    }
    let Seen { task, progress } = states.borrow_and_update().clone();
    let next = if task.state.is_final() {
        Next::Nothing
    } else {
        Next::Change
    };
    Some((
        Ok(wire::WatchTaskResponse {
            task: Some(task.as_ref().into()),
            progress: progress.as_deref().cloned(),
        }),
        (states, next),
    ))
}
