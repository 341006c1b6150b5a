//! A peer that has seen more ends the leadership; one that says so without a proof does not.

use super::*;

fn key() -> MarkKey {
    MarkKey::new([1; 32])
}

fn mark(segment: u64, hash: &'static [u8]) -> Mark {
    Mark {
        incarnation: "one".to_owned(),
        segment,
        segment_hash: hash.into(),
        ..Mark::default()
    }
}

struct Bench {
    marks: PeerMarks,
    _directory: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let own = lepton_domain::ids::InstanceId::new("scheduler-1");
        let kept = HighWaterMark::open(directory.path(), "mesh", &own).await.unwrap();
        Self {
            marks: PeerMarks::new(key(), kept, &Context::system()),
            _directory: directory,
        }
    }

    /// Compares a mark with the leader's, which ends with segment 5.
    fn compare(&mut self, shown: Mark, second: u64) -> Result<(), LeadershipLost> {
        let peer = PeerMark {
            sender: "worker-1".to_owned(),
            mark: shown,
        };
        let own = mark(5, b"five");
        self.marks.compare(&peer, &own, Duration::from_secs(second))
    }

    fn kept(&self) -> Mark {
        self.marks.high_water.mark()
    }
}

#[tokio::test]
async fn a_peer_that_is_behind_or_level_proves_nothing() {
    let mut bench = Bench::new().await;
    for mark in [mark(4, b"other"), mark(5, b"five")] {
        assert_eq!(bench.compare(key().seal(mark), 0), Ok(()));
    }
    let elsewhere = Mark {
        incarnation: "two".to_owned(),
        ..mark(9, b"nine")
    };
    assert_eq!(
        bench.compare(key().seal(elsewhere), 0),
        Ok(()),
        "a mark of another incarnation"
    );
    assert_eq!(bench.kept(), Mark::default());
    assert_eq!((bench.marks.ignored.get(), bench.marks.ahead.get()), (0, 0));
}

#[tokio::test]
async fn a_peer_with_a_later_segment_or_another_history_ends_the_leadership() {
    let mut bench = Bench::new().await;
    let other = mark(5, b"other");
    assert_eq!(
        bench.compare(key().seal(other.clone()), 0),
        Err(LeadershipLost::Diverged(5))
    );
    assert_eq!(bench.kept(), other);
    let ahead = mark(6, b"six");
    assert_eq!(
        bench.compare(key().seal(ahead.clone()), 0),
        Err(LeadershipLost::Behind { seen: 6, last: 5 })
    );
    assert_eq!(bench.kept(), ahead, "it is kept, so that nobody leads here without it");
    assert_eq!(bench.marks.ahead.get(), 2);
}

#[tokio::test]
async fn a_claim_changes_nothing_and_is_counted() {
    let mut bench = Bench::new().await;
    let sealed = key().seal(mark(5, b"five"));
    let claims = [
        mark(1_000_000, b"claimed"),
        mark(5, b"other"),
        Mark {
            segment: 1_000_000,
            ..sealed
        },
        MarkKey::new([2; 32]).seal(mark(6, b"six")),
    ];
    for claim in claims {
        assert_eq!(bench.compare(claim, 0), Ok(()));
    }
    assert_eq!(bench.kept(), Mark::default(), "nothing of it is kept");
    assert_eq!((bench.marks.ignored.get(), bench.marks.ahead.get()), (4, 0));
}

#[tokio::test]
async fn claims_are_reported_at_a_bounded_rate() {
    let mut bench = Bench::new().await;
    let mut unreported = Vec::new();
    for second in [0, 1, 9, 10, 11] {
        bench.compare(mark(6, b"claimed"), second).expect("ignored");
        unreported.push(bench.marks.unreported);
    }
    assert_eq!(unreported, [0, 1, 2, 0, 1]);
}

#[tokio::test]
async fn what_peers_show_is_a_condition_until_they_stop() {
    let mut bench = Bench::new().await;
    let standing = |bench: &Bench| -> Vec<(String, String)> {
        let standing = bench.marks.conditions.standing();
        standing.into_iter().map(|one| (one.kind, one.subject)).collect()
    };
    assert_eq!(bench.compare(mark(1_000_000, b"made up"), 0), Ok(()));
    let wanted = [("unsealed-marks".to_owned(), "worker-1".to_owned())];
    assert_eq!(standing(&bench), wanted);
    bench.marks.tick(Duration::from_secs(30));
    assert_eq!(standing(&bench), wanted);
    bench.marks.tick(Duration::from_secs(90));
    assert_eq!(standing(&bench), []);
    assert!(bench.compare(key().seal(mark(6, b"six")), 91).is_err());
    assert_eq!(standing(&bench), [("journal-behind".to_owned(), "etcd".to_owned())]);
}
