//! Changes are idempotent where they say so, a served version stays, numbers are given once, and limits hold.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn file(content: u8, number: Option<u32>) -> Change {
    Change::Push(Box::new(new(content, number)))
}

fn new(content: u8, number: Option<u32>) -> NewVersion {
    NewVersion {
        number,
        digest: ContentDigest([content; 32]),
        blob: format!("m/{content}"),
        bytes: 10,
        created: Timestamp::from_micros(1),
        signature: Signature::default(),
        lineage: BTreeMap::new(),
    }
}

fn deploy(version: u32) -> Change {
    Change::Deploy { version: Some(version) }
}

/// The model after these changes, all of which are taken.
fn after(changes: impl IntoIterator<Item = Change>) -> Model {
    let mut model = None;
    for change in changes {
        model = Some(decide("m", model.as_ref(), change).expect("taken").model);
    }
    model.expect("at least one change")
}

fn refusal(model: Option<&Model>, change: Change) -> Reason {
    decide("m", model, change).expect_err("refused").reason
}

#[test]
fn versions_are_numbered_from_one_and_the_same_file_is_the_same_version() {
    let model = after([file(1, None), file(2, None)]);
    assert_eq!(model.versions.iter().map(|it| it.number).collect::<Vec<_>>(), [1, 2]);
    let mut again = new(1, None);
    again.blob = "m/again".into();
    let decision = decide("m", Some(&model), Change::Push(Box::new(again))).expect("taken");
    assert_eq!((decision.version, decision.changed), (1, false));
    assert_eq!(decision.orphan.as_deref(), Some("m/again"));
    assert_eq!(decision.model, model);
}

#[test]
fn a_number_may_be_chosen_above_all_others_only() {
    let model = after([file(1, Some(7)), file(2, None)]);
    assert_eq!(model.versions.iter().map(|it| it.number).collect::<Vec<_>>(), [7, 8]);
    for number in [0, 1, 7, 8, u32::MAX] {
        assert_eq!(
            refusal(Some(&model), file(3, Some(number))),
            Reason::FieldInvalid,
            "{number}"
        );
    }
    let known = decide("m", Some(&model), file(1, Some(7))).expect("taken");
    assert_eq!((known.version, known.changed), (7, false));
    let last = after([file(1, Some(u32::MAX - 1))]);
    assert_eq!(refusal(Some(&last), file(2, None)), Reason::FieldInvalid);
}

#[test]
fn deploy_undeploy_and_rollback_keep_the_version_before() {
    let pushes = || [file(1, None), file(2, None), file(3, None)];
    let of = |changes: Vec<Change>| {
        let model = after(pushes().into_iter().chain(changes));
        (model.deployed, model.previous)
    };
    assert_eq!(of(vec![Change::Deploy { version: None }]), (Some(3), None));
    assert_eq!(of(vec![deploy(1), deploy(2)]), (Some(2), Some(1)));
    assert_eq!(of(vec![deploy(1), deploy(2), deploy(2)]), (Some(2), Some(1)));
    assert_eq!(of(vec![deploy(1), deploy(2), Change::Rollback]), (Some(1), Some(2)));
    assert_eq!(of(vec![deploy(1), Change::Undeploy, Change::Undeploy]), (None, Some(1)));
    assert_eq!(of(vec![deploy(1), Change::Undeploy, Change::Rollback]), (Some(1), None));
    assert_eq!(
        of(vec![deploy(1), deploy(2), Change::Undeploy, deploy(2)]),
        (Some(2), None)
    );
    assert_eq!(
        refusal(Some(&after(pushes())), Change::Rollback),
        Reason::NoPreviousVersion
    );
}

#[test]
fn what_is_served_is_not_deleted_and_what_is_gone_is_not_found() {
    let model = after([file(1, None), file(2, None), deploy(1), deploy(2)]);
    assert_eq!(refusal(Some(&model), Change::Delete { version: 2 }), Reason::ModelInUse);
    let decision = decide("m", Some(&model), Change::Delete { version: 1 }).expect("taken");
    assert_eq!(
        (decision.orphan.as_deref(), decision.model.previous),
        (Some("m/1"), None)
    );
    for change in [Change::Delete { version: 1 }, deploy(1)] {
        assert_eq!(refusal(Some(&decision.model), change), Reason::ModelNotFound);
    }
    for change in [
        deploy(1),
        Change::Undeploy,
        Change::Rollback,
        Change::Delete { version: 1 },
    ] {
        assert_eq!(refusal(None, change), Reason::ModelNotFound);
    }
}

#[test]
fn a_model_without_versions_is_gone_but_remembers_its_numbers() {
    let gone = after([file(1, None), Change::Delete { version: 1 }]);
    assert!(gone.is_deleted());
    assert_eq!(refusal(Some(&gone), Change::Undeploy), Reason::ModelNotFound);
    let back = decide("m", Some(&gone), file(1, None)).expect("taken");
    assert_eq!(back.version, 2);
}

#[test]
fn a_failed_deploy_is_taken_back_unless_something_else_happened() {
    let revert = |model: &Model| {
        let change = Change::Revert {
            version: 2,
            deployed: Some(1),
            previous: None,
        };
        decide("m", Some(model), change).expect("taken").model
    };
    let deployed = after([file(1, None), file(2, None), deploy(1), deploy(2)]);
    let reverted = revert(&deployed);
    assert_eq!((reverted.deployed, reverted.previous), (Some(1), None));
    let moved_on = after([file(1, None), file(2, None), deploy(2), deploy(1)]);
    assert_eq!(revert(&moved_on), moved_on);
    let deleted = after([file(1, None), file(2, None), deploy(2), Change::Delete { version: 1 }]);
    assert_eq!(revert(&deleted).deployed, None);
}

