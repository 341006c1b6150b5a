//! One mesh under load and faults, all drawn from one seed, and the checks of what was seen and of what is left.
//!
//! Three phases: callers submit, read and cancel tasks while faults come and go; the faults are repaired and every
//! acknowledged task has to end; the journal, the replicas and the operations are checked against each other.

use std::time::Duration;

use futures::{TryStreamExt, future};
use lepton_coordination::etcd::Etcd;
use lepton_core::net::Net;
use lepton_core::random::Random;
use lepton_journal::inspect::{dump, verify};
use lepton_proto::convert::snapshot::state_digest_bytes;
use lepton_proto::scheduler::v1::GetPositionRequest;
use lepton_proto::scheduler::v1::scheduler_service_client::SchedulerServiceClient;
use lepton_tests::wait::eventually;

use crate::client::History;
use crate::cluster::{Cluster, Control, Outcome, PORT, Size, context, etcd_endpoints};

mod checks;
mod faults;
mod operations;
mod workload;

use checks::Evidence;
use operations::Ledger;

/// Enough of each for a majority to be elsewhere, few enough for a seed to take little time.
const SIZE: Size = Size {
    schedulers: 3,
    workers: 2,
    gateways: 2,
};
/// Time in the simulation for what has to happen once all faults are repaired.
const RECOVERY_MAX: Duration = Duration::from_secs(60);

/// The history of the mesh of one seed. Panics with the history when a check fails.
pub fn history(seed: u64) -> Vec<String> {
    let (cluster, history) = (Cluster::new(seed, SIZE), History::default());
    let (run, control) = (Run::new(seed, history.clone()), cluster.control());
    cluster.run(run.simulate(control));
    history.lines()
}

/// One run, as the client's host sees it.
struct Run {
    seed: u64,
    history: History,
}

impl Run {
    fn new(seed: u64, history: History) -> Self {
        Self { seed, history }
    }

    async fn simulate(self, control: Control) -> Outcome {
        // Two generators: what one draws must not depend on when the other does.
        let (plan, load) = (Random::seeded(self.seed), Random::seeded(!self.seed));
        let etcd = Etcd::connect(&context(Random::seeded(0)), &etcd_endpoints(), "lepton");
        let ledger = Ledger::new(self.history.clone());
        let rounds = faults::plan(&plan, SIZE);
        future::join(
            faults::inject(rounds, SIZE, &etcd, &control, &self.history),
            workload::run(&load, SIZE, &ledger),
        )
        .await;
        self.history.note("all faults are repaired");
        workload::settle(SIZE, &ledger, RECOVERY_MAX).await;
        let evidence = self.collect(&etcd, ledger.take()).await;
        let violations = checks::violations(&evidence);
        if !violations.is_empty() {
            let (history, violations) = (self.history.lines().join("\n"), violations.join("\n"));
            panic!("{history}\nviolations:\n{violations}");
        }
        Ok(())
    }

    /// Reads the journal and the replicas' digests.
    async fn collect(&self, etcd: &Etcd, operations: operations::Operations) -> Evidence {
        let (verification, replicas) = eventually(RECOVERY_MAX, || self.agreement(etcd)).await;
        let entries: Vec<_> = dump(etcd.clone(), 0, 0).try_collect().await.expect("etcd answers");
        for entry in &entries {
            let (seq, epoch) = (entry.seq.0, entry.epoch.0);
            let (name, text) = (entry.name(), entry.text());
            self.history
                .note(format_args!("seq {seq} epoch {epoch}: {name} {text}"));
        }
        let hash = verification.position.hash;
        self.history.note(format_args!("hash {hash:?}"));
        Evidence {
            operations,
            entries,
            digest: verification.digest.map(|digest| state_digest_bytes(&digest)),
            verification,
            replicas,
        }
    }

    /// The journal and the digests of all schedulers, once these have applied all of it.
    async fn agreement(&self, etcd: &Etcd) -> Option<(lepton_journal::inspect::Verification, Vec<checks::Replica>)> {
        let verification = verify(etcd).await.ok()?;
        let mut replicas = Vec::new();
        for host in SIZE.scheduler_names() {
            let channel = Net::Simulated.channel(&format!("{host}:{PORT}"));
            let position = SchedulerServiceClient::new(channel)
                .get_position(GetPositionRequest {})
                .await;
            let position = position.ok()?.into_inner();
            let segment = position.mark.map_or(0, |mark| mark.segment);
            (segment == verification.position.segment).then_some(())?;
            replicas.push(checks::Replica {
                host,
                digest: position.state_digest,
            });
        }
        Some((verification, replicas))
    }
}
