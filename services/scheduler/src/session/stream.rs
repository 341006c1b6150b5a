//! The stream of a worker's session: wire messages in, wire messages out.
//!
//! Promises: a stream begins with `hello`; when it ends, however it ends, the leader hears. Leaves every decision to
//! the leader's task.

use std::time::Duration;

use futures::Stream;
use lepton_core::error::status;
use lepton_domain::ids::{AttemptId, InstanceId, Kind};
use lepton_domain::reason::{Fault, Reason};
use lepton_domain::task::{Task, TaskError};
use lepton_domain::time::Timestamp;
use lepton_proto::journal::v1 as journal;
use lepton_proto::journal::v1::Mark;
use lepton_proto::worker::v1 as wire;
use lepton_proto::worker::v1::open_session_request::Message as In;
use lepton_proto::worker::v1::open_session_response::Message as Out;
use lepton_proto::worker::v1::session_service_server::SessionService;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::leader::headway::bounded;
use crate::leader::message::{Hello, Message, Outcome, SessionNumber};
use crate::office::{LeaderHandle, Office};

/// What the leader says to a worker.
pub(crate) type Outgoing = wire::OpenSessionResponse;

/// Messages to a worker that may wait beyond those for its slots. A slot is free before its report is settled, and the
/// settlements of a whole batch, or of two, are said at once: with less room a busy worker would lose its session.
const OUTGOING_SPARE: usize = 4_096;
/// Slots that a worker may declare.
const SLOTS_MAX: u32 = 4_096;
/// Bytes of a name in `hello`, and how many of each sort there may be.
const NAME_BYTES_MAX: usize = 256;
const NAMES_MAX: usize = 256;
/// How long a stream may take to say `hello`.
const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// The session is open.
pub(crate) fn welcome(epoch: lepton_domain::ids::Epoch, mark: Mark) -> Outgoing {
    outgoing(Out::Welcome(wire::Welcome {
        epoch: epoch.0,
        mark: Some(mark),
    }))
}

/// The leader is alive.
pub(crate) fn heartbeat(mark: Mark) -> Outgoing {
    outgoing(Out::Heartbeat(wire::LeaderHeartbeat { mark: Some(mark) }))
}

/// Stop an attempt.
pub(crate) fn stop(attempt: AttemptId) -> Outgoing {
    outgoing(Out::Stop(wire::Stop {
        attempt: Some(attempt.into()),
    }))
}

/// A report was taken.
pub(crate) fn settled(attempt: AttemptId, refused: Option<Fault>) -> Outgoing {
    let reason = refused.map(|fault| fault.reason.as_str().to_owned());
    outgoing(Out::Settled(wire::Settled {
        attempt: Some(attempt.into()),
        accepted: reason.is_none(),
        reason: reason.unwrap_or_default(),
    }))
}

/// Run an attempt.
pub(crate) fn assign(task: &Task, attempt: AttemptId, now: Timestamp) -> Outgoing {
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    outgoing(Out::Assign(wire::Assign {
        attempt: Some(attempt.into()),
        kind: task.spec.kind.to_string(),
        input: Some((&task.spec.input).into()),
        timeout_us: task.spec.timeout.map_or(0, micros),
        traceparent: task.traceparent.as_deref().unwrap_or_default().to_owned(),
        tenant: task.tenant.to_string(),
        // A deadline that is due right now must not read as none.
        deadline_in_us: task.spec.deadline.map_or(0, |at| micros(at.since(now)).max(1)),
    }))
}

fn outgoing(message: Out) -> Outgoing {
    Outgoing { message: Some(message) }
}

/// The gRPC service; it serves while this scheduler leads.
pub(crate) struct Sessions {
    office: Office,
}

impl Sessions {
    /// Sessions with whoever leads here.
    pub fn new(office: Office) -> Self {
        Self { office }
    }
}

#[tonic::async_trait]
impl SessionService for Sessions {
    type OpenSessionStream = std::pin::Pin<Box<dyn Stream<Item = Result<Outgoing, Status>> + Send>>;

    async fn open_session(
        &self,
        request: Request<Streaming<wire::OpenSessionRequest>>,
    ) -> Result<Response<Self::OpenSessionStream>, Status> {
        let leader = self.office.leader().map_err(|fault| status(&fault))?;
        let mut incoming = request.into_inner();
        let (hello, mark) = greet(&mut incoming).await.map_err(|fault| status(&fault))?;
        let capacity = usize::try_from(hello.slots).unwrap_or(0) * 2 + hello.running.len() + OUTGOING_SPARE;
        let (sender, receiver) = mpsc::channel(capacity);
        let number = self.office.number();
        if let Some(mark) = mark {
            leader
                .send(Message::Marked(mark))
                .await
                .map_err(|fault| status(&fault))?;
        }
        let opened = Message::Opened {
            number,
            hello,
            outgoing: sender,
        };
        leader.send(opened).await.map_err(|fault| status(&fault))?;
        self.office.spawn(listen(leader, number, incoming));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver).map(Ok))))
    }
}

