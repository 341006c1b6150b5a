//! Events survive the journal, and hostile bytes are answered with errors.

use super::*;
use crate::convert::arbitrary;
use lepton_domain::ids::TaskId;
use proptest::prelude::*;
use prost::Message as _;

fn decode(bytes: bytes::Bytes) -> Result<Event, ConvertError> {
    wire::Event::decode(bytes).expect("it is a message").try_into()
}

proptest! {
    #[test]
    fn every_event_survives_the_journal(event in arbitrary::event()) {
        let bytes = wire::Event::from(&event).encode_to_vec();
        let again = decode(bytes.clone().into()).unwrap();
        prop_assert_eq!(&again, &event);
        prop_assert_eq!(wire::Event::from(&again).encode_to_vec(), bytes);
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(event) = wire::Event::decode(bytes.as_slice()) {
            let _ = Event::try_from(event);
        }
    }

    #[test]
    fn damaged_events_never_panic(event in arbitrary::event(), at in any::<usize>(), byte in any::<u8>()) {
        let mut bytes = wire::Event::from(&event).encode_to_vec();
        let length = bytes.len();
        bytes[at % length] = byte;
        if let Ok(event) = wire::Event::decode(bytes.as_slice()) {
            let _ = Event::try_from(event);
        }
    }
}

#[test]
fn the_storage_format_stays() {
    let event = Event::Started {
        attempt: AttemptId {
            task: TaskId::from_u128(1),
            number: 2,
        },
        worker: "w".into(),
    };
    let bytes = wire::Event::from(&event).encode_to_vec();
    let mut expected = vec![0x22, 25, 0x0a, 20, 0x0a, 16];
    expected.extend(1_u128.to_be_bytes());
    expected.extend([0x10, 2, 0x12, 1, b'w']);
    assert_eq!(bytes, expected);
}

#[test]
fn what_is_absent_or_unknown_is_named() {
    let fails = |change: Option<Change>| Event::try_from(wire::Event { change }).unwrap_err().to_string();
    assert_eq!(fails(None), "event.change: is absent");
    assert_eq!(
        fails(Some(Change::Started(wire::Started::default()))),
        "started.attempt: is absent"
    );
    let short = wire::Expired {
        task: vec![1, 2, 3].into(),
    };
    assert_eq!(
        fails(Some(Change::Expired(short))),
        "expired.task: has 3 bytes instead of 16"
    );
    let failure = wire::Failure {
        code: 99,
        ..Default::default()
    };
    let failed = wire::Failed {
        task: task_id_bytes(TaskId::MIN),
        attempt: None,
        error: Some(failure),
    };
    assert_eq!(
        fails(Some(Change::Failed(failed))),
        "failure.code: is 99, which stands for nothing known"
    );
}

#[test]
fn an_event_of_a_later_version_is_an_error() {
    // Field 99, which no version knows yet.
    let bytes = vec![0x9a, 0x06, 0x00];
    assert_eq!(decode(bytes.into()).unwrap_err().problem, Problem::Absent);
}

#[test]
fn payloads_are_shared_not_copied() {
    let payload = Payload::binary(vec![7; 1_000]);
    let attempt = AttemptId {
        task: TaskId::MIN,
        number: 1,
    };
    let event = Event::Succeeded {
        attempt,
        worker: "w".into(),
        output: payload,
    };
    let bytes = bytes::Bytes::from(wire::Event::from(&event).encode_to_vec());
    let Event::Succeeded { output, .. } = decode(bytes.clone()).unwrap() else {
        panic!("another event")
    };
    let Content::Inline(inline) = output.content else {
        panic!("a blob")
    };
    assert!(bytes.as_ptr_range().contains(&inline.as_ptr()));
}
