//! Listings page by page: nodes, models, incidents and traces, over REST and over gRPC.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::Method;
use lepton_coordination::etcd::Etcd;
use lepton_coordination::registry::{Instance, NodeState, Registrar};
use lepton_core::context::Context;
use lepton_domain::ids::InstanceId;
use lepton_tests::mesh::Up;
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use serde_json::{Value, json};

mod grpc;

use crate::models::push;
use crate::traces::otlp::receiver;

/// How long an instance that never answers may take to be missed, and spans to arrive.
const NOTICE_MAX: Duration = Duration::from_secs(60);

/// Instances that never answer.
const VISITORS: [&str; 3] = ["visitor-1", "visitor-2", "visitor-3"];

/// A listing: its path, the field of its items, and the field that identifies one.
#[derive(Debug, Clone, Copy)]
struct List {
    path: &'static str,
    items: &'static str,
    id: &'static str,
}

const NODES: List = List {
    path: "/api/v1/nodes",
    items: "nodes",
    id: "id",
};
const MODELS: List = List {
    path: "/api/v1/models",
    items: "models",
    id: "name",
};
const INCIDENTS: List = List {
    path: "/api/v1/incidents",
    items: "incidents",
    id: "id",
};
const TRACES: List = List {
    path: "/api/v1/traces",
    items: "traces",
    id: "traceId",
};

impl List {
    /// One page: its ids, and the token of the next page.
    async fn page(self, rest: &Rest, size: u32, token: &str) -> (Vec<String>, String) {
        let path = format!("{}?pageSize={size}&pageToken={token}", self.path);
        let answer = rest.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let body = answer.json();
        let id = |item: &Value| item[self.id].as_str().expect("an id").to_owned();
        let items = body[self.items].as_array().expect("items").iter().map(id).collect();
        (items, body["nextPageToken"].as_str().expect("a token").to_owned())
    }

    /// The ids of all pages from this token on.
    async fn walk(self, rest: &Rest, size: u32, mut token: String) -> Vec<String> {
        let mut found = Vec::new();
        loop {
            let (items, next) = self.page(rest, size, &token).await;
            assert!(size == 0 || items.len() <= size as usize, "{items:?}");
            found.extend(items);
            token = next;
            if token.is_empty() {
                return found;
            }
            assert!(found.len() < 20_000, "the listing does not end");
        }
    }