#[test]
fn names_and_sizes_are_limited() {
    let long = "a".repeat(NAME_BYTES_MAX);
    for good in ["a", "0", "churn-2.1_b", long.as_str()] {
        assert_eq!(check_name(good), Ok(()), "{good}");
    }
    let too_long = "a".repeat(NAME_BYTES_MAX + 1);
    for bad in ["", "A", "-a", ".a", "a/b", "ä", "a b", too_long.as_str()] {
        assert_eq!(check_name(bad).expect_err(bad).reason, Reason::FieldInvalid);
    }
    let mut large = new(1, None);
    large.lineage.insert("k".into(), "v".repeat(LINEAGE_BYTES_MAX));
    assert_eq!(refusal(None, Change::Push(Box::new(large))), Reason::FieldInvalid);
    let mut many = new(1, None);
    many.lineage = (0..=LINEAGE_PAIRS_MAX)
        .map(|n| (n.to_string(), String::new()))
        .collect();
    assert_eq!(refusal(None, Change::Push(Box::new(many))), Reason::FieldInvalid);
    let tensor = |name: &str, rank| Tensor {
        name: name.into(),
        datatype: DataType::Fp32,
        shape: vec![1; rank],
    };
    let named = "n".repeat(TENSOR_NAME_BYTES_MAX + 1);
    for inputs in [
        vec![tensor("x", DIMENSIONS_MAX + 1)],
        vec![tensor(&named, 1)],
        vec![tensor("x", 1); TENSORS_MAX + 1],
    ] {
        let mut new = new(1, None);
        new.signature.inputs = inputs;
        assert_eq!(refusal(None, Change::Push(Box::new(new))), Reason::ModelInvalid);
    }
}

#[test]
fn a_model_keeps_so_many_versions_and_no_more() {
    let mut model = after([file(1, None)]);
    let one = model.versions[0].clone();
    model.versions = (1..=VERSIONS_MAX as u32)
        .map(|number| Version { number, ..one.clone() })
        .collect();
    model.next = VERSIONS_MAX as u32 + 1;
    assert_eq!(refusal(Some(&model), file(2, None)), Reason::QuotaExceeded);
    assert!(decide("m", Some(&model), file(1, None)).is_ok());
}

#[test]
fn data_types_parse_as_they_print() {
    for datatype in DataType::ALL {
        assert_eq!(datatype.to_string().parse(), Ok(*datatype));
    }
    assert!("FP31".parse::<DataType>().is_err());
}

#[test]
fn requests_stay_with_the_version_before_until_half_of_the_workers_have_the_new_one() {
    let model = after([file(1, None), file(2, None), deploy(1), deploy(2)]);
    let serve = |old: usize, new: usize, live| serving(&model, &|number| if number == 2 { new } else { old }, live);
    assert_eq!(serve(3, 0, 3), Some(1));
    assert_eq!(serve(3, 1, 3), Some(1));
    assert_eq!(serve(3, 2, 3), Some(2));
    assert_eq!(serve(1, 1, 2), Some(2));
    assert_eq!(serve(0, 1, 3), Some(2));
    assert_eq!(serve(0, 0, 0), Some(2));
    assert_eq!(serve(1, 0, 0), Some(1));
    assert_eq!(serving(&after([file(1, None)]), &|_| 1, 1), None);
}

fn any_change() -> impl Strategy<Value = Change> {
    let number = 1..6_u32;
    prop_oneof![
        (any::<bool>(), 0..6_u8, 1..12_u32)
            .prop_map(|(chosen, content, number)| file(content, chosen.then_some(number))),
        proptest::option::of(number.clone()).prop_map(|version| Change::Deploy { version }),
        Just(Change::Undeploy),
        Just(Change::Rollback),
        number.clone().prop_map(|version| Change::Delete { version }),
        (
            number.clone(),
            proptest::option::of(number.clone()),
            proptest::option::of(number)
        )
            .prop_map(|(version, deployed, previous)| Change::Revert {
                version,
                deployed,
                previous
            }),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_record_stays_sound(changes in proptest::collection::vec(any_change(), 1..40)) {
        let mut model: Option<Model> = None;
        let mut given = BTreeSet::new();
        for change in changes {
            let idempotent = !matches!(change, Change::Rollback | Change::Delete { .. } | Change::Revert { .. });
            let Ok(decision) = decide("m", model.as_ref(), change.clone()) else { continue };
            let now = decision.model;
            prop_assert!(decision.changed || model.as_ref() == Some(&now) || model.is_none());
            prop_assert!(now.versions.is_sorted_by_key(|version| version.number));
            for number in [now.deployed, now.previous].into_iter().flatten() {
                prop_assert!(now.version(number).is_some(), "version {} is served and gone", number);
            }
            prop_assert!(now.previous.is_none() || now.previous != now.deployed);
            if matches!(change, Change::Push(_)) && decision.changed {
                prop_assert!(given.insert(decision.version), "{} was given twice", decision.version);
                prop_assert!(decision.version < now.next);
            }
            if idempotent {
                let again = decide("m", Some(&now), change).expect("taken before");
                prop_assert!(!again.changed && again.model == now && again.version == decision.version
                    || again.version == 0);
            }
            model = Some(now);
        }
    }
}
