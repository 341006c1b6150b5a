//! The extent of a journal, and what a check found, in words.

use indicatif::{HumanBytes, HumanCount};
use serde_json::Value;

use crate::output::cells::{left, plain};
use crate::output::table::{integer, text};

/// Cells before a statement.
const SUBJECT_CELLS: usize = 13;

/// Describes an answer of `GetJournalStatus`.
pub(super) fn status(answer: &Value) -> String {
    let last = integer(&answer["lastSegment"]);
    if last == 0 {
        return lines(&[
            ("Leader", leader(answer)),
            ("Events", "none has been committed yet".to_owned()),
        ]);
    }
    let events = format!(
        "{} committed, the last at {}",
        HumanCount(integer(&answer["seq"])),
        text(&answer["journalTime"])
    );
    lines(&[
        ("Leader", leader(answer)),
        ("Events", events),
        ("Segments", segments(answer, last)),
        ("Snapshot", snapshot(answer, last)),
        (
            "Tasks",
            format!("{} in the ledger", HumanCount(integer(&answer["taskCount"]))),
        ),
        ("State", state(answer, &format!("after segment {last}"))),
        ("Incarnation", plain(&text(&answer["incarnation"]))),
    ])
}

/// Describes an answer of `VerifyJournal`.
pub(super) fn verification(answer: &Value) -> String {
    let breaches: Vec<String> = answer["breaches"].as_array().into_iter().flatten().map(text).collect();
    let found = match (answer["ok"] == true, breaches.len()) {
        (true, _) => "The journal keeps every promise that was checked.".to_owned(),
        (false, 1) => "The journal breaks a promise:".to_owned(),
        (false, count) => format!("The journal breaks its promises in {count} places:"),
    };
    let count = |field: &str| HumanCount(integer(&answer[field]));
    let replayed = format!("{} events of {} segments", count("eventCount"), count("segmentCount"));
    let tasks = format!(
        "{}: {} succeeded, {} ended otherwise, {} have not ended",
        count("taskCount"),
        count("succeededCount"),
        count("endedOtherwiseCount"),
        count("liveCount")
    );
    let found = std::iter::once(found).chain(breaches.iter().map(|breach| format!("  {}", plain(breach))));
    let figures = lines(&[
        ("Replayed", replayed),
        ("Tasks", tasks),
        ("State", state(answer, "at the end")),
    ]);
    found.chain([figures]).collect::<Vec<_>>().join("\n")
}

fn leader(answer: &Value) -> String {
    match text(&answer["leader"]).as_str() {
        "" => "nobody leads; tasks are taken again when a scheduler does".to_owned(),
        leader => format!("{leader}, in epoch {}", integer(&answer["epoch"])),
    }
}

fn segments(answer: &Value, last: u64) -> String {
    let first = integer(&answer["firstSegment"]);
    let bytes = HumanBytes(integer(&answer["bytes"]));
    match first {
        0 => "none is kept: the snapshot holds them all".to_owned(),
        first if first == last => format!("{last} is kept, {bytes}"),
        first => format!("{first} to {last} are kept, {bytes}"),
    }
}

fn snapshot(answer: &Value, last: u64) -> String {
    match integer(&answer["snapshotSegment"]) {
        0 => "none yet: a start replays every segment".to_owned(),
        up_to if up_to >= last => format!("up to segment {up_to}: a start has nothing to replay"),
        up_to => format!("up to segment {up_to}: a start replays the {} after it", last - up_to),
    }
}

fn state(answer: &Value, at: &str) -> String {
    format!("digest {} {at}, the same on every replica", text(&answer["digest"]))
}

fn lines(statements: &[(&str, String)]) -> String {
    let line = |(subject, statement): &(&str, String)| format!("{}{statement}", left(subject, SUBJECT_CELLS));
    statements.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer() -> Value {
        json!({
            "leader": "scheduler-1", "epoch": "3", "incarnation": "5f3c", "firstSegment": "12", "lastSegment": "1068",
            "seq": "12345", "bytes": "1258291", "snapshotSegment": "1060", "journalTime": "2026-11-30T17:00:00Z",
            "digest": "93ab", "taskCount": "4200",
        })
    }

    #[test]
    fn a_status_is_read_without_knowing_its_fields() {
        assert_eq!(
            status(&answer()),
            "Leader       scheduler-1, in epoch 3\n\
             Events       12,345 committed, the last at 2026-11-30T17:00:00Z\n\
             Segments     12 to 1068 are kept, 1.20 MiB\n\
             Snapshot     up to segment 1060: a start replays the 8 after it\n\
             Tasks        4,200 in the ledger\n\
             State        digest 93ab after segment 1068, the same on every replica\n\
             Incarnation  5f3c"
        );
    }

    #[test]
    fn an_empty_journal_and_one_that_nobody_leads_are_described() {
        let empty = status(&json!({"lastSegment": "0", "leader": "", "epoch": "0"}));
        assert!(
            empty.contains("nobody leads") && empty.contains("none has been committed"),
            "{empty}"
        );
        let mut bare = answer();
        bare["snapshotSegment"] = "0".into();
        bare["firstSegment"] = "1068".into();
        let text = status(&bare);
        assert!(
            text.contains("1068 is kept") && text.contains("replays every segment"),
            "{text}"
        );
    }

    #[test]
    fn breaches_are_listed() {
        let mut found = json!({
            "ok": true, "breaches": [], "segmentCount": "2", "eventCount": "9", "taskCount": "4", "succeededCount": "2",
            "endedOtherwiseCount": "1", "liveCount": "1", "digest": "93ab",
        });
        assert_eq!(
            verification(&found),
            "The journal keeps every promise that was checked.\n\
             Replayed     9 events of 2 segments\n\
             Tasks        4: 2 succeeded, 1 ended otherwise, 1 have not ended\n\
             State        digest 93ab at the end, the same on every replica"
        );
        found["ok"] = false.into();
        found["breaches"] = json!(["segment 2: its digest differs", "segment 3 is missing"]);
        let text = verification(&found);
        assert!(
            text.starts_with("The journal breaks its promises in 2 places:\n  segment 2:"),
            "{text}"
        );
    }
}
