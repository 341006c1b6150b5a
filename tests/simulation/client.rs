//! A client of the simulated mesh, which writes down what it sees and when.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures::TryStreamExt;
use lepton_coordination::election;
use lepton_coordination::etcd::Etcd;
use lepton_core::net::Net;
use lepton_core::random::Random;
use lepton_journal::LEADER_SERVICE;
use lepton_journal::inspect::{dump, verify};
use lepton_proto::task::v1::submit_task_request::Payload;
use lepton_proto::task::v1::task_service_client::TaskServiceClient;
use lepton_proto::task::v1::{State, SubmitTaskRequest, Task, WatchTaskRequest};
use lepton_tests::wait::eventually;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use tonic::transport::Channel;

use crate::cluster::{PORT, context, etcd_endpoints};

/// What anything that has to happen may take, in the simulation's time.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was seen, one line each, the oldest first. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct History(Rc<RefCell<Vec<String>>>);

impl History {
    /// Writes a line, with the simulation's time.
    pub fn note(&self, what: impl std::fmt::Display) {
        let seconds = turmoil::sim_elapsed().unwrap_or_default().as_secs_f64();
        self.0.borrow_mut().push(format!("{seconds:.6} {what}"));
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

/// Speaks with the gateway, and with the store where only the store knows.
pub struct Client {
    tasks: TaskServiceClient<Channel>,
    etcd: Etcd,
    history: History,
}

impl Client {
    /// A client on the simulated host that calls this.
    pub fn new(history: History) -> Self {
        Self {
            tasks: TaskServiceClient::new(Net::Simulated.channel(&format!("gateway-1:{PORT}"))),
            etcd: Etcd::connect(&context(Random::seeded(0)), &etcd_endpoints(), "lepton"),
            history,
        }
    }

    /// Submits an `echo` that takes this long, again and again until the mesh has it, and gives its id.
    pub async fn submit_echo(&self, delay: Duration) -> String {
        let request = SubmitTaskRequest {
            kind: "echo".to_owned(),
            payload: Some(Payload::Input(delayed(delay))),
            request_id: "the only one".to_owned(),
            ..SubmitTaskRequest::default()
        };
        let answer = eventually(PATIENCE, || {
            let (mut tasks, request) = (self.tasks.clone(), request.clone());
            async move { tasks.submit_task(request).await }
        });
        let id = answer.await.into_inner().task.expect("an accepted task").id;
        self.history.note(format_args!("submitted {id}"));
        id
    }

    /// Watches a task to its end, which has to be a success, however often the stream breaks on the way.
    pub async fn follow(&self, id: &str) {
        loop {
            match self.watch(id).await {
                Ok(ended) => return assert_eq!(ended.state(), State::Succeeded, "{ended:?}"),
                Err(status) => self.history.note(format_args!("watch broke: {:?}", status.code())),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn watch(&self, id: &str) -> Result<Task, tonic::Status> {
        let mut stream = self
            .tasks
            .clone()
            .watch_task(WatchTaskRequest { id: id.to_owned() })
            .await?
            .into_inner();
        while let Some(seen) = stream.message().await? {
            let task = seen.task.expect("every answer has the task");
            let (state, attempt) = (task.state().as_str_name(), task.attempts);
            self.history
                .note(format_args!("{state} attempt {attempt} {}", task.worker));
            if is_final(task.state()) {
                return Ok(task);
            }
        }
        Err(tonic::Status::unavailable("the stream ended before the task"))
    }

    /// The host that leads, other than `but`.
    pub async fn leader(&self, but: &str) -> String {
        let found = eventually(PATIENCE, || async {
            let leader = election::current(&self.etcd, LEADER_SERVICE).await.ok()??;
            (leader.instance.as_str() != but).then(|| leader.instance.as_str().to_owned())
        });
        let leader = found.await;
        self.history.note(format_args!("{leader} leads"));
        leader
    }

    /// Checks the whole journal, which has to hold one task and its one success, and writes every event down.
    pub async fn audit(&self) {
        let entries: Vec<_> = dump(self.etcd.clone(), 0, 0).try_collect().await.expect("etcd answers");
        for entry in entries {
            let (seq, epoch, time) = (entry.seq.0, entry.epoch.0, entry.time);
            self.history.note(format_args!(
                "seq {seq} epoch {epoch} at {time:?}: {} {}",
                entry.name(),
                entry.text()
            ));
        }
        let found = verify(&self.etcd).await.expect("etcd answers");
        assert_eq!(found.breaches, Vec::<String>::new());
        assert_eq!((found.succeeded_count(), found.tasks.len()), (1, 1));
        let digest = found.digest.expect("the journal was replayed");
        // The hash covers every byte of every segment.
        self.history
            .note(format_args!("digest {digest:?} hash {:?}", found.position.hash));
    }
}

fn delayed(delay: Duration) -> Value {
    let number = Value {
        kind: Some(Kind::NumberValue(delay.as_secs_f64() * 1_000.0)),
    };
    let fields = [("delay_ms".to_owned(), number)].into();
    Value {
        kind: Some(Kind::StructValue(Struct { fields })),
    }
}

fn is_final(state: State) -> bool {
    matches!(
        state,
        State::Succeeded | State::Failed | State::Cancelled | State::Expired
    )
}
