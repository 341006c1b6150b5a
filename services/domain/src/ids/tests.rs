//! Ids print as what they parse from, and UUIDv7 has its bits in place.

use super::*;

#[test]
fn uuid_v7_has_time_version_and_variant() {
    let id = TaskId::v7(0x0123_4567_89ab, u128::MAX);
    assert_eq!(id.to_string(), "01234567-89ab-7fff-bfff-ffffffffffff");
    assert_eq!(
        TaskId::v7(0x0123_4567_89ab, 0).to_string(),
        "01234567-89ab-7000-8000-000000000000"
    );
    assert_eq!(id.to_string().parse::<TaskId>().unwrap(), id);
    assert!(TaskId::v7(2, 0) > TaskId::v7(1, u128::MAX), "later ids sort later");
}

#[test]
fn other_spellings_of_a_uuid_are_refused() {
    for text in [
        "",
        "0123456789ab7fffbfffffffffffffff",
        "{01234567-89ab-7fff-bfff-ffffffffffff}",
        "x",
    ] {
        assert!(text.parse::<TaskId>().is_err(), "{text}");
    }
}

#[test]
fn digests_and_versions_round_trip() {
    let digest = ContentDigest(std::array::from_fn(|i| i as u8 * 7));
    assert_eq!(digest.to_string().parse::<ContentDigest>().unwrap(), digest);
    assert!("zz".parse::<ContentDigest>().is_err());
    let version = Version {
        epoch: Epoch(4),
        seq: Seq(19),
    };
    assert_eq!("4-19".parse::<Version>().unwrap(), version);
    assert_eq!(version.to_string(), "4-19");
    assert!("4".parse::<Version>().is_err());
    assert!(
        Version {
            epoch: Epoch(5),
            seq: Seq(1)
        } > version
    );
}
