//! A scheduler's journal side without the scheduler: wins the key, takes over, decides, appends.
//!
//! Promises: its ledger goes ahead of the journal exactly as a leader's does. Leaves etcd and proxies to the harness.

use std::time::Duration;

use lepton_coordination::election::{self, Candidate, Leadership};
use lepton_coordination::etcd::Etcd;
use lepton_core::context::Context;
use lepton_domain::ids::{AttemptId, ContentDigest, Epoch, InstanceId, Kind, RequestId, TaskId, Tenant};
use lepton_domain::ledger::{Command, Event, Ledger, Policy, StateDigest, Submission, apply, decide};
use lepton_domain::task::{Payload, Spec};
use lepton_journal::append::{AppendError, Committed, Draft, Writer};
use lepton_journal::follow::catch_up;
use lepton_journal::inspect::{Verification, verify};
use lepton_journal::snapshot::{self, Frozen};
use lepton_journal::takeover::{TakeoverError, take_over};
use lepton_journal::{LEADER_SERVICE, Replica, trim};
use lepton_proto::journal::v1::Mark;
use lepton_tests::etcd::RealEtcd;
use lepton_tests::wait::eventually;

/// What anything that has to happen may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

const CLUSTER: &str = "fence";

/// One etcd and whoever talks to it.
pub struct Fixture {
    pub server: RealEtcd,
    pub context: Context,
    /// A way to etcd that nothing disturbs.
    pub etcd: Etcd,
}

impl Fixture {
    pub async fn start() -> Self {
        let context = Context::system();
        let server = RealEtcd::start(1).await;
        let etcd = server.connect(&context, CLUSTER);
        Self { server, context, etcd }
    }

    /// Where etcd listens.
    pub fn address(&self) -> String {
        self.server.endpoints().remove(0)
    }

    /// A way to etcd through these addresses.
    pub fn through(&self, addresses: &[&str]) -> Etcd {
        Etcd::connect(
            &self.context,
            &addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
            CLUSTER,
        )
    }

    /// Wins the key, without taking over.
    pub async fn win(&self, etcd: &Etcd, name: &str) -> Leadership {
        let candidate = Candidate {
            service: LEADER_SERVICE.to_owned(),
            instance: InstanceId::new(name),
        };
        let campaign = election::campaign(etcd, &candidate, &self.context);
        let won = tokio::time::timeout(PATIENCE, campaign).await;
        won.expect("the key is won in time").expect("etcd takes the candidacy")
    }

    /// A leader that started from nothing.
    pub async fn lead(&self, name: &str) -> Leader {
        self.lead_through(&self.etcd, name).await
    }

    /// A leader whose way to etcd is this one.
    pub async fn lead_through(&self, etcd: &Etcd, name: &str) -> Leader {
        let leadership = self.win(&self.etcd, name).await;
        self.take_over(etcd, leadership, Replica::new())
            .await
            .expect("the takeover succeeds")
    }

    /// Takes over with this replica.
    pub async fn take_over(
        &self,
        etcd: &Etcd,
        leadership: Leadership,
        mut replica: Replica,
    ) -> Result<Leader, TakeoverError> {
        let now = self.context.clock.now();
        let writer = take_over(etcd, &leadership, &mut replica, now, &Mark::default()).await?;
        Ok(Leader {
            etcd: self.etcd.clone(),
            context: self.context.clone(),
            leadership,
            writer,
            ledger: replica.ledger,
        })
    }

    /// Takes the key away from its holder, as a suspicious standby does.
    pub async fn evict(&self, epoch: Epoch) {
        let deposed = election::evict(&self.etcd, LEADER_SERVICE, epoch).await;
        assert!(deposed.expect("etcd answers"), "the leader is deposed");
    }

    /// A replica built from nothing but the journal.
    pub async fn replica(&self) -> Replica {
        let mut replica = Replica::new();
        catch_up(&self.etcd, &mut replica)
            .await
            .expect("the journal can be followed");
        replica
    }

