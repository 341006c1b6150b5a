//! The reason names what is missing, and nothing is unplaceable that a worker could run.

use super::*;

type Worker = (BTreeSet<Kind>, BTreeMap<String, String>);

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    pairs.collect()
}

fn worker(kind: &str, pairs: &[(&str, &str)]) -> Worker {
    ([Kind::new(kind)].into(), labels(pairs))
}

fn reason(workers: &[Worker], kind: &str, required: &[(&str, &str)]) -> Option<String> {
    let abilities = workers.iter().map(|(kinds, labels)| Abilities { kinds, labels });
    unplaceable(&Kind::new(kind), &labels(required), abilities).map(|reason| reason.to_string())
}

#[test]
fn the_reason_names_what_is_missing() {
    let workers = [
        worker("echo", &[("zone", "a")]),
        worker("echo", &[("disk", "ssd")]),
        worker("train", &[("gpu", "yes")]),
    ];
    let found = |kind, required: &[(&str, &str)]| reason(&workers, kind, required);
    assert_eq!(reason(&[], "echo", &[]).as_deref(), Some("no worker is connected"));
    assert_eq!(found("sort", &[]).as_deref(), Some(r#"no worker runs the kind "sort""#));
    assert_eq!(
        found("echo", &[("gpu", "no"), ("tpu", "yes"), ("zone", "a")]).as_deref(),
        Some("no worker carries the labels gpu=no, tpu=yes")
    );
    assert_eq!(
        found("echo", &[("gpu", "yes"), ("zone", "a")]).as_deref(),
        Some(r#"no worker that runs the kind "echo" carries the labels gpu=yes"#)
    );
    assert_eq!(
        found("echo", &[("disk", "ssd"), ("zone", "a")]).as_deref(),
        Some(r#"no worker that runs the kind "echo" carries the labels disk=ssd, zone=a"#),
        "each has one of them"
    );
    assert_eq!(found("echo", &[("zone", "a")]), None);
    assert_eq!(found("train", &[]), None);
}

#[test]
fn a_reason_is_of_a_bounded_size() {
    let required: Vec<(String, String)> = (0..100)
        .map(|number| (format!("{number:0>500}"), "v".repeat(500)))
        .collect();
    let required: Vec<(&str, &str)> = required
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let reason = reason(&[worker("echo", &[])], "echo", &required).expect("nobody has them");
    assert!(reason.len() < 3_000 && reason.ends_with(", ..."), "{reason}");
}
