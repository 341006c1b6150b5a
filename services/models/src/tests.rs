//! The stored form of a model, and what instances tell of theirs.

use std::collections::BTreeMap;

use lepton_domain::ids::{ContentDigest, InstanceId};
use lepton_domain::model::{DataType, Model, Signature, Tensor, Version};
use lepton_domain::reason::Reason;
use lepton_domain::time::Timestamp;

use super::loaded::{self, Loaded, State};
use super::record::{self, Record};
use lepton_coordination::registry::{Instance, NodeState};

fn version(number: u32) -> Version {
    let tensor = |name: &str| Tensor {
        name: name.into(),
        datatype: DataType::Fp64,
        shape: vec![-1, 3],
    };
    Version {
        number,
        digest: ContentDigest([7; 32]),
        blob: format!("m/{number}"),
        bytes: 123,
        created: Timestamp::from_micros(1_234_567),
        signature: Signature {
            inputs: vec![tensor("x")],
            outputs: vec![tensor("y")],
        },
        lineage: BTreeMap::from([("task".to_owned(), "1".to_owned())]),
    }
}

fn sample() -> Record {
    let model = Model {
        name: "m".into(),
        versions: vec![version(1), version(4)],
        deployed: Some(4),
        previous: None,
        next: 5,
    };
    Record {
        model,
        changes: vec!["a".into(), "b".into()],
    }
}

#[test]
fn a_record_survives_the_round_trip() {
    let value = record::encode(&sample()).expect("small");
    assert_eq!(record::decode("m", &value), Ok(sample()));
}

#[test]
fn what_this_program_does_not_know_is_refused() {
    let reason = |value: &[u8]| record::decode("m", value).expect_err("refused").reason;
    assert_eq!(reason(br#"{"format":2,"colour":"blue"}"#), Reason::FormatUnsupported);
    assert_eq!(reason(b"not JSON"), Reason::DataCorrupt);
    assert_eq!(reason(br#"{"format":1}"#), Reason::DataCorrupt);
    let mut unordered = sample();
    unordered.model.versions.reverse();
    let value = record::encode(&unordered).expect("small");
    assert_eq!(reason(&value), Reason::DataCorrupt);
}

#[test]
fn a_record_has_a_size_limit() {
    let mut large = sample();
    large.model.versions = (1..=1_000).map(version).collect();
    for version in &mut large.model.versions {
        version.lineage.insert("k".into(), "v".repeat(1_000));
    }
    let error = record::encode(&large).expect_err("large");
    assert_eq!(error.reason, Reason::QuotaExceeded);
}

#[test]
fn what_is_loaded_is_told_in_the_registry_and_bounded() {
    let told = [
        Loaded {
            name: "m".into(),
            version: 2,
            state: State::Ready,
            message: String::new(),
        },
        Loaded {
            name: "n".into(),
            version: 1,
            state: State::Failed,
            message: "ä".repeat(10_000),
        },
    ];
    let mut instance = Instance {
        id: InstanceId::new("worker-1"),
        service: "worker".into(),
        address: "h:1".into(),
        state: NodeState::Ready,
        version: String::new(),
        started: Timestamp::default(),
        metadata: BTreeMap::from([(loaded::KEY.to_owned(), loaded::encode(&told))]),
    };
    let read = loaded::of(&instance);
    assert_eq!((&read[0], read[1].state), (&told[0], State::Failed));
    assert!(read[1].message.chars().count() < 1_000);
    instance.metadata.insert(loaded::KEY.to_owned(), "nonsense".into());
    assert!(loaded::of(&instance).is_empty());
}
