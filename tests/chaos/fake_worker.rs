//! A worker that a test plays: it speaks the session's protocol and does just what the test says, at the moment that the
//! test wants.
//!
//! Promises: it gives signs of life until it is dropped, at which its session breaks off like that of a worker that was
//! cut off. Leaves running anything to real workers.

use std::time::Duration;

use lepton_core::net::Net;
use lepton_domain::ids::AttemptId;
use lepton_domain::task::Payload;
use lepton_proto::journal::v1::{Attempt, Failure, Mark};
use lepton_proto::task::v1::Progress;
use lepton_proto::worker::v1 as wire;
use lepton_proto::worker::v1::open_session_request::Message as Out;
use lepton_proto::worker::v1::open_session_response::Message as In;
use lepton_proto::worker::v1::session_service_client::SessionServiceClient;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;

use crate::serial::PATIENCE;

/// The label of the played worker, which a task may require to be sure to meet it.
pub const LABEL: (&str, &str) = ("played", "yes");
/// Well within the silence that a leader bears.
const BEAT: Duration = Duration::from_secs(1);

/// A session of the played worker.
pub struct FakeWorker {
    say: mpsc::UnboundedSender<wire::OpenSessionRequest>,
    hear: Streaming<wire::OpenSessionResponse>,
    /// The mark that the leader welcomed it with.
    pub mark: Mark,
    _beat: JoinSet<()>,
}

/// What a played worker says that it holds.
#[derive(Default)]
pub struct Holds {
    /// Everything.
    pub all: Vec<Attempt>,
    /// What of it has ended.
    pub ended: Vec<Attempt>,
    /// A mark of the journal.
    pub mark: Option<Mark>,
}

impl FakeWorker {
    /// Opens a session with the leader at this address, and waits for the welcome.
    pub async fn open(leader: &str, holds: Holds) -> Self {
        let (say, outgoing) = mpsc::unbounded_channel();
        let hello = wire::Hello {
            worker: "played".to_owned(),
            slots: 1,
            kinds: vec!["echo".to_owned()],
            labels: [(LABEL.0.to_owned(), LABEL.1.to_owned())].into(),
            running: holds.all,
            ended: holds.ended,
            mark: holds.mark,
        };
        tell(&say, Out::Hello(hello));
        let mut client = SessionServiceClient::new(Net::Os.channel(leader));
        let opened = client.open_session(UnboundedReceiverStream::new(outgoing)).await;
        let hear = opened.expect("the leader takes the session").into_inner();
        let mut beat = JoinSet::new();
        let alive = say.clone();
        beat.spawn(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                tell(&alive, Out::Heartbeat(wire::Heartbeat { running: 0 }));
            }
        });
        let mark = Mark::default();
        let mut played = Self {
            say,
            hear,
            mark,
            _beat: beat,
        };
        match played.next().await {
            In::Welcome(welcome) => played.mark = welcome.mark.expect("a leader has a mark"),
            other => panic!("{other:?}"),
        }
        played
    }

    /// Waits for an attempt.
    pub async fn assigned(&mut self) -> AttemptId {
        let assign = async {
            loop {
                if let In::Assign(assign) = self.next().await {
                    let attempt = assign.attempt.expect("it is named");
                    return AttemptId::try_from(&attempt).expect("it is one");
                }
            }
        };
        tokio::time::timeout(PATIENCE, assign)
            .await
            .expect("nothing was assigned")
    }

    /// Waits until a report of this attempt was taken, and says whether it stands. Nothing may be assigned before.
    pub async fn settled(&mut self, attempt: AttemptId) -> bool {
        let settled = async {
            loop {
                match self.next().await {
                    In::Settled(settled) if settled.attempt == Some(attempt.into()) => return settled.accepted,
                    In::Assign(assign) => panic!("assigned before the report was taken: {assign:?}"),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, settled)
            .await
            .expect("nothing was settled")
    }

    /// Says how far an attempt is.
    pub fn advance(&self, attempt: AttemptId, fraction: f64, figures: &[(&str, f64)]) {
        let figures = figures.iter().map(|(name, value)| ((*name).to_owned(), *value));
        let progress = Progress {
            attempt: attempt.number,
            fraction,
            figures: figures.collect(),
            update_time: None,
        };
        tell(
            &self.say,
            Out::Progress(wire::AttemptProgress {
                attempt: Some(attempt.into()),
                progress: Some(progress),
                checkpoint: None,
            }),
        );
    }

    /// Reports an output.
    pub fn succeed(&self, attempt: AttemptId, output: &str) {
        let output = Payload::json(output.to_owned());
        self.report(attempt, wire::report::Outcome::Output((&output).into()));
    }

    /// Reports a failure after which another attempt may fare better.
    pub fn fail(&self, attempt: AttemptId) {
        let failure = Failure {
            reason: "HANDLER_FAILED".to_owned(),
            message: "as the test wants".to_owned(),
            ..Failure::default()
        };
        self.report(attempt, wire::report::Outcome::Failure(failure));
    }

    fn report(&self, attempt: AttemptId, outcome: wire::report::Outcome) {
        tell(
            &self.say,
            Out::Report(wire::Report {
                attempt: Some(attempt.into()),
                outcome: Some(outcome),
                retryable: true,
            }),
        );
    }

    async fn next(&mut self) -> In {
        let heard = tokio::time::timeout(PATIENCE, self.hear.message()).await;
        let heard = heard.expect("the leader says something").expect("the session stands");
        heard.expect("the session is open").message.expect("it says something")
    }
}

fn tell(say: &mpsc::UnboundedSender<wire::OpenSessionRequest>, message: Out) {
    // The leader may have ended the session; the test sees it where it listens.
    let _ = say.send(wire::OpenSessionRequest { message: Some(message) });
}
