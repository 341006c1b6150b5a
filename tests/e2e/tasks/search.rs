//! Tasks found by their properties, and what is done to all that fit.

use std::time::Duration;

use lepton_tests::mesh::{Options, Up};
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use serde_json::{Value, json};

use super::{TASKS, end, path, run, slow};

const PATIENCE: Duration = Duration::from_secs(30);

/// The ids on a page of this query.
async fn found(rest: &Rest, query: &str) -> Vec<String> {
    let page = rest.get(&format!("{TASKS}?{query}")).await;
    let page = page.json();
    let tasks = page["tasks"].as_array().expect("a list");
    tasks
        .iter()
        .filter_map(|task| task["id"].as_str().map(str::to_owned))
        .collect()
}

async fn counts(rest: &Rest, query: &str) -> Value {
    rest.get(&format!("{TASKS}:count?{query}")).await.json()["counts"].clone()
}

fn labelled(input: Value, team: &str, number: u32) -> Value {
    json!({
        "kind": "echo",
        "input": input,
        "retry": {"maxAttempts": 1},
        "labels": {"team": team, "run": (number % 5).to_string()},
        "requestId": format!("search-{team}-{number}"),
    })
}

/// Ten failed and twenty succeeded tasks, the failed ones in between.
async fn thirty(rest: &Rest) -> Vec<Value> {
    let mut ended = Vec::new();
    for number in 0..30 {
        let (rate, team) = if number % 3 == 0 { (1, "red") } else { (0, "blue") };
        ended.push(run(rest, &labelled(json!({"fail_rate": rate}), team, number)).await);
    }
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_found_by_every_filter() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    let ended = thirty(&rest).await;
    let ids = |wanted: &dyn Fn(&Value) -> bool| -> Vec<String> {
        let chosen = ended.iter().rev().filter(|task| wanted(task));
        chosen
            .map(|task| task["id"].as_str().expect("an id").to_owned())
            .collect()
    };
    let failed = ids(&|task| task["state"] == "STATE_FAILED");
    assert_eq!(failed.len(), 10);
    assert_eq!(
        found(&rest, "state=STATE_FAILED&pageSize=4").await,
        failed[..4],
        "each page is full"
    );
    assert_eq!(found(&rest, "reason=HANDLER_FAILED").await, failed);
    assert_eq!(found(&rest, "label=team%3Dred").await, failed);
    let both = ids(&|task| task["labels"] == json!({"team": "red", "run": "0"}));
    assert!(!both.is_empty() && both.len() < failed.len());
    assert_eq!(found(&rest, "label=team%3Dred&label=run%3D0").await, both);
    let oldest: Vec<String> = failed.iter().rev().cloned().collect();
    assert_eq!(found(&rest, "state=STATE_FAILED&order=asc").await, oldest);
    let worker = ended[0]["worker"].as_str().expect("its worker is kept after the end");
    assert!(found(&rest, &format!("worker={worker}")).await.contains(&failed[9]));
    assert_eq!(found(&rest, "requestId=search-red-3").await.len(), 1);
    assert!(found(&rest, "requestId=search-red-3&kind=train").await.is_empty());
    let (fifth, time) = (&ended[5]["id"], ended[5]["createTime"].as_str().expect("a time"));
    let later = found(&rest, &format!("createdAfter={time}&order=asc&pageSize=1")).await;
    assert_eq!(later, [fifth.as_str().expect("an id")]);
    assert_eq!(found(&rest, &format!("createdBefore={time}")).await.len(), 5);
    assert_eq!(
        counts(&rest, "").await,
        json!({"STATE_FAILED": 10, "STATE_SUCCEEDED": 20})
    );
    assert_eq!(
        counts(&rest, "label=team%3Dred&label=run%3D0").await,
        json!({"STATE_FAILED": both.len()})
    );
    assert_eq!(counts(&rest, "kind=train").await, json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_filter_and_an_order_join_without_a_gap() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    thirty(&rest).await;
    for order in ["asc", "desc"] {
        let query = format!("label=team%3Dblue&order={order}&pageSize=7");
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let page = rest.get(&format!("{TASKS}?{query}&pageToken={token}")).await.json();
            let tasks = page["tasks"].as_array().expect("a list");
            all.extend(tasks.iter().map(|task| task["id"].clone()));
            token = page["nextPageToken"].as_str().expect("a token").to_owned();
            if token.is_empty() {
                break;
            }
            assert_eq!(tasks.len(), 7, "a page is full or the last");
        }
        assert_eq!(all.len(), 20, "{order}");
        all.sort_by_key(Value::to_string);
        all.dedup();
        assert_eq!(all.len(), 20, "{order}");
    }
    let page = rest.get(&format!("{TASKS}?label=team%3Dblue&pageSize=7")).await.json();
    let token = page["nextPageToken"].as_str().expect("a token");
    for other in [
        "label=team%3Dred",
        "label=team%3Dblue&order=asc",
        "label=team%3Dblue&reason=X",
        "",
    ] {
        let refused = rest.get(&format!("{TASKS}?{other}&pageSize=7&pageToken={token}")).await;
        assert_eq!(refused.reason().as_deref(), Some("PAGE_TOKEN_INVALID"), "{other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_filters_are_refused_by_name() {
    let mesh = crate::shared_mesh::shared().await;
    let rest = mesh.rest();
    for (query, field) in [
        ("label=team", "label"),
        ("label=%3Dred", "label"),
        ("label=a%3D1&label=a%3D2", "label"),
        ("order=newest", "order"),
        ("createdAfter=yesterday", "createdAfter"),
        ("state=FAILED", "state"),
    ] {
        let refused = rest.get(&format!("{TASKS}?{query}")).await;
        assert_eq!(
            refused.reason().as_deref(),
            Some("FIELD_INVALID"),
            "{query}: {}",
            refused.text()
        );
        assert!(refused.text().contains(field), "{query}: {}", refused.text());
    }
    let unknown = rest.get(&format!("{TASKS}:count?states=STATE_FAILED")).await;
    assert_eq!(unknown.reason().as_deref(), Some("UNKNOWN_FIELD"));
    for (verb, body, wanted) in [
        (":batchCancel", json!({}), "no filter"),
        (":batchRetry", json!({}), "no filter"),
        (":batchCancel", json!({"state": "STATE_FAILED"}), "PENDING"),
        (":batchRetry", json!({"state": "STATE_RUNNING"}), "FAILED"),
        (":purge", json!({"state": "STATE_PENDING"}), "EXPIRED"),
    ] {
        let refused = rest.post(&format!("{TASKS}{verb}"), body.to_string()).await;
        assert_eq!(refused.reason().as_deref(), Some("FIELD_INVALID"), "{verb} {body}");
        assert!(refused.text().contains(wanted), "{verb} {body}: {}", refused.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_fit_are_cancelled() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    let mut mine = Vec::new();
    for number in 0..40 {
        let mut task = slow(600_000);
        task["labels"] = json!({"run": (number % 2).to_string()});
        mine.push(rest.submit(TASKS, &task).await);
    }
    let cancelled = rest
        .post(
            &format!("{TASKS}:batchCancel"),
            r#"{"label":["run=1"],"message":"enough"}"#,
        )
        .await
        .json();
    assert_eq!(
        cancelled,
        json!({"cancelled": 20, "failed": 0, "failures": [], "nextPageToken": ""})
    );
    let again = rest
        .post(&format!("{TASKS}:batchCancel?label=run%3D1"), "{}")
        .await
        .json();
    assert_eq!(again["cancelled"], 0, "in the query as in the body; nothing is left");
    for (number, task) in mine.iter().enumerate() {
        let task = rest.get(&path(task)).await.json();
        if number % 2 == 1 {
            assert_eq!(
                (&task["state"], &task["error"]["message"]),
                (&json!("STATE_CANCELLED"), &json!("enough"))
            );
        } else {
            assert_ne!(task["state"], "STATE_CANCELLED");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_failed_run_again_once() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    let mut failed = Vec::new();
    for number in 0..10 {
        failed.push(run(&rest, &labelled(json!({"fail_rate": 1}), "red", number)).await);
    }
    let retry = async || {
        let answer = rest
            .post(&format!("{TASKS}:batchRetry"), r#"{"label":["team=red"]}"#)
            .await;
        answer.json()
    };
    let supported = || async {
        let first = rest
            .post(&format!("{}:retry", path(&failed[0])), r#"{"requestId":"first"}"#)
            .await;
        first.status.is_success().then_some(())
    };
    eventually(PATIENCE, supported).await;
    let answer = retry().await;
    assert_eq!(
        (&answer["failed"], &answer["nextPageToken"]),
        (&json!(0), &json!("")),
        "{answer}"
    );
    let retried = answer["retried"].as_u64().expect("a number");
    assert!(
        (10..=11).contains(&retried),
        "the copies that this makes are not run again by it: {answer}"
    );
    let copies = found(&rest, "label=team%3Dred&order=asc").await;
    assert!(copies.len() >= 21, "{} tasks", copies.len());
    for task in &failed {
        let id = task["id"].as_str().expect("an id");
        let copy = rest.get(&format!("{TASKS}?requestId=retry:{id}")).await.json();
        let copy = end(&rest, &copy["tasks"][0]).await;
        assert_eq!(
            (&copy["retriedFrom"], &copy["state"]),
            (&task["id"], &json!("STATE_FAILED"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_purged_once_they_may_be() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    run(&rest, &labelled(json!({"fail_rate": 1}), "red", 1)).await;
    rest.submit(TASKS, &slow(600_000)).await;
    let purged = rest.post(&format!("{TASKS}:purge"), "{}").await.json();
    let wanted = json!({"purged": 0, "retained": 1, "failed": 0, "failures": [], "nextPageToken": ""});
    assert_eq!(
        purged, wanted,
        "ten minutes have not passed, and what runs is no matter of this call"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_on_many_tasks_goes_on_where_it_ended() {
    let mesh = Up::start(Options {
        variables: vec![("LEPTON_TASKS__BATCH_TIME", "1us".to_owned())],
        ..Options::default()
    })
    .await;
    let rest = mesh.rest();
    let task = |run: &str| {
        json!({
            "kind": "echo",
            "input": {"delay_ms": 600_000},
            "labels": {"run": run},
        })
    };
    let requests: Vec<Value> = (0..1_200).map(|_| task("long")).chain([task("other")]).collect();
    let body = json!({"requests": requests}).to_string();
    rest.post("/api/v1/tasks:batchSubmit", body).await.json();
    let cancel = async |label: &str, token: &str| {
        let body = json!({"label": [label], "pageToken": token}).to_string();
        rest.post(&format!("{TASKS}:batchCancel"), body).await
    };
    let (mut cancelled, mut calls, mut token) = (0, 0, String::new());
    loop {
        let answer = cancel("run=long", &token).await.json();
        cancelled += answer["cancelled"].as_u64().expect("a number");
        calls += 1;
        token = answer["nextPageToken"].as_str().expect("a token").to_owned();
        if token.is_empty() {
            break;
        }
        let foreign = cancel("run=other", &token).await;
        assert_eq!(foreign.reason().as_deref(), Some("PAGE_TOKEN_INVALID"));
    }
    assert_eq!((cancelled, calls), (1_200, 3), "a page of 500 each");
    let left = rest.get(&format!("{TASKS}:count?state=STATE_CANCELLED")).await.json();
    assert_eq!(left["counts"], json!({"STATE_CANCELLED": 1_200}));
}
