//! Segments that are not what was written.

use bytes::Bytes;
use lepton_domain::ledger::FORMAT_MAX;
use lepton_journal::Replica;
use lepton_journal::codec::{self, Damage};
use lepton_journal::follow::{FollowError, catch_up};
use lepton_journal::inspect::verify;
use lepton_proto::journal::v1 as wire;

use super::fixture::{Fixture, Leader, succeeded};

/// A journal of some segments.
async fn journal() -> (Fixture, Leader) {
    let fixture = Fixture::start().await;
    let mut leader = fixture.lead("scheduler-1").await;
    leader.submit_all(1..6).await;
    (fixture, leader)
}

async fn stored(fixture: &Fixture, number: u64) -> Vec<u8> {
    let found = fixture
        .etcd
        .get(fixture.etcd.keys().segment(number))
        .await
        .expect("etcd answers");
    found.expect("the segment is there").value().to_vec()
}

async fn overwrite(fixture: &Fixture, number: u64, bytes: Vec<u8>) {
    let put = etcd_client::TxnOp::put(fixture.etcd.keys().segment(number), bytes, None);
    fixture
        .etcd
        .txn(Vec::new(), vec![put], Vec::new())
        .await
        .expect("etcd takes it");
}

/// Changes a segment and gives it a good checksum.
async fn forge(fixture: &Fixture, number: u64, change: impl FnOnce(&mut wire::Segment)) {
    let bytes = Bytes::from(stored(fixture, number).await);
    let (mut segment, _) = codec::decode_segment(&bytes).expect("it is whole");
    change(&mut segment);
    overwrite(fixture, number, codec::encode_segment(segment).bytes).await;
}

/// A replica stops there, and the check names the breach.
async fn stops(fixture: &Fixture) -> FollowError {
    let verification = verify(&fixture.etcd).await.expect("etcd answers");
    assert!(!verification.is_ok(), "the check holds although the journal is damaged");
    let mut replica = Replica::new();
    let error = catch_up(&fixture.etcd, &mut replica)
        .await
        .expect_err("the replica goes on");
    assert!(!error.is_transient());
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_is_noticed() {
    let (fixture, _) = journal().await;
    let mut bytes = stored(&fixture, 3).await;
    bytes[20] ^= 4;
    overwrite(&fixture, 3, bytes).await;
    let error = stops(&fixture).await;
    assert!(
        matches!(
            error,
            FollowError::Corrupt {
                segment: 3,
                why: Damage::Checksum { .. }
            }
        ),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_of_another_history_is_noticed() {
    let (fixture, _) = journal().await;
    forge(&fixture, 3, |segment| segment.journal_time_us += 1).await;
    assert_eq!(
        stops(&fixture).await,
        FollowError::Corrupt {
            segment: 4,
            why: Damage::Chain
        }
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_with_another_state_is_noticed() {
    let (fixture, _) = journal().await;
    forge(&fixture, 6, |segment| segment.state_digest = vec![3; 32].into()).await;
    let error = stops(&fixture).await;
    assert!(
        matches!(error, FollowError::DigestMismatch { segment: 6, .. }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_is_checked() {
    let (fixture, _) = journal().await;
    let honest = stored(&fixture, 6).await;
    forge(&fixture, 6, |segment| segment.first_seq += 1).await;
    assert!(matches!(
        stops(&fixture).await,
        FollowError::Corrupt {
            segment: 6,
            why: Damage::Seq { .. }
        }
    ));
    overwrite(&fixture, 6, honest.clone()).await;
    forge(&fixture, 6, |segment| segment.epoch -= 1).await;
    assert!(matches!(
        stops(&fixture).await,
        FollowError::Corrupt {
            segment: 6,
            why: Damage::Epoch { .. }
        }
    ));
    overwrite(&fixture, 6, honest.clone()).await;
    forge(&fixture, 6, |segment| segment.journal_time_us = 1).await;
    assert!(matches!(
        stops(&fixture).await,
        FollowError::Corrupt {
            segment: 6,
            why: Damage::Time
        }
    ));
    overwrite(&fixture, 6, honest.clone()).await;
    forge(&fixture, 6, |segment| segment.number = 7).await;
    assert!(matches!(
        stops(&fixture).await,
        FollowError::Corrupt {
            segment: 6,
            why: Damage::Number { .. }
        }
    ));
    overwrite(&fixture, 6, honest).await;
    fixture.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_event_stops_a_replica() {
    let (fixture, leader) = journal().await;
    forge(&fixture, 6, |segment| segment.events.push(wire::Event { change: None })).await;
    assert_eq!(
        stops(&fixture).await,
        FollowError::UnknownEvent { segment: 6, index: 1 }
    );
    let mut replica = Replica::new();
    let again = catch_up(&fixture.etcd, &mut replica).await;
    assert!(again.is_err());
    assert_eq!(
        replica.position.segment, 5,
        "everything before it is applied, nothing of it"
    );
    assert_eq!(replica.ledger.len(), leader.ledger.len() - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_format_stops_a_replica() {
    let (fixture, _) = journal().await;
    forge(&fixture, 6, |segment| segment.format = FORMAT_MAX + 1).await;
    assert_eq!(
        stops(&fixture).await,
        FollowError::Corrupt {
            segment: 6,
            why: Damage::Format(FORMAT_MAX + 1)
        }
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_success_is_a_breach() {
    let (fixture, mut leader) = journal().await;
    let draft = leader.batch(vec![super::fixture::succeed(1)]);
    leader.writer.append(draft).await.unwrap();
    fixture.verified().await;
    let last = leader.writer.position().segment;
    forge(&fixture, last, |segment| segment.events.push((&succeeded(1)).into())).await;
    let error = stops(&fixture).await;
    assert!(
        matches!(
            error,
            FollowError::Corrupt {
                why: Damage::Illegal(_),
                ..
            }
        ),
        "{error}"
    );
}
