//! The scheduler at the fence: nothing is acknowledged before etcd has answered, what gathers goes together, and
//! standbys are what the leader is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lepton_core::context::Context;
use lepton_core::net::Net;
use lepton_proto::scheduler::v1::intake_response::Outcome;
use lepton_proto::scheduler::v1::scheduler_service_client::SchedulerServiceClient;
use lepton_proto::scheduler::v1::{GetPositionRequest, SegmentDigest};
use lepton_tests::etcd::RealEtcd;
use lepton_tests::mesh::{Cluster, Sizes, Special};
use lepton_tests::proxy::{Direction, Flow, Proxy};
use lepton_tests::wait::eventually;
use serde_json::json;

use crate::audit::{Audit, text};
use crate::deaths::{account, gateways, leading};
use crate::frozen::{Direct, submit};
use crate::load::{Load, Plan};
use crate::serial::{PATIENCE, exclusive};

const SMALL: Sizes = Sizes {
    gateways: 1,
    schedulers: 1,
    workers: 1,
    monitors: 0,
};
/// Submits that gather behind one append.
const GATHERED: u64 = 1_000;
/// Fewer transactions than this must do for them.
const TRANSACTIONS_MAX: i64 = 20;
/// Segments at which a standby must be seen to equal the leader.
const COMPARED_MIN: usize = 50;
/// How often they are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A cluster whose scheduler reaches etcd through a proxy.
async fn behind_a_proxy(settings: Vec<(&'static str, String)>) -> (Cluster, Proxy) {
    let etcd = RealEtcd::start(1).await;
    let proxy = Proxy::start(etcd.endpoints().remove(0)).await;
    let detours = BTreeMap::from([("scheduler", proxy.address().to_owned())]);
    let environment = BTreeMap::from([("scheduler", settings)]);
    let cluster = Cluster::start_on(etcd, SMALL, Special { environment, detours }).await;
    (cluster, proxy)
}

/// The store's revision.
async fn revision(cluster: &Cluster) -> i64 {
    let etcd = cluster.etcd.connect(&Context::system(), "lepton");
    let (_, revision) = etcd.get_at(etcd.keys().manifest()).await.expect("etcd answers");
    revision
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_before_etcd_has_answered() {
    let _exclusive = exclusive().await;
    let (cluster, proxy) = behind_a_proxy(Vec::new()).await;
    let rest = cluster.rest(0);
    let body = json!({"kind": "echo", "input": 1, "requestId": "held"}).to_string();
    proxy.set(Direction::ToClient, Flow::Hold);
    let answer = rest.post("/api/v1/tasks", body.clone()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.reason().as_deref()),
        (503, Some("JOURNAL_UNAVAILABLE"))
    );
    assert!(answer.detail("RetryInfo").is_some(), "{}", answer.text());
    // etcd has taken it, but nobody could know.
    let endpoint = cluster.etcd.endpoints().remove(0);
    let audit = Audit::of(&endpoint).await;
    let committed = audit.requested("held").expect("the append itself arrived").to_owned();
    let again = rest.post("/api/v1/tasks", body.clone()).await;
    assert_eq!(
        again.reason().as_deref(),
        Some("JOURNAL_UNAVAILABLE"),
        "{}",
        again.text()
    );
    proxy.set(Direction::ToClient, Flow::Pass);
    let task = eventually(PATIENCE, || async {
        let answer = rest.post("/api/v1/tasks", body.clone()).await;
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(
        text(&task.await, "id"),
        committed,
        "the same request id gives the same task"
    );
    assert_eq!(Audit::of(&endpoint).await.requested("held"), Some(committed.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gathers_behind_an_append_goes_together() {
    let _exclusive = exclusive().await;
    // Patient, so that the commands gather instead of being refused.
    let patient = vec![("LEPTON_JOURNAL__STALL_AFTER", "60s".to_owned())];
    let (mut cluster, proxy) = behind_a_proxy(patient).await;
    let scheduler = cluster.member("scheduler", 0).address.clone();
    let mut direct = Direct::open(&scheduler).await;
    // Far in the future, so that no worker adds events of its own.
    let later = Context::system()
        .clock
        .now()
        .plus(Duration::from_secs(3_600))
        .as_micros();
    let submit = |number: u64| Some(submit(number, &format!("gather-{number}"), Some(later)));
    proxy.set(Direction::ToClient, Flow::Hold);
    direct.send(1, submit(1));
    let etcd = cluster.etcd.connect(&Context::system(), "lepton");
    let held = || async {
        lepton_journal::inspect::status(&etcd)
            .await
            .is_ok_and(|status| status.task_count == 1)
    };
    eventually(PATIENCE, held).await;
    (2..=GATHERED + 1).for_each(|number| direct.send(number, submit(number)));
    // An empty request is answered as soon as it is read: all before it have reached the leader.
    direct.send(0, None);
    let read = direct.next().await.expect("an answer");
    assert_eq!(read.number, 0, "nothing else is answered while the append is held");
    let before = revision(&cluster).await;
    proxy.set(Direction::ToClient, Flow::Pass);
    let mut acknowledged = BTreeSet::new();
    while acknowledged.len() <= GATHERED as usize {
        let answer = direct.next().await.expect("an answer");
        assert!(matches!(answer.outcome, Some(Outcome::Task(_))), "{answer:?}");
        acknowledged.insert(answer.number);
    }
    let transactions = revision(&cluster).await - before;
    println!("{GATHERED} submits that gathered took {transactions} transactions");
    assert!(transactions < TRANSACTIONS_MAX, "{transactions}");
    let audit = Audit::of(&cluster.etcd.endpoints()[0]).await;
    assert_eq!(audit.events("submitted").count() as u64, GATHERED + 1);
}

/// The digests that a scheduler remembers, and whether it leads.
async fn digests(address: &str) -> Option<(bool, Vec<SegmentDigest>)> {
    let mut client = SchedulerServiceClient::new(Net::Os.channel(address));
    let position = client.get_position(GetPositionRequest {}).await.ok()?.into_inner();
    Some((position.leader, position.recent))
}

#[tokio::test(flavor = "multi_thread")]
async fn standbys_equal_the_leader_at_every_segment() {
    let _exclusive = exclusive().await;
    let sizes = Sizes {
        gateways: 1,
        schedulers: 3,
        workers: 2,
        monitors: 0,
    };
    let cluster = Cluster::start(sizes).await;
    leading(&cluster.rest(0)).await;
    let mut load = Load::start(
        &gateways(&cluster),
        Plan {
            rest: Duration::from_millis(20),
            ..Plan::FULL
        },
    );
    let schedulers: Vec<String> = cluster
        .of("scheduler")
        .iter()
        .map(|member| member.address.clone())
        .collect();
    let mut seen: Vec<BTreeMap<u64, SegmentDigest>> = vec![BTreeMap::new(); schedulers.len()];
    let mut leaders = BTreeSet::new();
    let watching = async {
        while load.is_under_way() {
            for (number, address) in schedulers.iter().enumerate() {
                if let Some((leads, recent)) = digests(address).await {
                    seen[number].extend(recent.into_iter().map(|digest| (digest.segment, digest)));
                    leaders.extend(leads.then_some(number));
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let ended = tokio::time::timeout(PATIENCE * 3, watching).await;
    ended.expect("everything is acknowledged");
    let leader = leaders.pop_first().expect("somebody leads");
    assert!(leaders.is_empty(), "nobody took over");
    for (number, standby) in seen.iter().enumerate().filter(|(number, _)| *number != leader) {
        let both: Vec<_> = standby
            .iter()
            .filter_map(|(at, digest)| Some((digest, seen[leader].get(at)?)))
            .collect();
        both.iter()
            .for_each(|(ours, theirs)| assert_eq!(ours, theirs, "scheduler {number} and the leader"));
        println!("scheduler {number} equals the leader at {} segments", both.len());
        assert!(
            both.len() >= COMPARED_MIN,
            "only {} segments were seen of both",
            both.len()
        );
    }
    account(&cluster, &cluster.rest(0), &load.done().await).await;
}
