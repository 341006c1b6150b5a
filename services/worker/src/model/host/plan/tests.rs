//! A former version outlives the arrival of its successor, and a failed one is tried again when that may help.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn key(number: u32) -> Key {
    ("m".to_owned(), number)
}

fn version(number: u32) -> Version {
    Version {
        number,
        digest: lepton_domain::ids::ContentDigest([0; 32]),
        blob: String::new(),
        bytes: 0,
        created: Default::default(),
        signature: Default::default(),
        lineage: Default::default(),
    }
}

/// The plan when this version is deployed, at this second.
fn planned(deployed: Option<u32>, standing: &[(u32, Stage, Option<u64>)], now: u64) -> Plan {
    let versions: Vec<Version> = deployed.into_iter().map(version).collect();
    let wanted = versions.iter().map(|version| (key(version.number), version)).collect();
    let standing: Vec<(Key, Standing)> = standing
        .iter()
        .map(|(number, stage, leaves)| {
            let leaves_at = leaves.map(|at| SECOND * at as u32);
            (
                key(*number),
                Standing {
                    stage: *stage,
                    leaves_at,
                },
            )
        })
        .collect();
    plan(
        &wanted,
        standing.iter().map(|(key, standing)| (key, *standing)),
        SECOND * now as u32,
    )
}

#[test]
fn a_former_version_stays_until_its_successor_has_answered_for_a_while() {
    let first = planned(Some(2), &[(1, Stage::Ready, None)], 0);
    assert_eq!(
        (first.load, first.leaving, first.forget),
        (vec![key(2)], vec![], vec![])
    );
    let loading = planned(Some(2), &[(1, Stage::Ready, None), (2, Stage::Loading, None)], 1_000);
    assert_eq!(loading, Plan::default());
    let failed = planned(
        Some(2),
        &[(1, Stage::Ready, None), (2, Stage::Failed(None), None)],
        1_000,
    );
    assert_eq!(failed, Plan::default());
    let both = planned(Some(2), &[(1, Stage::Ready, None), (2, Stage::Ready, None)], 10);
    assert_eq!(both.leaving, [(key(1), Some(SECOND * 25))]);
    assert_eq!(both.look_at, Some(SECOND * 25));
    let ready = [(1, Stage::Ready, Some(25)), (2, Stage::Ready, None)];
    assert_eq!(planned(Some(2), &ready, 25).look_at, Some(SECOND * 28));
    assert_eq!(planned(Some(2), &ready, 28).forget, [key(1)]);
}

#[test]
fn a_rollback_keeps_the_version_that_was_about_to_leave() {
    let plan = planned(Some(1), &[(1, Stage::Ready, Some(25)), (2, Stage::Ready, None)], 20);
    assert_eq!(plan.leaving, [(key(1), None), (key(2), Some(SECOND * 35))]);
    assert!(plan.load.is_empty() && plan.forget.is_empty());
}

#[test]
fn what_nobody_wants_leaves() {
    let plan = planned(
        None,
        &[
            (1, Stage::Ready, None),
            (2, Stage::Loading, None),
            (3, Stage::Failed(None), None),
        ],
        5,
    );
    assert_eq!(plan.leaving, [(key(1), Some(SECOND * 20))]);
    assert_eq!(plan.forget, [key(2), key(3)]);
}

#[test]
fn a_failed_version_is_tried_again_at_its_time() {
    let failed = [(1, Stage::Failed(Some(SECOND * 9)), None)];
    assert_eq!(planned(Some(1), &failed, 8).look_at, Some(SECOND * 9));
    assert_eq!(planned(Some(1), &failed, 9).load, [key(1)]);
    assert!(planned(Some(1), &[(1, Stage::Failed(None), None)], 9).load.is_empty());
}
