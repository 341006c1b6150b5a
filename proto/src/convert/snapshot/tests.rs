//! Task records and headers give back what they were made from.

use super::*;
use crate::convert::arbitrary;
use proptest::prelude::*;
use prost::Message as _;

proptest! {
    #[test]
    fn every_task_survives_its_record(task in arbitrary::task()) {
        let bytes = wire::TaskRecord::from(&task).encode_to_vec();
        let record = wire::TaskRecord::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(Task::try_from(record).unwrap(), task);
    }

    #[test]
    fn hostile_records_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(record) = wire::TaskRecord::decode(bytes.as_slice()) {
            let _ = Task::try_from(record);
        }
    }
}

#[test]
fn headers_come_back() {
    let header = Header {
        format: 1,
        epoch: Epoch(7),
        opened: Epoch(6),
        leader: Some("s1".into()),
        seq: Seq(99),
        now: Timestamp::from_micros(123),
        paused: [("t".into(), "echo".into()), ("u".into(), "train".into())].into(),
        tasks: 5,
        digest: StateDigest([1, 2, 3, 4]),
    };
    let wire = snapshot_header(&header, 12, vec![9; 32].into());
    assert_eq!((wire.segment, wire.task_count), (12, 5));
    assert_eq!(Header::try_from(&wire).unwrap(), header);
    let broken = wire::SnapshotHeader {
        state_digest: vec![1].into(),
        ..wire
    };
    assert_eq!(Header::try_from(&broken).unwrap_err().field, "snapshot.state_digest");
}

#[test]
fn states_are_numbered_as_clients_know_them() {
    for state in State::ALL {
        assert_eq!(read_state("state", state_number(*state)).unwrap(), *state);
        assert_eq!(task::state(*state).as_str_name(), format!("STATE_{}", state.name()));
    }
    assert!(read_state("state", 0).is_err() && read_state("state", 8).is_err());
}
