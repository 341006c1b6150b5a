//! The worker's session with the leader: found, opened, kept and opened again, with whoever leads.
//!
//! Promises: a leader of a lower epoch is refused; a leader that is silent for 5 s is left; attempts go on without a
//! leader and are declared to the next. Leaves the attempts to [`attempts`](crate::attempts).

use std::collections::BTreeMap;
use std::time::Duration;

use lepton_core::backoff::Backoff;
use lepton_core::context::Context;
use lepton_core::error::from_status;
use lepton_core::shutdown::Shutdown;
use lepton_domain::ids::InstanceId;
use lepton_domain::reason::ApiError;
use lepton_mesh::channel::leader::{LeaderChannel, LeaderLink};
use lepton_mesh::server::health::Readiness;
use lepton_proto::convert::ConvertError;
use lepton_proto::convert::worker_session::{self, LeaderMessage};
use lepton_proto::worker::v1 as wire;
use lepton_proto::worker::v1::session_service_client::SessionServiceClient;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use self::epoch_guard::{EpochGuard, StaleEpoch};
use crate::attempts::{AttemptsGone, AttemptsHandle, PROGRESS_WAITING_MAX, ReportSink};
use crate::stats::Stats;

mod epoch_guard;
#[cfg(test)]
mod tests;

/// Interval of heartbeats to the leader.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Silence after which the leader counts as gone. It sends a message every 0.5 s.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Messages to the leader that may wait beyond the reports of all that is held.
const OUTGOING_SPARE: usize = 64;
/// Longest first pause before another try at a session. Jittered, so that a fleet that lost its leader does not come back
/// as one.
const RECONNECT_MIN: Duration = Duration::from_millis(50);
/// Longest pause after many failures in a row.
const RECONNECT_MAX: Duration = Duration::from_secs(2);

/// Identity of the worker, as it declares it to leaders.
#[derive(Debug, Clone)]
pub(crate) struct WorkerIdentity {
    /// Id of the instance.
    pub(crate) instance: InstanceId,
    /// Attempts that it runs at once.
    pub(crate) slots: u32,
    /// Kinds that it runs.
    pub(crate) kinds: Vec<String>,
    /// Labels that tasks' requirements are compared with.
    pub(crate) labels: BTreeMap<String, String>,
}

/// Keeps a session with the leader open, on behalf of [`Attempts`](crate::attempts::Attempts).
pub(crate) struct Session {
    /// Identity of the worker.
    pub(crate) identity: WorkerIdentity,
    /// Channel to the leader.
    pub(crate) leader: LeaderChannel,
    /// The attempts.
    pub(crate) attempts: AttemptsHandle,
    /// Load, for heartbeats.
    pub(crate) stats: Stats,
    /// Set once a first leader has welcomed the worker, which [`EpochGuard`] admitted.
    pub(crate) readiness: Readiness,
    /// Triggered when nothing new is taken.
    pub(crate) draining: Shutdown,
}

