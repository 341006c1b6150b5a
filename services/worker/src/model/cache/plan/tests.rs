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
fn planned(deployed: Option<u32>, entries: &[(u32, Stage, Option<u64>)], now: u64) -> LoadPlan {
    let versions: Vec<Version> = deployed.into_iter().map(version).collect();
    let deployed_versions = versions.iter().map(|version| (key(version.number), version)).collect();
    let entries: Vec<(Key, EntryState)> = entries
        .iter()
        .map(|(number, stage, leaves)| {
            let leaves_at = leaves.map(|at| SECOND * at as u32);
            (
                key(*number),
                EntryState {
                    stage: *stage,
                    leaves_at,
                },
            )
        })
        .collect();
    plan(
        &deployed_versions,
        entries.iter().map(|(key, entry)| (key, *entry)),
        SECOND * now as u32,
    )
}

#[test]
fn a_former_version_stays_until_its_successor_has_answered_for_a_while() {
    let first = planned(Some(2), &[(1, Stage::Ready, None)], 0);
    assert_eq!(
        (first.load, first.leaving, first.unload),
        (vec![key(2)], vec![], vec![])
    );
    let loading = planned(Some(2), &[(1, Stage::Ready, None), (2, Stage::Loading, None)], 1_000);
    assert_eq!(loading, LoadPlan::default());
    let failed = planned(
        Some(2),
        &[(1, Stage::Ready, None), (2, Stage::Failed(None), None)],
        1_000,
    );
    assert_eq!(failed, LoadPlan::default());
    let both = planned(Some(2), &[(1, Stage::Ready, None), (2, Stage::Ready, None)], 10);
    assert_eq!(both.leaving, [(key(1), Some(SECOND * 25))]);
    assert_eq!(both.next_at, Some(SECOND * 25));
    let ready = [(1, Stage::Ready, Some(25)), (2, Stage::Ready, None)];
    assert_eq!(planned(Some(2), &ready, 25).next_at, Some(SECOND * 28));
    assert_eq!(planned(Some(2), &ready, 28).unload, [key(1)]);
}

#[test]
fn a_rollback_keeps_the_version_that_was_about_to_leave() {
    let plan = planned(Some(1), &[(1, Stage::Ready, Some(25)), (2, Stage::Ready, None)], 20);
    assert_eq!(plan.leaving, [(key(1), None), (key(2), Some(SECOND * 35))]);
    assert!(plan.load.is_empty() && plan.unload.is_empty());
}

#[test]
fn versions_that_are_not_deployed_leave() {
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
    assert_eq!(plan.unload, [key(2), key(3)]);
}

#[test]
fn a_failed_version_is_tried_again_at_its_time() {
    let failed = [(1, Stage::Failed(Some(SECOND * 9)), None)];
    assert_eq!(planned(Some(1), &failed, 8).next_at, Some(SECOND * 9));
    assert_eq!(planned(Some(1), &failed, 9).load, [key(1)]);
    assert!(planned(Some(1), &[(1, Stage::Failed(None), None)], 9).load.is_empty());
}
