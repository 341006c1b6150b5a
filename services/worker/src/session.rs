//! The worker's session with the leader: found, opened, kept and opened again, with whoever leads.
//!
//! Promises: a leader of a lower epoch is refused; a leader that says nothing for 5 s is left; what runs goes on
//! without a leader and is declared to the next. Leaves the attempts to `slots`.

use std::time::Duration;

use lepton_core::context::Context;
use lepton_core::error::fault;
use lepton_core::shutdown::Shutdown;
use lepton_domain::ids::InstanceId;
use lepton_domain::reason::Fault;
use lepton_mesh::channel::leader::{LeaderChannel, LeaderLink};
use lepton_mesh::server::health::Readiness;
use lepton_proto::worker::v1 as wire;
use lepton_proto::worker::v1::open_session_response::Message as In;
use lepton_proto::worker::v1::session_service_client::SessionServiceClient;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use self::backoff::Backoff;
use self::standing::{Stale, Standing};
use crate::slots::{Gone, Line, PROGRESS_WAITING_MAX, SlotsHandle};
use crate::stats::Stats;

mod backoff;
pub mod message;
mod standing;
#[cfg(test)]
mod tests;

/// How often the leader hears from here.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A leader that says nothing for this long has lost the session. It says something every 0.5 s.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Messages to the leader that may wait beyond the reports of all that is held.
const OUTGOING_SPARE: usize = 64;

/// Who the worker is, as it tells leaders.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its id.
    pub instance: InstanceId,
    /// How many attempts it runs at once.
    pub slots: u32,
    /// The kinds that it runs.
    pub kinds: Vec<String>,
    /// What requirements are compared with.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// Keeps a session open.
pub struct Session {
    /// Who the worker is.
    pub identity: Identity,
    /// How to reach the leader.
    pub leader: LeaderChannel,
    /// The attempts.
    pub slots: SlotsHandle,
    /// What runs, for heartbeats.
    pub stats: Stats,
    /// Set once a first leader has welcomed the worker.
    pub readiness: Readiness,
    /// Triggered when nothing new is taken.
    pub draining: Shutdown,
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{0}")]
    Fault(Fault),
    #[error("the leader closed the session")]
    Closed,
    #[error("the leader was silent for {SILENCE_MAX:?}")]
    Silent,
    #[error("another leads")]
    Replaced,
    #[error("the leader did not welcome the worker")]
    Unwelcome,
    #[error(transparent)]
    Stale(#[from] Stale),
    #[error("the session took no more reports")]
    Congested,
    #[error(transparent)]
    Gone(#[from] Gone),
}

impl Session {
    /// Works until the slots are gone.
    pub async fn run(self, context: Context) {
        let mut standing = Standing::default();
        let mut backoff = Backoff::new(context.random);
        loop {
            let changed = self.leader.changed();
            let Some(link) = self.leader.current() else {
                changed.await;
                continue;
            };
            let ended = self.hold(&link, &mut standing, &mut backoff).await;
            if let Ended::Gone(_) = ended {
                return;
            }
            let (leader, epoch) = (&link.instance, link.epoch.0);
            tracing::debug!(%leader, epoch, %ended, "the session ended; opening another");
            tokio::select! {
                // A new leader has no part in the failures of the one before.
                () = changed => backoff.reset(),
                () = tokio::time::sleep(backoff.pause()) => {}
            }
        }
    }

    /// Opens a session with one leader and keeps it while it lasts.
    async fn hold(&self, link: &LeaderLink, standing: &mut Standing, backoff: &mut Backoff) -> Ended {
        let changed = self.leader.changed();
        let held = async {
            match self.open(link, standing).await {
                Ok((incoming, line)) => {
                    backoff.reset();
                    tracing::info!(leader = %link.instance, epoch = link.epoch.0, "session open");
                    self.converse(incoming, line, standing).await
                }
                Err(ended) => ended,
            }
        };
        tokio::select! {
            ended = held => ended,
            () = changed => Ended::Replaced,
        }
    }

    /// Says hello and waits for the welcome.
    async fn open(&self, link: &LeaderLink, standing: &mut Standing) -> Result<(Incoming, Line), Ended> {
        let held = self.slots.declare().await?;
        // Room for every report at once: the slots never wait for the leader.
        let capacity = self.slots.held_max() + PROGRESS_WAITING_MAX + OUTGOING_SPARE;
        let (sender, outgoing) = mpsc::channel(capacity);
        let hello = message::hello(&self.identity, held, standing.mark());
        sender.try_send(hello).map_err(|_| Ended::Closed)?;
        let mut client = SessionServiceClient::new(link.channel.clone());
        let opened = timeout(SILENCE_MAX, client.open_session(ReceiverStream::new(outgoing))).await;
        let response = opened
            .map_err(|_| Ended::Silent)?
            .map_err(|status| Ended::Fault(fault(&status)))?;
        let mut incoming = response.into_inner();
        match next(&mut incoming).await? {
            In::Welcome(welcome) => standing.welcome(&welcome)?,
            _ => return Err(Ended::Unwelcome),
        }
        let line = Line {
            sender,
            broken: CancellationToken::new(),
        };
        self.slots.connect(line.clone()).await?;
        self.readiness.set(!self.draining.is_triggered());
        Ok((incoming, line))
    }

    /// Hears and speaks until something breaks.
    async fn converse(&self, mut incoming: Incoming, line: Line, standing: &mut Standing) -> Ended {
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut said_farewell = false;
        loop {
            // Reading is one future across turns: a beat must not start the leader's silence anew.
            let heard = next(&mut incoming);
            tokio::pin!(heard);
            let heard = loop {
                let outgoing = tokio::select! {
                    heard = &mut heard => break heard,
                    _ = beat.tick() => message::heartbeat(self.stats.load().in_flight),
                    () = self.draining.triggered(), if !said_farewell => {
                        said_farewell = true;
                        message::draining()
                    }
                    () = line.broken.cancelled() => return Ended::Congested,
                };
                if line.sender.try_send(outgoing).is_err() {
                    return Ended::Congested;
                }
            };
            let obeyed = match heard {
                Ok(heard) => self.obey(heard, standing).await,
                Err(ended) => return ended,
            };
            if let Err(ended) = obeyed {
                return ended;
            }
        }
    }

    async fn obey(&self, heard: In, standing: &mut Standing) -> Result<(), Ended> {
        match message::read(heard).map_err(Ended::Fault)? {
            message::Heard::Assign(assignment) => self.slots.assign(*assignment).await?,
            message::Heard::Stop(attempt) => self.slots.stop(attempt).await?,
            message::Heard::Settled(attempt) => self.slots.settled(attempt).await?,
            message::Heard::Mark(mark) => standing.seen(&mark),
            message::Heard::Welcome => return Err(Ended::Unwelcome),
        }
        Ok(())
    }
}

type Incoming = Streaming<wire::OpenSessionResponse>;

/// The next message, within the time that a leader may be silent.
async fn next(incoming: &mut Incoming) -> Result<In, Ended> {
    let heard = timeout(SILENCE_MAX, incoming.message())
        .await
        .map_err(|_| Ended::Silent)?;
    let response = heard
        .map_err(|status| Ended::Fault(fault(&status)))?
        .ok_or(Ended::Closed)?;
    response.message.ok_or(Ended::Unwelcome)
}
