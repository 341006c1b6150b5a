//! Callers that submit, read and cancel tasks through any gateway, each at its own pace.

use std::time::Duration;

use futures::future::join_all;
use lepton_core::net::Net;
use lepton_core::random::Random;
use lepton_proto::task::v1::submit_task_request::Payload;
use lepton_proto::task::v1::task_service_client::TaskServiceClient;
use lepton_proto::task::v1::{CancelTaskRequest, GetTaskRequest, SubmitTaskRequest, SubmitTaskResponse, Task};
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use super::operations::{Action, Answer, Ledger, Observation};
use crate::cluster::{PORT, Size};

/// How many callers there are.
const CALLERS: u64 = 4;
/// How long callers go on, in the simulation's time: some seconds longer than the faults.
const LOAD: Duration = Duration::from_secs(16);
/// The longest pause between two calls.
const PAUSE_MS_MAX: u64 = 800;
/// The longest a task takes.
const DELAY_MS_MAX: u64 = 2_000;
/// How many attempts of a task fail at most; fewer than it has.
const FAILURES_MAX: u64 = 2;
/// How often a task that has not ended is read again.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// When a caller gives up.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Calls until the load is over.
pub async fn run(random: &Random, size: Size, ledger: &Ledger) {
    let callers = (0..CALLERS).map(|number| {
        let caller = Caller::new(number, random.next_u64(), size, ledger);
        caller.run()
    });
    join_all(callers).await;
}

/// Waits until every acknowledged task has ended, and reads each through every gateway. What has not ended in time is left
/// to the checks, which know more than that.
pub async fn settle(size: Size, ledger: &Ledger, patience: Duration) {
    let caller = Caller::new(CALLERS, 0, size, ledger);
    let settled = async {
        for (_, id) in ledger.acknowledged() {
            for gateway in 0..caller.gateways.len() {
                while !matches!(caller.get(gateway, &id).await, Answer::Task(seen) if seen.is_final()) {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        }
    };
    // Either way the checks follow.
    let _in_time = tokio::time::timeout(patience, settled).await;
}

struct Caller {
    number: u64,
    random: Random,
    gateways: Vec<TaskServiceClient<Channel>>,
    ledger: Ledger,
}

impl Caller {
    fn new(number: u64, seed: u64, size: Size, ledger: &Ledger) -> Self {
        let gateways = size.gateway_names().into_iter().map(|host| {
            let channel = Net::Simulated.channel(&format!("{host}:{PORT}"));
            TaskServiceClient::new(channel)
        });
        Self {
            number,
            random: Random::seeded(seed),
            gateways: gateways.collect(),
            ledger: ledger.clone(),
        }
    }

    async fn run(self) {
        let begun = now();
        let mut submitted = 0;
        while now() - begun < LOAD {
            tokio::time::sleep(Duration::from_millis(self.random.below(PAUSE_MS_MAX))).await;
            let gateway = usize::try_from(self.random.below(self.gateways.len() as u64)).expect("a small number");
            let known = self.ledger.acknowledged();
            let known = known.get(usize::try_from(self.random.below(known.len() as u64)).expect("a small number"));
            match (self.random.below(100), known) {
                (0..50, Some((_, id))) => drop(self.get(gateway, id).await),
                (50..57, Some((_, id))) => self.cancel(gateway, id).await,
                (57..62, Some((request, _))) => self.conflict(gateway, request).await,
                // An earlier request of this caller, whether it was acknowledged or not.
                (62..75, _) if submitted > 0 => self.submit(gateway, self.random.below(submitted)).await,
                _ => {
                    self.submit(gateway, submitted).await;
                    submitted += 1;
                }
            }
        }
    }

    /// Submits the task of this number; the same number is always the same content.
    async fn submit(&self, gateway: usize, task: u64) {
        let request = format!("caller-{} task-{task}", self.number);
        let content = Random::seeded(self.number << 32 | task);
        let input = input(content.below(DELAY_MS_MAX), content.below(FAILURES_MAX + 1));
        self.send(gateway, Action::Submit(request.clone()), request, input)
            .await;
    }

    /// Submits other content under a request id of any caller.
    async fn conflict(&self, gateway: usize, request: &str) {
        let action = Action::Conflict(request.to_owned());
        self.send(gateway, action, request.to_owned(), input(DELAY_MS_MAX + 1, 0))
            .await;
    }

    async fn send(&self, gateway: usize, action: Action, request_id: String, input: Value) {
        let (start, mut tasks) = (now(), self.gateways[gateway].clone());
        let request = SubmitTaskRequest {
            kind: "echo".to_owned(),
            payload: Some(Payload::Input(input)),
            request_id,
            ..SubmitTaskRequest::default()
        };
        let answered = tokio::time::timeout(TIMEOUT, tasks.submit_task(request)).await;
        let answer = answer(
            answered.map(|answered| answered.map(|answer: Response<SubmitTaskResponse>| answer.into_inner().task)),
        );
        self.ledger.record(start, action, answer);
    }

    async fn get(&self, gateway: usize, id: &str) -> Answer {
        let (start, mut tasks) = (now(), self.gateways[gateway].clone());
        let request = GetTaskRequest {
            id: id.to_owned(),
            ..GetTaskRequest::default()
        };
        let answered = tokio::time::timeout(TIMEOUT, tasks.get_task(request)).await;
        let answer = answer(answered.map(|answered| answered.map(|answer| answer.into_inner().task)));
        self.ledger.record(start, Action::Get(id.to_owned()), answer.clone());
        answer
    }

    async fn cancel(&self, gateway: usize, id: &str) {
        let (start, mut tasks) = (now(), self.gateways[gateway].clone());
        let request = CancelTaskRequest {
            id: id.to_owned(),
            message: String::new(),
        };
        let answered = tokio::time::timeout(TIMEOUT, tasks.cancel_task(request)).await;
        let answer = answer(answered.map(|answered| answered.map(|answer| answer.into_inner().task)));
        self.ledger.record(start, Action::Cancel(id.to_owned()), answer);
    }
}

fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

fn answer(answered: Result<Result<Option<Task>, Status>, tokio::time::error::Elapsed>) -> Answer {
    match answered {
        Ok(Ok(Some(task))) => Answer::Task(Observation::of(&task)),
        Ok(Ok(None)) => Answer::Unknown("an answer without a task".to_owned()),
        Ok(Err(status)) if status.code() == Code::NotFound => Answer::NotFound,
        Ok(Err(status))
            if lepton_core::error::from_status(&status).reason == lepton_domain::reason::Reason::RequestIdReused =>
        {
            Answer::Reused
        }
        Ok(Err(status)) => Answer::Unknown(format!("{:?}", status.code())),
        Err(_) => Answer::Unknown("no answer in time".to_owned()),
    }
}

fn input(delay_ms: u64, fail_times: u64) -> Value {
    let number = |value: u64| Value {
        kind: Some(Kind::NumberValue(value as f64)),
    };
    let fields = [
        ("delay_ms".to_owned(), number(delay_ms)),
        ("fail_times".to_owned(), number(fail_times)),
    ];
    Value {
        kind: Some(Kind::StructValue(Struct { fields: fields.into() })),
    }
}
