//! Worker sessions: the gRPC service and the stream of each session.
//!
//! Promises: a stream begins with `hello`; when it ends, however it ends, the leader is notified. Leaves every decision
//! to the leader's task.

use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use lepton_proto::journal::v1::Mark;
use lepton_proto::worker::v1 as proto;
use lepton_proto::worker::v1::open_session_request::Message as In;
use lepton_proto::worker::v1::session_service_server::SessionService;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::error::CallError;
use crate::leader_handle::{LeaderHandle, LocalLeader};
use crate::message::{Message, PeerMark, SessionEvent, SessionHello, SessionNumber};

mod wire;

/// Messages to a worker that may wait beyond those for its slots. A slot is free before its report is settled, and the
/// settlements of a whole batch, or of two, are sent at once: with less room a busy worker would lose its session.
const COMMANDS_SPARE: usize = 4_096;
/// Time within which a stream must begin with `hello`.
const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// The gRPC service; it serves while this scheduler leads.
pub(crate) struct SessionApi {
    leader: LocalLeader,
}

impl SessionApi {
    /// Serves sessions with the leader of this process.
    pub fn new(leader: LocalLeader) -> Self {
        Self { leader }
    }
}

#[tonic::async_trait]
impl SessionService for SessionApi {
    type OpenSessionStream = Pin<Box<dyn Stream<Item = Result<proto::OpenSessionResponse, Status>> + Send>>;

    async fn open_session(
        &self,
        request: Request<Streaming<proto::OpenSessionRequest>>,
    ) -> Result<Response<Self::OpenSessionStream>, Status> {
        let leader = self.leader.get()?;
        let mut requests = request.into_inner();
        let (hello, mark) = greet(&mut requests).await?;
        let capacity = usize::try_from(hello.slots).unwrap_or(0) * 2 + hello.running.len() + COMMANDS_SPARE;
        let (commands, outgoing) = mpsc::channel(capacity);
        let number = self.leader.session_number();
        if let Some(mark) = mark {
            let sender = hello.worker.to_string();
            leader.send(Message::PeerMark(PeerMark { sender, mark })).await?;
        }
        let event = SessionEvent::Opened { hello, commands };
        leader.send(Message::Session { number, event }).await?;
        self.leader.spawn(forward(leader, number, requests));
        let responses = ReceiverStream::new(outgoing).map(|command| Ok(command.into()));
        Ok(Response::new(Box::pin(responses)))
    }
}

/// Waits for the first message.
async fn greet(requests: &mut Streaming<proto::OpenSessionRequest>) -> Result<(SessionHello, Option<Mark>), CallError> {
    let first = tokio::time::timeout(HELLO_WITHIN, requests.message()).await;
    match first {
        Ok(Ok(Some(proto::OpenSessionRequest {
            message: Some(In::Hello(hello)),
        }))) => wire::read_hello(hello),
        _ => Err(CallError::HelloMissing),
    }
}

/// Forwards a worker's messages until its stream ends or breaks a rule.
async fn forward(leader: LeaderHandle, number: SessionNumber, mut requests: Streaming<proto::OpenSessionRequest>) {
    while let Ok(Some(proto::OpenSessionRequest { message: Some(message) })) = requests.message().await {
        let event = match wire::read_event(message) {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(session = number, %error, "a worker sent what cannot be read; its session ends");
                break;
            }
        };
        if leader.send(Message::Session { number, event }).await.is_err() {
            return;
        }
    }
    let event = SessionEvent::Closed;
    // A leader that has gone knows of no session.
    let _gone = leader.send(Message::Session { number, event }).await;
}
