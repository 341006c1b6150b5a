//! A leader that is stopped for 15 seconds: another leads, and the woken one acknowledges nothing.

use std::time::Duration;

use lepton_core::net::Net;
use lepton_domain::ids::{ContentDigest, Kind, RequestId, TaskId, Tenant};
use lepton_domain::ledger::Submission;
use lepton_domain::task::{Payload, Spec};
use lepton_proto::scheduler::v1::intake_request::Request;
use lepton_proto::scheduler::v1::intake_response::Outcome;
use lepton_proto::scheduler::v1::scheduler_service_client::SchedulerServiceClient;
use lepton_proto::scheduler::v1::{GetPositionRequest, IntakeRequest, IntakeResponse};
use lepton_tests::mesh::{Cluster, leader};
use lepton_tests::wait::eventually;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;

use crate::deaths::{SIZES, account, gateways, leading};
use crate::load::{Load, Plan};
use crate::serial::{PATIENCE, Watch, exclusive};

/// How long the leader is stopped.
const FROZEN: Duration = Duration::from_secs(15);
/// The lease is 3 s; the rest is for a busy machine.
const SUCCESSION_MAX: Duration = Duration::from_secs(10);
/// How long the woken leader is listened to.
const LISTEN: Duration = Duration::from_secs(5);

/// A gateway's stream to one scheduler, without the gateway.
pub struct Direct {
    requests: mpsc::UnboundedSender<IntakeRequest>,
    answers: Streaming<IntakeResponse>,
}

impl Direct {
    /// Opens the stream. Panics when this scheduler does not lead.
    pub async fn open(address: &str) -> Self {
        let (requests, outgoing) = mpsc::unbounded_channel();
        let mut client = SchedulerServiceClient::new(Net::Os.channel(address));
        let opened = client.intake(UnboundedReceiverStream::new(outgoing)).await;
        Self {
            requests,
            answers: opened.expect("the leader takes the stream").into_inner(),
        }
    }

    /// Sends a request, or one that is empty and answered as soon as it is read.
    pub fn send(&self, number: u64, request: Option<Request>) {
        let request = IntakeRequest {
            number,
            mark: None,
            request,
        };
        self.requests.send(request).expect("the stream stands");
    }

    /// The next answer; none when the stream has ended.
    pub async fn next(&mut self) -> Option<IntakeResponse> {
        self.answers.message().await.ok().flatten()
    }
}

/// A submit under this request id. It does not start before `not_before_us` of journal time.
pub fn submit(number: u64, request: &str, not_before_us: Option<u64>) -> Request {
    let mut spec = Spec::new(Kind::new("echo"), Payload::json("{}"));
    spec.not_before = not_before_us.map(lepton_domain::time::Timestamp::from_micros);
    let submission = Submission {
        id: TaskId::v7(1_700_000_000_000 + number, number.into()),
        tenant: Tenant::new("default"),
        request_id: RequestId::new(request),
        content_digest: ContentDigest([7; 32]),
        spec,
        traceparent: None,
        retry_of: None,
    };
    Request::Submit(Box::new((&submission).into()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_woken_leader_acknowledges_nothing() {
    let _exclusive = exclusive().await;
    let mut cluster = Cluster::start(SIZES).await;
    let rest = cluster.rest(0);
    let first = leading(&rest).await;
    let address = cluster.instance(&first).address.clone();
    let mut direct = Direct::open(&address).await;
    direct.send(1, Some(submit(1, "before", None)));
    let before = direct.next().await.expect("an answer");
    assert!(matches!(before.outcome, Some(Outcome::Task(_))), "{before:?}");

    let plan = Plan {
        rest: Duration::from_millis(300),
        ..Plan::FULL
    };
    let load = Load::start(&gateways(&cluster), plan);
    load.reached(1_000).await;
    let (frozen, since) = (Watch::start(), load.elapsed());
    cluster.instance(&first).process.freeze();
    (0..100).for_each(|number| {
        direct.send(
            10 + number,
            Some(submit(10 + number, &format!("asleep-{number}"), None)),
        )
    });
    let another = || async { leader(&rest).await.filter(|now| *now != first) };
    let second = eventually(PATIENCE, another).await;
    let succession = frozen.elapsed();
    tokio::time::sleep(FROZEN.saturating_sub(frozen.elapsed())).await;
    cluster.instance(&first).process.thaw();

    let woken = async {
        while let Some(answer) = direct.next().await {
            refused(&answer)
        }
    };
    // It may keep the stream open for a while; only what it says matters.
    let _still_open = tokio::time::timeout(LISTEN, woken).await;
    follows(&address).await;
    assert_eq!(leading(&rest).await, second, "the woken one does not lead");
    let mut tally = load.done().await;
    let pause = tally.pause_after(since);
    tally
        .tasks
        .insert("before".to_owned(), TaskId::v7(1_700_000_000_001, 1).to_string());
    let audit = account(&cluster, &rest, &tally).await;
    for number in 0..100 {
        assert_eq!(
            audit.requested(&format!("asleep-{number}")),
            None,
            "nothing of it was committed"
        );
    }
    println!("the leader was frozen: another led after {succession:.1?}, {pause:.1?} without an acknowledgement");
    assert!(succession < SUCCESSION_MAX, "{succession:?}");
}

fn refused(answer: &IntakeResponse) {
    assert!(
        matches!(answer.outcome, Some(Outcome::Refusal(_))),
        "the woken leader acknowledged: {answer:?}"
    );
}

/// Waits until this scheduler says that it does not lead.
async fn follows(address: &str) {
    let mut client = SchedulerServiceClient::new(Net::Os.channel(address));
    eventually(PATIENCE, || {
        let mut client = client.clone();
        async move {
            client
                .get_position(GetPositionRequest {})
                .await
                .is_ok_and(|position| !position.get_ref().leader)
        }
    })
    .await;
    // A stream for commands is refused, too.
    let refused = client.intake(futures::stream::pending()).await;
    assert!(refused.is_err(), "a standby takes no commands");
}
