//! Listings: newest first, page by page, by state and kind.

use std::collections::BTreeSet;

use lepton_proto::task::v1::{ListTasksRequest, State};
use lepton_tests::mesh::Up;
use lepton_tests::rest::Rest;
use serde_json::{Value, json};

use super::{TASKS, client, end};

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_every_task_once_newest_first() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    let mut submitted = Vec::new();
    for number in 0..23 {
        let task = rest.submit(TASKS, &json!({"kind": "echo", "input": number})).await;
        submitted.push(task["id"].as_str().expect("an id").to_owned());
        end(&rest, &task).await;
    }
    let bad = rest
        .submit(TASKS, &json!({"kind": "analyze", "input": {"data": []}}))
        .await;
    assert_eq!(end(&rest, &bad).await["state"], "STATE_FAILED");
    submitted.reverse();

    let echoes = pages(&rest, "pageSize=10&kind=echo").await;
    assert_eq!(echoes.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 3]);
    assert_eq!(ids(&echoes), submitted, "newest first, each once");
    assert_eq!(ids(&pages(&rest, "pageSize=7&state=STATE_SUCCEEDED").await), submitted);
    assert_eq!(
        ids(&pages(&rest, "state=STATE_FAILED").await),
        [bad["id"].as_str().expect("an id")]
    );
    assert_eq!(ids(&pages(&rest, "state=STATE_FAILED&kind=echo").await), [""; 0]);
    assert_eq!(ids(&pages(&rest, "kind=nope").await), [""; 0]);
    let all = ids(&pages(&rest, "pageSize=1000").await);
    assert_eq!(all.len(), 24);
    assert_eq!(all[0], bad["id"].as_str().expect("an id"), "the newest");

    tokens_belong_to_their_listing(&rest).await;
    let request = ListTasksRequest {
        page_size: 5,
        state: State::Succeeded.into(),
        ..Default::default()
    };
    let page = client(mesh.channel())
        .list_tasks(request)
        .await
        .expect("a page")
        .into_inner();
    let found: Vec<&str> = page.tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(found, submitted[..5], "gRPC lists the same");
    assert!(!page.next_page_token.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_meanwhile_does_not_disturb_a_listing() {
    let mesh = Up::fresh().await;
    let rest = mesh.rest();
    let submit = async |from: u32, to: u32| {
        let requests: Vec<Value> = (from..to)
            .map(|number| json!({"kind": "echo", "input": number}))
            .collect();
        rest.submit("/api/v1/tasks:batchSubmit", &json!({"requests": requests}))
            .await
    };
    submit(0, 30).await;
    let first = rest.get("/api/v1/tasks?pageSize=20").await.json();
    submit(30, 60).await;
    let token = first["nextPageToken"].as_str().expect("a token");
    let second = rest
        .get(&format!("/api/v1/tasks?pageSize=20&pageToken={token}"))
        .await
        .json();
    let found = ids(&[first, second].map(|page| page["tasks"].as_array().expect("tasks").clone()));
    assert_eq!(found.len(), 30, "the older ones go on where they stopped");
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 30, "each once");
}

async fn tokens_belong_to_their_listing(rest: &Rest) {
    let first = rest.get("/api/v1/tasks?pageSize=2&kind=echo").await.json();
    let token = first["nextPageToken"].as_str().expect("a token");
    let other = rest
        .get(&format!("/api/v1/tasks?pageSize=2&kind=analyze&pageToken={token}"))
        .await;
    assert_eq!(
        other.reason().as_deref(),
        Some("PAGE_TOKEN_INVALID"),
        "{}",
        other.text()
    );
    let smaller = rest
        .get(&format!("/api/v1/tasks?pageSize=1&kind=echo&pageToken={token}"))
        .await;
    assert_eq!(smaller.status, 200, "the size of a page may change: {}", smaller.text());
}

/// Every page of a listing, to the one without a token.
async fn pages(rest: &Rest, query: &str) -> Vec<Vec<Value>> {
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let answer = rest.get(&format!("/api/v1/tasks?{query}&pageToken={token}")).await;
        let page = answer.json();
        pages.push(
            page["tasks"]
                .as_array()
                .unwrap_or_else(|| panic!("no tasks: {}", answer.text()))
                .clone(),
        );
        token = page["nextPageToken"]
            .as_str()
            .unwrap_or_else(|| panic!("no token: {}", answer.text()))
            .to_owned();
        if token.is_empty() {
            return pages;
        }
        assert!(pages.len() < 100, "the listing does not end");
    }
}

fn ids(pages: &[Vec<Value>]) -> Vec<String> {
    pages
        .iter()
        .flatten()
        .map(|task| task["id"].as_str().expect("an id").to_owned())
        .collect()
}
