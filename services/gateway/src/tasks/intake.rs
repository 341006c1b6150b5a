//! The one stream of commands and reads to the scheduler's leader.
//!
//! Promises: a request is sent again to the next leader until it is answered or its caller has gone, always with the
//! same ids, so that repeating is safe; answers reach their callers whatever order they come in. Leaves deadlines and
//! what a missing answer means to [`super::Tasks`].

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use lepton_domain::ids::Epoch;
use lepton_domain::reason::{ApiError, Reason};
use lepton_journal::high_water_mark;
use lepton_mesh::channel::leader::{LeaderChannel, LeaderLink};
use lepton_proto::journal::v1::{Mark, TaskRecord};
use lepton_proto::scheduler::v1::intake_request::Request;
use lepton_proto::scheduler::v1::intake_response::Outcome;
use lepton_proto::scheduler::v1::{GetPositionRequest, IntakeRequest, IntakeResponse};
use lepton_proto::task::v1::Progress;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::dispatch_state::DispatchState;
use super::error::CallError;
use super::leader::{Client, client, is_elsewhere};

/// Requests that may wait for the actor.
const ASKS_MAX: usize = 4_096;
/// Requests on their way to one leader; more wait here.
const OUTBOUND_MAX: usize = 1_024;
/// Requests without an answer. Beyond, callers wait in the queue in front of the actor.
const PENDING_MAX: usize = 65_536;
/// Longest wait for a leader to open the stream or to report its position: as long as its lease, so that a busy one is
/// not taken for a dead one.
const ANSWER_WAIT: Duration = Duration::from_secs(3);
/// Pause before the next try after a refusal.
const PAUSE: Duration = Duration::from_millis(50);
/// Interval of the requests for the leader's position.
const POSITION_EVERY: Duration = Duration::from_secs(1);

/// A task's record, with what only the leader knows of it.
#[derive(Debug)]
pub struct Answer {
    /// The record.
    pub record: TaskRecord,
    /// Progress of its running attempt.
    pub progress: Option<Progress>,
    /// Reason for which it waits; empty unless it is pending.
    pub pending_reason: String,
}

/// Sends requests to the actor.
#[derive(Debug, Clone)]
pub struct Handle {
    asks: mpsc::Sender<Ask>,
    link: watch::Receiver<bool>,
}

/// A request and its reply.
#[derive(Debug)]
struct Ask {
    request: Request,
    reply: oneshot::Sender<Result<Answer, ApiError>>,
    dispatch: DispatchState,
}

impl Handle {
    /// Sends a request and waits for its answer, however long that takes. `dispatch` shares with the caller whether it left.
    pub async fn ask(&self, request: Request, dispatch: DispatchState) -> Result<Answer, ApiError> {
        let (reply, answer) = oneshot::channel();
        let sent = self
            .asks
            .send(Ask {
                request,
                reply,
                dispatch,
            })
            .await;
        sent.map_err(|_| CallError::Stopped)?;
        answer.await.map_err(|_| CallError::Stopped)?
    }

    /// True while a leader answers.
    pub fn link(&self) -> watch::Receiver<bool> {
        self.link.clone()
    }
}

/// Makes the handle and the actor, which the caller runs.
pub fn new(leader: LeaderChannel) -> (Handle, impl Future<Output = ()> + Send) {
    let (asks, inbox) = mpsc::channel(ASKS_MAX);
    let (up, link) = watch::channel(false);
    let intake = Intake {
        leader,
        inbox,
        up,
        pending: BTreeMap::new(),
        next: 1,
        mark: Mark::default(),
    };
    (Handle { asks, link }, intake.run())
}

/// The actor.
struct Intake {
    leader: LeaderChannel,
    inbox: mpsc::Receiver<Ask>,
    up: watch::Sender<bool>,
    /// Unanswered requests by number.
    pending: BTreeMap<u64, Ask>,
    next: u64,
    /// High-water mark of the journal as this gateway has seen it.
    mark: Mark,
}

/// An open stream.
struct Link {
    epoch: Epoch,
    client: Client,
    outbound: mpsc::Sender<IntakeRequest>,
    inbound: Streaming<IntakeResponse>,
}

/// Why a conversation ended.
enum End {
    /// Nobody will ask any more.
    Closed,
    /// The stream is of no more use.
    Broken,
}