/// The end of a [`Session`] with one leader.
#[derive(Debug, thiserror::Error)]
enum SessionEnd {
    #[error("{0}")]
    Api(ApiError),
    #[error("the leader sent a message that cannot be read: {0}")]
    Unreadable(#[from] ConvertError),
    #[error("the leader closed the session")]
    Closed,
    #[error("the leader was silent for {SILENCE_MAX:?}")]
    Silent,
    #[error("another leads")]
    Replaced,
    #[error("the leader did not welcome the worker")]
    Unwelcome,
    #[error(transparent)]
    Stale(#[from] StaleEpoch),
    #[error("the session took no more reports")]
    Congested,
    #[error(transparent)]
    Gone(#[from] AttemptsGone),
}

impl Session {
    /// Works until the attempts' owner is gone.
    pub(crate) async fn run(self, context: Context) {
        let mut guard = EpochGuard::default();
        let mut backoff = Backoff::new(RECONNECT_MIN, RECONNECT_MAX);
        loop {
            let changed = self.leader.changed();
            let Some(link) = self.leader.current() else {
                changed.await;
                continue;
            };
            let ended = self.hold(&link, &mut guard, &mut backoff).await;
            if let SessionEnd::Gone(_) = ended {
                return;
            }
            let (leader, epoch) = (&link.instance, link.epoch.0);
            tracing::debug!(%leader, epoch, %ended, "the session ended; opening another");
            tokio::select! {
                // A new leader has no part in the failures of the one before.
                () = changed => backoff.reset(),
                () = tokio::time::sleep(backoff.jittered_delay(&context.random)) => {}
            }
        }
    }

    /// Opens a session with one leader and keeps it while it lasts.
    async fn hold(&self, link: &LeaderLink, guard: &mut EpochGuard, backoff: &mut Backoff) -> SessionEnd {
        let changed = self.leader.changed();
        let held = async {
            match self.open(link, guard).await {
                Ok((incoming, sink)) => {
                    backoff.reset();
                    tracing::info!(leader = %link.instance, epoch = link.epoch.0, "session open");
                    self.converse(incoming, sink, guard).await
                }
                Err(ended) => ended,
            }
        };
        tokio::select! {
            ended = held => ended,
            () = changed => SessionEnd::Replaced,
        }
    }

    /// Sends the hello and waits for the welcome.
    async fn open(&self, link: &LeaderLink, guard: &mut EpochGuard) -> Result<(Incoming, ReportSink), SessionEnd> {
        let held = self.attempts.declare().await?;
        // Room for every report at once: the attempts never wait for the leader.
        let capacity = self.attempts.held_max() + PROGRESS_WAITING_MAX + OUTGOING_SPARE;
        let (sender, outgoing) = mpsc::channel(capacity);
        let hello = worker_session::hello(self.identity.hello(), held, guard.mark());
        sender.try_send(hello).map_err(|_| SessionEnd::Closed)?;
        let mut client = SessionServiceClient::new(link.channel.clone());
        let opened = timeout(SILENCE_MAX, client.open_session(ReceiverStream::new(outgoing))).await;
        let response = opened
            .map_err(|_| SessionEnd::Silent)?
            .map_err(|status| SessionEnd::Api(from_status(&status)))?;
        let mut incoming = response.into_inner();
        match next(&mut incoming).await? {
            LeaderMessage::Welcome(welcome) => guard.admit(&welcome)?,
            _ => return Err(SessionEnd::Unwelcome),
        }
        let sink = ReportSink {
            sender,
            broken: CancellationToken::new(),
        };
        self.attempts.connect(sink.clone()).await?;
        self.readiness.set(!self.draining.is_triggered());
        Ok((incoming, sink))
    }

    /// Exchanges messages until something breaks.
    async fn converse(&self, mut incoming: Incoming, sink: ReportSink, guard: &mut EpochGuard) -> SessionEnd {
        let mut heartbeats = interval(HEARTBEAT);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut announced_drain = false;
        loop {
            // Reading is one future across turns: a heartbeat must not start the leader's silence anew.
            let message = next(&mut incoming);
            tokio::pin!(message);
            let message = loop {
                let outgoing = tokio::select! {
                    message = &mut message => break message,
                    _ = heartbeats.tick() => worker_session::heartbeat(self.stats.load().in_flight),
                    () = self.draining.triggered(), if !announced_drain => {
                        announced_drain = true;
                        worker_session::draining()
                    }
                    () = sink.broken.cancelled() => return SessionEnd::Congested,
                };
                if sink.sender.try_send(outgoing).is_err() {
                    return SessionEnd::Congested;
                }
            };
            let handled = match message {
                Ok(message) => self.handle(message, guard).await,
                Err(ended) => return ended,
            };
            if let Err(ended) = handled {
                return ended;
            }
        }
    }

    async fn handle(&self, message: LeaderMessage, guard: &mut EpochGuard) -> Result<(), SessionEnd> {
        match message {
            LeaderMessage::Assign(assignment) => self.attempts.assign(assignment).await?,
            LeaderMessage::Stop(attempt) => self.attempts.stop(attempt).await?,
            LeaderMessage::Settled(attempt) => self.attempts.settle(attempt).await?,
            LeaderMessage::Mark(mark) => guard.advance(&mark),
            // A second welcome makes no sense.
            LeaderMessage::Welcome(_) => return Err(SessionEnd::Unwelcome),
        }
        Ok(())
    }
}

impl WorkerIdentity {
    /// The hello, without attempts and mark.
    fn hello(&self) -> wire::Hello {
        wire::Hello {
            worker: self.instance.to_string(),
            slots: self.slots,
            kinds: self.kinds.clone(),
            labels: self.labels.clone(),
            ..wire::Hello::default()
        }
    }
}

type Incoming = Streaming<wire::OpenSessionResponse>;

/// Receives the next message, within the time that a leader may be silent.
async fn next(incoming: &mut Incoming) -> Result<LeaderMessage, SessionEnd> {
    let received = timeout(SILENCE_MAX, incoming.message())
        .await
        .map_err(|_| SessionEnd::Silent)?;
    let response = received
        .map_err(|status| SessionEnd::Api(from_status(&status)))?
        .ok_or(SessionEnd::Closed)?;
    let message = response.message.ok_or(SessionEnd::Unwelcome)?;
    Ok(message.try_into()?)
}
