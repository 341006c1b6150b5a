//! Many `echo` tasks, submitted by a client that does not give up: what fails is sent again with the same request id.
//! An open load has no end of its own: it goes on until its test has done what it wanted to do in the middle of it.
//!
//! Promises: a refusal that is not about the moment fails the test; every acknowledgement is noted with its time. Leaves
//! what was acknowledged, and whether it ended once, to `audit`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lepton_core::net::Net;
use lepton_proto::convert::value::to_value;
use lepton_proto::task::v1::batch_submit_result::Outcome;
use lepton_proto::task::v1::submit_task_request::Payload;
use lepton_proto::task::v1::task_service_client::TaskServiceClient;
use lepton_proto::task::v1::{BatchSubmitTasksRequest, SubmitTaskRequest};
use lepton_tests::wait::eventually;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::Channel;

use crate::serial::{PATIENCE, Watch};

/// Batches on their way at once.
const LANES: usize = 8;
/// Tasks of a batch.
const BATCH: usize = 25;
/// How long a client waits before it tries again.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a client waits for an answer before it asks another gateway.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// What to submit.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// So many tasks, or at least so many.
    pub count: usize,
    /// Whether it goes on, with more tasks, until it is asked to be done.
    pub open: bool,
    /// How long each runs.
    pub delay: Duration,
    /// How long a lane rests after each batch, so that the load lasts.
    pub rest: Duration,
}

impl Plan {
    /// The 10,000 tasks of the promise.
    pub const FULL: Self = Self {
        count: 10_000,
        open: false,
        delay: Duration::from_millis(5),
        rest: Duration::ZERO,
    };
}

/// What was acknowledged: the task's id by request id, and the moments since the start.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Task ids by request id.
    pub tasks: BTreeMap<String, String>,
    moments: Vec<Duration>,
}

/// What lanes draw their batches from.
#[derive(Debug)]
struct Supply {
    drawn: AtomicUsize,
    count: usize,
    open: AtomicBool,
}

impl Supply {
    /// The numbers of the next batch, while there are some.
    fn next(&self) -> Option<Range<usize>> {
        let first = self.drawn.fetch_add(BATCH, Ordering::SeqCst);
        if self.open.load(Ordering::SeqCst) {
            return Some(first..first + BATCH);
        }
        (first < self.count).then(|| first..self.count.min(first + BATCH))
    }
}

/// A load that runs until everything is acknowledged.
#[derive(Debug)]
pub struct Load {
    lanes: JoinSet<()>,
    supply: Arc<Supply>,
    tally: Arc<Mutex<Tally>>,
    watch: Watch,
}

impl Load {
    /// Starts to submit to these gateways, `HOST:PORT`.
    pub fn start(gateways: &[String], plan: Plan) -> Self {
        let (tally, watch) = (Arc::default(), Watch::start());
        let supply = Arc::new(Supply {
            drawn: AtomicUsize::new(0),
            count: plan.count,
            open: AtomicBool::new(plan.open),
        });
        let mut lanes = JoinSet::new();
        for lane in 0..LANES {
            let client = Client {
                gateways: gateways.iter().map(|gateway| Net::Os.channel(gateway)).collect(),
                turn: lane,
                plan,
                tally: Arc::clone(&tally),
                watch,
            };
            lanes.spawn(client.submit_all(Arc::clone(&supply)));
        }
        Self {
            lanes,
            supply,
            tally,
            watch,
        }
    }

    /// Waits until so many are acknowledged.
    pub async fn reached(&self, count: usize) {
        eventually(PATIENCE, || async { self.acknowledged() >= count }).await;
    }

    /// How many are acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.tally().tasks.len()
    }

    /// Whether something is still to be acknowledged. Panics when a client has failed.
    pub fn is_under_way(&mut self) -> bool {
        while let Some(lane) = self.lanes.try_join_next() {
            lane.expect("a client of the load has failed");
        }
        self.supply.open.load(Ordering::SeqCst) || self.acknowledged() < self.supply.count
    }

    /// The time since the load began.
    pub fn elapsed(&self) -> Duration {
        self.watch.elapsed()
    }

    /// Ends an open load, and waits until every task is acknowledged.
    pub async fn done(mut self) -> Tally {
        self.supply.open.store(false, Ordering::SeqCst);
        let all = async {
            while let Some(lane) = self.lanes.join_next().await {
                lane.expect("a client of the load has failed");
            }
        };
        let ended = tokio::time::timeout(PATIENCE * 3, all).await;
        ended.unwrap_or_else(|_| panic!("only {} tasks are acknowledged", self.acknowledged()));
        self.tally().clone()
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    /// The longest time without an acknowledgement that began or went on after `since`.
    pub fn pause_after(&self, since: Duration) -> Duration {
        let pairs = self.moments.windows(2).filter(|pair| pair[1] >= since);
        pairs.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }
}

struct Client {
    gateways: Vec<Channel>,
    turn: usize,
    plan: Plan,
    tally: Arc<Mutex<Tally>>,
    watch: Watch,
}

impl Client {
    async fn submit_all(mut self, supply: Arc<Supply>) {
        while let Some(batch) = supply.next() {
            let mut left: Vec<SubmitTaskRequest> = batch.map(|number| self.request(number)).collect();
            loop {
                left = self.submit(left).await;
                if left.is_empty() {
                    break;
                }
                self.turn += 1;
                tokio::time::sleep(PAUSE).await;
            }
            tokio::time::sleep(self.plan.rest).await;
        }
    }

    fn request(&self, number: usize) -> SubmitTaskRequest {
        let input = format!("{{\"number\":{number},\"delay_ms\":{}}}", self.plan.delay.as_millis());
        SubmitTaskRequest {
            kind: "echo".to_owned(),
            request_id: format!("load-{number:05}"),
            payload: Some(Payload::Input(to_value(input.as_bytes()).expect("the input is JSON"))),
            ..SubmitTaskRequest::default()
        }
    }

    /// Submits once; gives those that are to be submitted again.
    async fn submit(&self, requests: Vec<SubmitTaskRequest>) -> Vec<SubmitTaskRequest> {
        let channel = self.gateways[self.turn % self.gateways.len()].clone();
        let batch = BatchSubmitTasksRequest {
            requests: requests.clone(),
        };
        let mut client = TaskServiceClient::new(channel);
        let answer = match tokio::time::timeout(ANSWER_MAX, client.batch_submit_tasks(batch)).await {
            Ok(Ok(answer)) => answer.into_inner(),
            Ok(Err(status)) => {
                let passing = matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled);
                assert!(passing, "a batch is refused for good: {status:?}");
                return requests;
            }
            Err(_elapsed) => return requests,
        };
        assert_eq!(answer.results.len(), requests.len(), "one result a request");
        let mut left = Vec::new();
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        for (request, result) in requests.into_iter().zip(answer.results) {
            match result.outcome.expect("a result is a task or an error") {
                Outcome::Task(task) => {
                    tally.moments.push(self.watch.elapsed());
                    tally.tasks.insert(request.request_id, task.id);
                }
                Outcome::Error(error) => {
                    assert_eq!(error.code, 503, "a submit is refused for good: {error:?}");
                    left.push(request);
                }
            }
        }
        left
    }
}
