//! A mark holds as it was sealed, and in no other form.

use super::*;

fn mark() -> Mark {
    Mark {
        incarnation: "one".to_owned(),
        revision: 9,
        segment: 5,
        seq: 40,
        segment_hash: vec![7; 32].into(),
        mac: Vec::new().into(),
    }
}

#[test]
fn only_a_sealed_mark_holds() {
    let key = MarkKey::new([1; 32]);
    let sealed = key.seal(mark());
    assert!(key.holds(&sealed));
    assert_eq!(
        Mark {
            mac: mark().mac,
            ..sealed.clone()
        },
        mark(),
        "sealing changes nothing else"
    );
    assert!(!key.holds(&mark()), "without a code");
    assert!(!MarkKey::new([2; 32]).holds(&sealed), "under another key");
    let short = Mark {
        mac: sealed.mac.slice(..31),
        ..sealed
    };
    assert!(!key.holds(&short));
}

#[test]
fn every_field_is_sealed() {
    let key = MarkKey::new([1; 32]);
    let sealed = key.seal(mark());
    let changes: [fn(&mut Mark); 6] = [
        |mark| mark.incarnation = "two".to_owned(),
        |mark| mark.revision += 1,
        |mark| mark.segment += 1_000_000,
        |mark| mark.seq += 1,
        |mark| mark.segment_hash = vec![8; 32].into(),
        // The same bytes, with another border between two fields.
        |mark| (mark.incarnation, mark.segment_hash) = ("one\u{7}".to_owned(), vec![7; 31].into()),
    ];
    for change in changes {
        let mut changed = sealed.clone();
        change(&mut changed);
        assert!(!key.holds(&changed), "{changed:?}");
    }
}

#[test]
fn a_key_is_not_shown() {
    assert_eq!(format!("{:?}", MarkKey::new([77; 32])), "MarkKey");
}
