//! A peer that has seen more ends the leadership.

use super::*;

fn mark(segment: u64, hash: &'static [u8]) -> Mark {
    Mark {
        incarnation: "one".to_owned(),
        segment,
        segment_hash: hash.into(),
        ..Mark::default()
    }
}

async fn kept() -> (HighWaterMark, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let own = lepton_domain::ids::InstanceId::new("scheduler-1");
    let kept = HighWaterMark::open(directory.path(), "mesh", &own).await.unwrap();
    (kept, directory)
}

#[tokio::test]
async fn a_peer_that_is_behind_or_level_proves_nothing() {
    let (kept, _directory) = kept().await;
    let own = mark(5, b"five");
    assert_eq!(compare(&mark(4, b"other"), &own, &kept), Ok(()));
    assert_eq!(compare(&mark(5, b"five"), &own, &kept), Ok(()));
    let elsewhere = Mark {
        incarnation: "two".to_owned(),
        ..mark(9, b"nine")
    };
    assert_eq!(
        compare(&elsewhere, &own, &kept),
        Ok(()),
        "a mark of another incarnation"
    );
    assert_eq!(kept.mark(), Mark::default());
}

#[tokio::test]
async fn a_peer_with_a_later_segment_or_another_history_ends_the_leadership() {
    let (kept, _directory) = kept().await;
    let own = mark(5, b"five");
    let other = mark(5, b"other");
    assert_eq!(compare(&other, &own, &kept), Err(LeadershipLost::Diverged(5)));
    assert_eq!(kept.mark(), other);
    let ahead = mark(6, b"six");
    assert_eq!(
        compare(&ahead, &own, &kept),
        Err(LeadershipLost::Behind { seen: 6, last: 5 })
    );
    assert_eq!(kept.mark(), ahead, "it is kept, so that nobody leads here without it");
}