impl Intake {
    async fn run(mut self) {
        loop {
            let link = self.connect().await;
            let end = self.converse(link).await;
            self.up.send_replace(false);
            if let End::Closed = end {
                return;
            }
            self.pending.retain(|_, ask| !ask.reply.is_closed());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until a leader takes the stream.
    async fn connect(&self) -> Link {
        loop {
            let changed = self.leader.changed();
            match self.leader.current() {
                None => changed.await,
                Some(link) => tokio::select! {
                    opened = open(link) => match opened {
                        Ok(link) => return link,
                        Err(error) => {
                            tracing::debug!(%error, "the leader does not take the stream");
                            tokio::time::sleep(PAUSE).await;
                        }
                    },
                    // A frozen leader would be waited for, while another one leads already.
                    () = changed => {}
                },
            }
        }
    }

    async fn converse(&mut self, mut link: Link) -> End {
        let mut queue: VecDeque<u64> = self.pending.keys().copied().collect();
        let mut first = true;
        let mut position = pin!(position(link.client.clone(), Duration::ZERO));
        let mut changed = pin!(self.leader.changed());
        if self.leader.current().is_none_or(|now| now.epoch != link.epoch) {
            return End::Broken;
        }
        loop {
            tokio::select! {
                answer = link.inbound.message() => match answer {
                    Ok(Some(answer)) => if let Err(End::Broken) = self.settle(answer) { return End::Broken },
                    Ok(None) | Err(_) => return End::Broken,
                },
                permit = link.outbound.reserve(), if !queue.is_empty() => {
                    let (Ok(permit), Some(number)) = (permit, queue.pop_front()) else { return End::Broken };
                    if let Some(request) = self.request(number, std::mem::take(&mut first)) {
                        permit.send(request);
                    }
                }
                ask = self.inbox.recv(), if self.pending.len() < PENDING_MAX => match ask {
                    Some(ask) => queue.push_back(self.accept(ask)),
                    None => return End::Closed,
                },
                seen = &mut position => {
                    let Some(seen) = seen else { return End::Broken };
                    high_water_mark::keep_further(&mut self.mark, &seen);
                    self.up.send_replace(true);
                    position.set(self::position(link.client.clone(), POSITION_EVERY));
                }
                () = &mut changed => return End::Broken,
            }
        }
    }

    fn accept(&mut self, ask: Ask) -> u64 {
        let number = self.next;
        self.next += 1;
        self.pending.insert(number, ask);
        number
    }

    /// The message of a request, unless its caller has gone.
    fn request(&mut self, number: u64, first: bool) -> Option<IntakeRequest> {
        let ask = self.pending.get(&number)?;
        if ask.reply.is_closed() || !ask.dispatch.dispatch() {
            self.pending.remove(&number);
            return None;
        }
        // Once a stream is enough: the leader compares it when it takes over, and it only grows.
        let mark = first.then(|| self.mark.clone());
        Some(IntakeRequest {
            number,
            mark,
            request: Some(ask.request.clone()),
        })
    }

    /// Gives an answer to its caller. A leader that does not lead any more gives no answer at all.
    fn settle(&mut self, answer: IntakeResponse) -> Result<(), End> {
        let outcome = match answer.outcome {
            Some(Outcome::Task(task)) => Ok(Answer {
                record: *task,
                progress: answer.progress,
                pending_reason: answer.pending_reason,
            }),
            Some(Outcome::Refusal(refusal)) => Err(ApiError::from(refusal)),
            None => Err(CallError::Unreadable("it is of an unknown kind".to_owned()).into()),
        };
        if let Err(error) = &outcome
            && is_elsewhere(error.reason)
        {
            return Err(End::Broken);
        }
        if let Some(ask) = self.pending.remove(&answer.number) {
            // The caller may have gone in the meantime.
            let _ = ask.reply.send(outcome);
        }
        Ok(())
    }
}

async fn open(link: LeaderLink) -> Result<Link, ApiError> {
    let mut client = client(&link);
    let (outbound, requests) = mpsc::channel(OUTBOUND_MAX);
    let opened = tokio::time::timeout(ANSWER_WAIT, client.intake(ReceiverStream::new(requests))).await;
    match opened {
        Ok(Ok(response)) => Ok(Link {
            epoch: link.epoch,
            client,
            outbound,
            inbound: response.into_inner(),
        }),
        Ok(Err(status)) => Err(lepton_core::error::from_status(&status)),
        Err(_) => Err(ApiError::new(
            Reason::LeaderUnavailable,
            format!("{} does not answer", link.instance),
        )),
    }
}

/// Position of the leader, requested after a pause; `None` when it does not answer, as one that is frozen.
async fn position(mut client: Client, pause: Duration) -> Option<Mark> {
    tokio::time::sleep(pause).await;
    let asked = tokio::time::timeout(ANSWER_WAIT, client.get_position(GetPositionRequest {})).await;
    let position = asked.ok()?.ok()?.into_inner();
    Some(position.mark.unwrap_or_default()).filter(|_| position.leader)
}