    /// Pages of every size make up the whole; gives it.
    async fn whole(self, rest: &Rest) -> Vec<String> {
        let body = rest.get(self.path).await.json();
        assert_eq!(body["nextPageToken"], "", "without a size all are given: {body}");
        let whole = self.walk(rest, 0, String::new()).await;
        for size in [1, 2, 1_000] {
            assert_eq!(
                self.walk(rest, size, String::new()).await,
                whole,
                "{size} of {}",
                self.path
            );
        }
        assert_eq!(grpc::walk(self, rest, 2).await, whole, "gRPC lists the same");
        whole
    }
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

/// Registers an instance that never answers.
fn silent(etcd: &Etcd, context: &Context, service: &str, id: &str) -> Registrar {
    let instance = Instance {
        id: InstanceId::new(id),
        service: service.to_owned(),
        // The port of discard, where nothing listens.
        address: "127.0.0.1:9".to_owned(),
        state: NodeState::Starting,
        version: "0.1.0".to_owned(),
        started: context.clock.now(),
        metadata: BTreeMap::new(),
    };
    Registrar::start(etcd.clone(), context, instance)
}

async fn until_listed(rest: &Rest, list: List, id: &str, is_there: bool) {
    eventually(NOTICE_MAX, || async {
        list.walk(rest, 0, String::new()).await.iter().any(|item| item == id) == is_there
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_item_stands_on_one_page() {
    let up = Up::fresh().await;
    let rest = up.rest();
    let context = Context::system();
    let etcd = Etcd::connect(&context, &[format!("http://{}", up.etcd)], "lepton");
    // They are missed some seconds later, and each makes an incident.
    let missing: Vec<Registrar> = VISITORS.map(|id| silent(&etcd, &context, "visitor", id)).into();
    for id in VISITORS {
        until_listed(&rest, NODES, id, true).await;
    }
    nodes(&rest, &etcd, &context).await;
    models(&rest).await;
    traces(&up, &rest).await;
    incidents(&rest).await;
    tokens_belong_to_their_listing(&rest).await;
    for registrar in missing {
        registrar.leave().await;
    }
}

async fn nodes(rest: &Rest, etcd: &Etcd, context: &Context) {
    // 5 of the mesh; the monitor may miss the visitors, the registry does not.
    eventually(NOTICE_MAX, || async {
        NODES.walk(rest, 0, String::new()).await.len() == 8
    })
    .await;
    let whole = NODES.whole(rest).await;
    let (first, token) = NODES.page(rest, 3, "").await;
    assert_eq!(first, whole[..3]);
    // One before the end of the page, and one behind it.
    let (before, behind) = (
        silent(etcd, context, "aardvark", "aardvark-1"),
        silent(etcd, context, "zebra", "zebra-1"),
    );
    until_listed(rest, NODES, "aardvark-1", true).await;
    until_listed(rest, NODES, "zebra-1", true).await;
    let mut expected = whole[3..].to_vec();
    expected.push("zebra-1".to_owned());
    assert_eq!(NODES.walk(rest, 2, token.clone()).await, expected);
    before.leave().await;
    behind.leave().await;
    until_listed(rest, NODES, "zebra-1", false).await;
    assert_eq!(NODES.walk(rest, 2, token).await, whole[3..]);
}

async fn models(rest: &Rest) {
    for (step, name) in ["b", "c", "d", "e", "f"].into_iter().enumerate() {
        push(rest, name, step as f64).await;
    }
    assert_eq!(MODELS.whole(rest).await, ["b", "c", "d", "e", "f"]);
    let (first, token) = MODELS.page(rest, 2, "").await;
    assert_eq!(first, ["b", "c"]);
    push(rest, "a", 9.0).await;
    push(rest, "cc", 9.0).await;
    // The last of the first page, and one that is still to come.
    for name in ["c", "e"] {
        let request = rest.request(Method::DELETE, &format!("/api/v1/models/{name}/versions/1"), "".into());
        assert_eq!(rest.send(request).await.status, 200);
    }
    assert_eq!(MODELS.walk(rest, 1, token).await, ["cc", "d", "f"]);
}

async fn traces(up: &Up, rest: &Rest) {
    let receiver = receiver(up).await;
    let id = |number: u64| format!("{number:032x}");
    // In the future, so that the mesh's own traces are all older.
    let send = async |numbers: &[u64]| {
        let spans = numbers.iter().map(|number| {
            let start = 4_000_000_000_000_000_000 + number * 1_000_000;
            json!({"traceId": id(*number), "spanId": "00000000000000aa", "name": "paged",
                "startTimeUnixNano": start.to_string(), "endTimeUnixNano": (start + 5_000).to_string()})
        });
        let message = json!({"resourceSpans": [{"scopeSpans": [{"spans": spans.collect::<Vec<_>>()}]}]});
        receiver.submit("/v1/traces", &message).await;
    };
    send(&[10, 20, 30, 40, 50]).await;
    until_listed(rest, TRACES, &id(50), true).await;
    let is_ours = |found: &[String]| -> Vec<String> {
        let ours: BTreeSet<String> = (0..100).map(id).collect();
        found.iter().filter(|found| ours.contains(*found)).cloned().collect()
    };
    for size in [1, 2, 1_000] {
        let found = is_ours(&TRACES.walk(rest, size, String::new()).await);
        assert_eq!(found, [50, 40, 30, 20, 10].map(id), "{size}");
    }
    assert_eq!(
        is_ours(&grpc::walk(TRACES, rest, 2).await),
        [50, 40, 30, 20, 10].map(id)
    );
    let (first, token) = TRACES.page(rest, 2, "").await;
    assert_eq!(first, [50, 40].map(id));
    send(&[45, 35, 60]).await;
    until_listed(rest, TRACES, &id(60), true).await;
    let rest_of_it = is_ours(&TRACES.walk(rest, 2, token).await);
    assert_eq!(rest_of_it, [35, 30, 20, 10].map(id));
}

async fn incidents(rest: &Rest) {
    eventually(NOTICE_MAX, || async {
        INCIDENTS.walk(rest, 0, String::new()).await.len() >= 3
    })
    .await;
    let whole = INCIDENTS.whole(rest).await;
    let mut descending = sorted(whole.clone());
    descending.reverse();
    assert_eq!(whole, descending, "the newest first");
    let (_, token) = INCIDENTS.page(rest, 1, "").await;
    let other = format!("/api/v1/incidents?state=STATE_CLOSED&pageToken={token}");
    assert_eq!(rest.get(&other).await.reason().as_deref(), Some("PAGE_TOKEN_INVALID"));
}

async fn tokens_belong_to_their_listing(rest: &Rest) {
    let lists = [NODES, MODELS, INCIDENTS, TRACES];
    let mut tokens = vec![
        (None, "x".to_owned()),
        (None, "AQID".to_owned()),
        (None, "A".repeat(2_000)),
    ];
    for list in lists {
        let (_, token) = list.page(rest, 1, "").await;
        assert!(!token.is_empty(), "{list:?}");
        tokens.push((Some(list.path), token));
    }
    let (_, task) = tasks_token(rest).await;
    tokens.push((Some("/api/v1/tasks"), task));
    for list in lists {
        for (of, token) in tokens.iter().filter(|(of, _)| *of != Some(list.path)) {
            let answer = rest.get(&format!("{}?pageSize=1&pageToken={token}", list.path)).await;
            let found = (answer.status.as_u16(), answer.reason());
            assert_eq!(
                found,
                (400, Some("PAGE_TOKEN_INVALID".to_owned())),
                "a token of {of:?} at {}: {}",
                list.path,
                answer.text()
            );
            let field = answer.detail("BadRequest").expect("a violation")["fieldViolations"][0]["field"].clone();
            let field = field.as_str().expect("a name").replace('_', "").to_lowercase();
            assert_eq!(field, "pagetoken");
        }
        let answer = rest.get(&format!("{}?pageSize=1001", list.path)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.reason().as_deref()),
            (400, Some("FIELD_INVALID")),
            "{}: {}",
            list.path,
            answer.text()
        );
    }
}

/// A page of tasks that has another behind it.
async fn tasks_token(rest: &Rest) -> (Vec<String>, String) {
    for number in 0..2 {
        rest.submit("/api/v1/tasks", &json!({"kind": "echo", "input": number}))
            .await;
    }
    let list = List {
        path: "/api/v1/tasks",
        items: "tasks",
        id: "id",
    };
    list.page(rest, 1, "").await
}
