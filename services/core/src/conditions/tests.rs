//! Conditions stand from raise to clear, shared by the clones and bounded.

use super::*;

const FULL: ConditionKind = ConditionKind::page("disk-full");
const SLOW: ConditionKind = ConditionKind::ticket("disk-slow");

fn keys(conditions: &Conditions) -> Vec<(String, String)> {
    let standing = conditions.standing().into_iter();
    standing.map(|condition| (condition.kind, condition.key)).collect()
}

#[test]
fn a_condition_stands_until_it_is_cleared() {
    let conditions = Conditions::default();
    let shared = conditions.clone();
    conditions.raise(FULL, "worker-1", "/x", "99 % are used");
    conditions.raise(SLOW, "worker-1", "/x", "a write takes 3 s");
    shared.raise(FULL, "worker-1", "/x", "100 % are used");
    assert_eq!(keys(&conditions).len(), 2);
    let texts: Vec<_> = conditions.standing().into_iter().map(|it| it.text).collect();
    assert_eq!(
        texts,
        ["100 % are used", "a write takes 3 s"],
        "raised again, it has the new text"
    );
    shared.clear(FULL, "/x");
    shared.clear(FULL, "/never");
    assert_eq!(keys(&conditions), [("disk-slow".to_owned(), "/x".to_owned())]);
    shared.clear_all(SLOW);
    assert!(conditions.standing().is_empty());
}

#[test]
fn number_and_size_are_bounded() {
    let conditions = Conditions::default();
    for number in 0..100 {
        conditions.raise(FULL, "s", &format!("{number:03}"), "t");
    }
    conditions.raise(SLOW, "s", &"k".repeat(10_000), &"t".repeat(10_000));
    assert_eq!(keys(&conditions).len(), CONDITIONS_PER_KIND_MAX + 1);
    assert!(
        conditions
            .standing()
            .iter()
            .all(|it| it.key.len() <= 515 && it.text.len() <= 515)
    );
    conditions.clear(SLOW, &"k".repeat(10_000));
    conditions.retain(FULL, &["001".to_owned(), "777".to_owned()].into());
    assert_eq!(keys(&conditions), [("disk-full".to_owned(), "001".to_owned())]);
}
