//! The last word on every history: what the journal holds, as the user's own command reads it from etcd.

use std::collections::BTreeMap;

use lepton_tests::process::Process;
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use serde_json::Value;

use crate::load::Tally;
use crate::serial::PATIENCE;

/// A journal that keeps every promise that it can show.
#[derive(Debug)]
pub struct Audit {
    /// What the full check found.
    pub found: Value,
    /// Every event, oldest first.
    pub events: Vec<Value>,
}

/// Waits until no task waits or runs.
pub async fn settled(rest: &Rest) {
    for state in ["STATE_PENDING", "STATE_RUNNING"] {
        let path = format!("/api/v1/tasks?pageSize=1&state={state}");
        let looked = eventually(PATIENCE * 2, || async {
            let answer = rest
                .attempt(rest.request(http::Method::GET, &path, bytes::Bytes::new()))
                .await
                .ok()?;
            let page: Value = serde_json::from_slice(&answer.body).ok()?;
            let empty = page["tasks"].as_array()?.is_empty() && page["nextPageToken"] == "";
            (answer.status.is_success() && empty).then_some(())
        });
        looked.await;
    }
}

impl Audit {
    /// Reads and checks the journal in this etcd (`HOST:PORT`). Panics on any breach.
    pub async fn of(etcd: &str) -> Self {
        let found = journal(etcd, "verify").await;
        let found: Value = serde_json::from_str(&found).unwrap_or_else(|error| panic!("{error}: {found}"));
        assert_eq!(found["ok"], true, "{found}");
        let dump = journal(etcd, "dump").await;
        let events = dump
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
        Self {
            found,
            events: events.collect(),
        }
    }

    /// Events of this kind.
    pub fn events<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events.iter().filter(move |event| event["event"] == name)
    }

    /// The task that a request id made; panics when it made two.
    pub fn requested(&self, request: &str) -> Option<&str> {
        let wanted = format!("request {request},");
        let mut made = self
            .events("submitted")
            .filter(|event| text(event, "text").contains(&wanted));
        let task = made.next().map(|event| text(event, "taskId"));
        assert!(made.next().is_none(), "{request} made two tasks");
        task
    }

    /// Every acknowledged task is there, was submitted once under its request id, and succeeded exactly once; nothing
    /// is left undone.
    pub fn ended_once(&self, tally: &Tally) {
        let mut successes: BTreeMap<&str, u32> = BTreeMap::new();
        for event in self.events("succeeded") {
            *successes.entry(text(event, "taskId")).or_default() += 1;
        }
        let mut requests: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for event in self.events("submitted") {
            let words = text(event, "text").split(", ");
            let request = words
                .filter_map(|word| word.strip_prefix("request "))
                .next()
                .unwrap_or_default();
            requests.entry(request).or_default().push(text(event, "taskId"));
        }
        for (request, task) in &tally.tasks {
            assert_eq!(
                requests.get(request.as_str()),
                Some(&vec![task.as_str()]),
                "the one task of {request}"
            );
            assert_eq!(successes.get(task.as_str()), Some(&1), "successes of {task}");
        }
        assert_eq!(text(&self.found, "liveCount"), "0", "nothing is left undone");
        let ended = [
            text(&self.found, "succeededCount"),
            text(&self.found, "endedOtherwiseCount"),
        ];
        assert_eq!(
            ended,
            [tally.tasks.len().to_string().as_str(), "0"],
            "what ended, and how"
        );
    }
}

/// A field as text.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

async fn journal(etcd: &str, what: &str) -> String {
    let line = ["--output", "json", "journal", what, "--etcd", &format!("http://{etcd}")].map(str::to_owned);
    let mut process = Process::start("lepton", &line);
    let status = process.end().await;
    let said = process.stdout();
    let tail: String = said.chars().take(2_000).collect();
    assert!(
        status.success(),
        "journal {what}: {status}\n{tail}\n{}",
        process.stderr()
    );
    said
}