async fn greet(incoming: &mut Streaming<wire::OpenSessionRequest>) -> Result<(Hello, Option<Mark>), Fault> {
    let first = tokio::time::timeout(HELLO_WITHIN, incoming.message()).await;
    let Ok(Ok(Some(wire::OpenSessionRequest {
        message: Some(In::Hello(hello)),
    }))) = first
    else {
        return Err(Fault::new(Reason::FieldInvalid, "a session begins with `hello`"));
    };
    if hello.slots == 0 || hello.slots > SLOTS_MAX {
        return Err(Fault::field(
            "slots",
            format!("{} slots, 1 to {SLOTS_MAX} are taken", hello.slots),
        ));
    }
    check_names(&hello)?;
    let (running, ended) = (attempts(&hello.running)?, attempts(&hello.ended)?);
    let mark = hello.mark;
    let hello = Hello {
        worker: InstanceId::new(hello.worker),
        slots: hello.slots,
        kinds: hello.kinds.into_iter().map(Kind::new).collect(),
        labels: hello.labels,
        running,
        ended,
    };
    Ok((hello, mark))
}

/// Names go into the journal with every attempt, and all of them are compared with every task.
fn check_names(hello: &wire::Hello) -> Result<(), Fault> {
    let fits = |name: &String| name.len() <= NAME_BYTES_MAX;
    let checks = [
        ("worker", !hello.worker.is_empty() && fits(&hello.worker)),
        ("kinds", hello.kinds.len() <= NAMES_MAX && hello.kinds.iter().all(fits)),
        (
            "labels",
            hello.labels.len() <= NAMES_MAX && hello.labels.iter().all(|(name, value)| fits(name) && fits(value)),
        ),
    ];
    match checks.iter().find(|(_, fits)| !fits) {
        Some((field, _)) => Err(Fault::field(
            *field,
            format!("at most {NAMES_MAX} names of at most {NAME_BYTES_MAX} bytes each, and a worker has one"),
        )),
        None => Ok(()),
    }
}

fn attempts(named: &[journal::Attempt]) -> Result<Vec<AttemptId>, Fault> {
    let read = named.iter().map(AttemptId::try_from);
    Ok(read.collect::<Result<_, _>>()?)
}

/// Passes a worker's messages on until its stream ends or breaks a rule.
async fn listen(leader: LeaderHandle, number: SessionNumber, mut incoming: Streaming<wire::OpenSessionRequest>) {
    while let Ok(Some(request)) = incoming.message().await {
        let message = match request.message.map(|message| read(number, message)) {
            Some(Ok(message)) => message,
            Some(Err(fault)) => {
                tracing::warn!(session = number, error = %fault, "a worker sent what cannot be read; its session ends");
                break;
            }
            None => break,
        };
        if leader.send(message).await.is_err() {
            return;
        }
    }
    // A leader that has gone needs no farewell.
    let _gone = leader.send(Message::Closed { number }).await;
}

fn read(number: SessionNumber, message: In) -> Result<Message, Fault> {
    Ok(match message {
        In::Hello(_) => return Err(Fault::new(Reason::FieldInvalid, "`hello` is said once, first")),
        In::Heartbeat(_) => Message::Heard { number },
        In::Progress(said) => read_progress(number, said)?,
        In::Draining(_) => Message::Draining { number },
        In::Report(report) => read_report(number, report)?,
    })
}

/// What cannot be shown is a sign of life, at least.
fn read_progress(number: SessionNumber, said: wire::AttemptProgress) -> Result<Message, Fault> {
    let attempt = said.attempt.ok_or_else(|| Fault::field("attempt", "missing"))?;
    let attempt = AttemptId::try_from(&attempt)?;
    let progress = said.progress.filter(|progress| progress.attempt == attempt.number);
    Ok(match progress.and_then(bounded) {
        Some(progress) => Message::Advanced {
            number,
            attempt,
            progress,
        },
        None => Message::Heard { number },
    })
}

fn read_report(number: SessionNumber, report: wire::Report) -> Result<Message, Fault> {
    let attempt = report.attempt.ok_or_else(|| Fault::field("attempt", "missing"))?;
    let attempt = AttemptId::try_from(&attempt)?;
    let outcome = match report.outcome {
        Some(wire::report::Outcome::Output(output)) => Outcome::Output(output.try_into()?),
        Some(wire::report::Outcome::Failure(failure)) => Outcome::Failure {
            error: read_failure(failure)?,
            retryable: report.retryable,
        },
        None => return Err(Fault::field("outcome", "missing")),
    };
    Ok(Message::Reported {
        number,
        attempt,
        outcome,
    })
}

fn read_failure(failure: journal::Failure) -> Result<TaskError, Fault> {
    Ok(TaskError::try_from(failure)?.shortened())
}
