//! Membership and load of one instance, without a network.

use super::*;
use lepton_coordination::registry::{Instance, NodeState};
use lepton_core::net::Net;
use lepton_domain::time::Timestamp;

fn endpoint(state: NodeState) -> Arc<Endpoint> {
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
    Arc::new(Endpoint::new(
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

fn now(endpoint: &Endpoint) -> picker::Candidate {
    endpoint.candidate(Duration::from_secs(1))
}

#[tokio::test]
async fn silence_is_no_answer() {
    let endpoint = endpoint(NodeState::Ready);
    assert!(!endpoint.is_live(Duration::ZERO));
    endpoint.update(stats(0));
    assert!(endpoint.takes_calls(Duration::from_millis(900)));
    assert!(!endpoint.takes_calls(Duration::from_millis(1_100)));
    endpoint.disconnected();
    assert!(!endpoint.is_live(Duration::ZERO));
}

#[tokio::test]
async fn it_leaves_when_neither_etcd_nor_its_stream_knows_it() {
    let endpoint = endpoint(NodeState::Ready);
    endpoint.update(stats(0));
    endpoint.set_entry(None);
    assert!(!endpoint.is_gone());
    endpoint.disconnected();
    assert!(endpoint.is_gone());
}

#[tokio::test]
async fn own_calls_count_at_once_and_only_once() {
    let endpoint = endpoint(NodeState::Ready);
    let first = InFlight::new(endpoint.clone());
    endpoint.update(stats(3));
    assert_eq!(now(&endpoint).in_flight, 3);
    let second = InFlight::new(endpoint.clone());
    assert_eq!(now(&endpoint).in_flight, 4);
    first.succeed();
    drop(second);
    assert_eq!(now(&endpoint).in_flight, 2);
}

#[tokio::test]
async fn failures_are_avoided_for_longer_and_longer() {
    let endpoint = endpoint(NodeState::Ready);
    endpoint.update(stats(0));
    InFlight::new(endpoint.clone()).fail();
    assert!(endpoint.candidate(Duration::from_millis(400)).failing);
    assert!(!endpoint.candidate(Duration::from_millis(600)).failing);
    InFlight::new(endpoint.clone()).fail();
    assert!(endpoint.candidate(Duration::from_millis(900)).failing);
    InFlight::new(endpoint.clone()).succeed();
    assert!(!endpoint.candidate(Duration::ZERO).failing);
}

#[tokio::test]
async fn draining_is_believed_from_either_side() {
    assert!(now(&endpoint(NodeState::Draining)).draining);
    let told = endpoint(NodeState::Ready);
    told.update(WatchStatsResponse {
        draining: true,
        ..stats(0)
    });
    assert!(now(&told).draining);
    assert!(!told.takes_calls(Duration::ZERO));
}
