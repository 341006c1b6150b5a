//! The stored form of an instance.

use super::*;

fn instance() -> Instance {
    Instance {
        id: InstanceId::new("worker-1"),
        service: "worker".into(),
        address: "127.0.0.1:7000".into(),
        state: NodeState::Ready,
        version: "0.1.0".into(),
        started: Timestamp::from_micros(1_234),
        metadata: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
    }
}

#[test]
fn any_resolver_finds_the_address() {
    let text: serde_json::Value = serde_json::from_slice(&instance().encode()).expect("JSON");
    assert_eq!(text["Addr"], "127.0.0.1:7000");
    assert_eq!(text["Metadata"]["state"], "ready");
}

#[test]
fn an_instance_survives_the_round_trip() {
    assert_eq!(
        Instance::decode("worker/worker-1", &instance().encode()),
        Some(instance())
    );
}

#[test]
fn an_entry_of_another_version_is_still_an_address() {
    let value = br#"{"Addr":"h:1","Metadata":{"colour":"blue"},"Op":0}"#;
    let read = Instance::decode("worker/w", value).expect("readable");
    assert_eq!((read.address.as_str(), read.state), ("h:1", NodeState::Starting));
    assert_eq!(Instance::decode("worker/w", b"not JSON"), None);
    assert_eq!(Instance::decode("worker", b"{}"), None);
}
