//! The stored bytes: what comes back, and what damage is noticed.

use lepton_domain::ids::InstanceId;

use super::*;

fn segment() -> wire::Segment {
    let event = Event::EpochStarted {
        leader: InstanceId::new("scheduler-1"),
    };
    wire::Segment {
        format: FORMAT_MAX,
        epoch: 7,
        number: 3,
        previous_hash: Bytes::from_static(&[9; 32]),
        journal_time_us: 1_000,
        first_seq: 40,
        events: vec![(&event).into()],
        state_digest: Bytes::from_static(&[5; 32]),
        crc: 0,
    }
}

#[test]
fn a_segment_comes_back_with_its_hash() {
    let sealed = encode_segment(segment());
    let (found, hash) = decode_segment(&Bytes::from(sealed.bytes.clone())).unwrap();
    assert_eq!(hash, sealed.hash);
    assert_eq!(wire::Segment { crc: 0, ..found }, segment());
    assert_eq!(hash, *blake3::hash(&sealed.bytes).as_bytes());
}

#[test]
fn the_checksum_is_a_field_of_the_message() {
    let sealed = encode_segment(segment());
    let plain = wire::Segment::decode(sealed.bytes.as_slice()).unwrap();
    assert_eq!(plain.crc, crc32c::crc32c(&segment().encode_to_vec()));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let sealed = encode_segment(segment());
    for bit in 0..sealed.bytes.len() * 8 {
        let mut bytes = sealed.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(decode_segment(&Bytes::from(bytes)).is_err(), "bit {bit}");
    }
}

#[test]
fn every_cut_is_noticed() {
    let sealed = encode_segment(segment());
    for length in 0..sealed.bytes.len() {
        let bytes = Bytes::copy_from_slice(&sealed.bytes[..length]);
        assert!(decode_segment(&bytes).is_err(), "length {length}");
    }
}

#[test]
fn a_later_format_is_refused() {
    let sealed = encode_segment(wire::Segment {
        format: FORMAT_MAX + 1,
        ..segment()
    });
    let error = decode_segment(&Bytes::from(sealed.bytes)).unwrap_err();
    assert_eq!(error, Damage::Format(FORMAT_MAX + 1));
}

#[test]
fn an_unknown_event_is_never_skipped() {
    let mut later = segment();
    later.events.push(wire::Event { change: None });
    let sealed = encode_segment(later);
    assert_eq!(
        decode_segment(&Bytes::from(sealed.bytes)).unwrap_err(),
        Damage::UnknownEvent(1)
    );
}

#[test]
fn a_chunk_stands_where_it_belongs() {
    let chunk = wire::SnapshotChunk {
        format: FORMAT_MAX,
        number: 2,
        header: None,
        tasks: Vec::new(),
        crc: 0,
    };
    let bytes = Bytes::from(encode_chunk(chunk));
    assert_eq!(decode_chunk(&bytes, 2).unwrap().number, 2);
    assert_eq!(
        decode_chunk(&bytes, 1).unwrap_err(),
        Damage::Number { expected: 1, found: 2 }
    );
}

#[test]
fn the_length_of_an_event_is_bounded_without_encoding_it() {
    let events = [
        Event::EpochStarted {
            leader: InstanceId::new("s".repeat(300)),
        },
        Event::FormatActivated { format: u32::MAX },
        Event::Cancelled {
            task: lepton_domain::ids::TaskId::from_u128(u128::MAX),
            message: "m".repeat(4_000),
        },
    ];
    for event in events {
        let exact = wire::Event::from(&event).encoded_len() + EVENT_FRAME_BYTES;
        assert!(encoded_len(&event) >= exact, "{event:?}");
    }
}