    /// The full check, which has to hold.
    pub async fn verified(&self) -> Verification {
        let verification = verify(&self.etcd).await.expect("etcd answers");
        assert_eq!(verification.breaches, Vec::<String>::new());
        verification
    }

    /// Waits until the journal has this segment.
    pub async fn segment(&self, number: u64) {
        let key = self.etcd.keys().segment(number);
        eventually(PATIENCE, || async { self.etcd.get(key.as_str()).await.ok().flatten() }).await;
    }
}

/// A leader and its ledger, which runs ahead of the journal while an append is on its way.
pub struct Leader {
    etcd: Etcd,
    context: Context,
    pub leadership: Leadership,
    pub writer: Writer,
    pub ledger: Ledger,
}

impl Leader {
    /// Decides and applies the commands as one batch.
    pub fn batch(&mut self, commands: Vec<Command>) -> Draft {
        let time = self.writer.position().time.max(self.context.clock.now());
        self.ledger.begin(self.writer.epoch(), time);
        let format = self.ledger.format();
        let (first_seq, state_digest) = (self.ledger.seq().next(), self.ledger.digest());
        let mut events = Vec::new();
        for command in commands {
            let decided = decide(&self.ledger, &Policy::default(), command, time).expect("the command is legal");
            for event in &decided {
                apply(&mut self.ledger, event).expect("a decided event is legal");
            }
            events.extend(decided);
        }
        Draft {
            format,
            time,
            first_seq,
            state_digest,
            events,
        }
    }

    /// A batch of one submit.
    pub fn submission(&mut self, number: u64) -> Draft {
        self.batch(vec![submit(number)])
    }

    /// Submits one task and waits for its commit.
    pub async fn submit(&mut self, number: u64) -> Result<Committed, AppendError> {
        let draft = self.submission(number);
        self.writer.append(draft).await
    }

    /// Submits these tasks, one segment each.
    pub async fn submit_all(&mut self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            self.submit(number).await.expect("the leader appends");
        }
    }

    /// Writes a snapshot of what has committed and makes it the newest.
    pub async fn snapshot(&mut self) {
        let id = snapshot::fresh_id(self.writer.epoch(), &self.context.random);
        let frozen = Frozen::of(&self.ledger);
        let written = snapshot::write(&self.etcd, &id, self.writer.position(), &frozen).await;
        self.writer
            .swap_manifest(written.expect("the snapshot is written"))
            .await
            .expect("the manifest is swapped");
    }

    /// Trims all that may go.
    pub async fn trim(&mut self) -> u64 {
        let mut trimmed = 0;
        while let Some(due) = trim::due(&self.etcd, self.writer.position())
            .await
            .expect("etcd answers")
        {
            trimmed += due.end - due.start;
            self.writer.trim(due).await.expect("the leader trims");
        }
        trimmed
    }

    pub fn digest(&self) -> StateDigest {
        self.ledger.digest()
    }
}

/// The id of a test's task.
pub fn task(number: u64) -> TaskId {
    TaskId::v7(1_700_000_000_000 + number, number.into())
}

/// Submits task `number`.
pub fn submit(number: u64) -> Command {
    Command::Submit(Box::new(submission(number)))
}

pub fn submission(number: u64) -> Submission {
    let input = format!("{{\"number\":{number}}}");
    Submission {
        id: task(number),
        tenant: Tenant::new("default"),
        request_id: RequestId::new(format!("request-{number}")),
        content_digest: ContentDigest([7; 32]),
        spec: Spec::new(Kind::new("echo"), Payload::json(input)),
        traceparent: None,
        retry_of: None,
    }
}

/// An attempt's success.
pub fn succeed(number: u64) -> Command {
    let attempt = AttemptId {
        task: task(number),
        number: 1,
    };
    Command::Succeed {
        attempt,
        worker: InstanceId::new("worker-1"),
        output: Payload::json("1"),
    }
}

/// The event of an attempt's success.
pub fn succeeded(number: u64) -> Event {
    let attempt = AttemptId {
        task: task(number),
        number: 1,
    };
    Event::Succeeded {
        attempt,
        worker: InstanceId::new("worker-1"),
        output: Payload::json("1"),
    }
}
