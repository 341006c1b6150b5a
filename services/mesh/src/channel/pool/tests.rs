//! Membership and load of one instance, without a network.

use super::*;
use lepton_coordination::registry::{Instance, NodeState};
use lepton_core::net::Net;
use lepton_domain::time::Timestamp;

fn member(state: NodeState) -> Arc<Member> {
    let instance = Instance {
        id: InstanceId::new("worker-1"),
        service: "worker".into(),
        address: "127.0.0.1:1".into(),
        state,
        version: String::new(),
        started: Timestamp::default(),
        metadata: BTreeMap::new(),
    };
    let clock = Clock::system();
    Arc::new(Member::new(
        &instance,
        Net::Os.channel(&instance.address),
        clock,
        PoolConfig::default(),
    ))
}

fn stats(in_flight: u32) -> WatchStatsResponse {
    WatchStatsResponse {
        instance: "worker-1".into(),
        ready: true,
        in_flight,
        slots: 4,
        ..Default::default()
    }
}

fn now(member: &Member) -> picker::Candidate {
    member.candidate(Duration::from_secs(1))
}

#[tokio::test]
async fn silence_is_no_answer() {
    let member = member(NodeState::Ready);
    assert!(!member.hears(Duration::ZERO));
    member.hear(stats(0));
    assert!(member.takes_calls(Duration::from_millis(900)));
    assert!(!member.takes_calls(Duration::from_millis(1_100)));
    member.lose();
    assert!(!member.hears(Duration::ZERO));
}

#[tokio::test]
async fn it_leaves_when_neither_etcd_nor_its_stream_knows_it() {
    let member = member(NodeState::Ready);
    member.hear(stats(0));
    member.set_entry(None);
    assert!(!member.is_gone());
    member.lose();
    assert!(member.is_gone());
}

#[tokio::test]
async fn own_calls_count_at_once_and_only_once() {
    let member = member(NodeState::Ready);
    let first = InFlight::new(member.clone());
    member.hear(stats(3));
    assert_eq!(now(&member).in_flight, 3);
    let second = InFlight::new(member.clone());
    assert_eq!(now(&member).in_flight, 4);
    first.succeed();
    drop(second);
    assert_eq!(now(&member).in_flight, 2);
}

#[tokio::test]
async fn failures_are_avoided_for_longer_and_longer() {
    let member = member(NodeState::Ready);
    member.hear(stats(0));
    InFlight::new(member.clone()).fail();
    assert!(member.candidate(Duration::from_millis(400)).failing);
    assert!(!member.candidate(Duration::from_millis(600)).failing);
    InFlight::new(member.clone()).fail();
    assert!(member.candidate(Duration::from_millis(900)).failing);
    InFlight::new(member.clone()).succeed();
    assert!(!member.candidate(Duration::ZERO).failing);
}

#[tokio::test]
async fn draining_is_believed_from_either_side() {
    assert!(now(&member(NodeState::Draining)).draining);
    let told = member(NodeState::Ready);
    told.hear(WatchStatsResponse {
        draining: true,
        ..stats(0)
    });
    assert!(now(&told).draining);
    assert!(!told.takes_calls(Duration::ZERO));
}
