//! Roles, in every dialect.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use lepton_mesh::server::raw::Raw;
use lepton_proto::roles::{self, Role};

use super::*;
use crate::transcode::table::Table;
use crate::v2;

const SUBMIT: &str = r#"{"kind":"echo"}"#;

async fn with_role(role: AnonymousRole) -> Running {
    Running::start(|config| config.caller.anonymous_role = role).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_may_look_and_not_submit() {
    let gateway = with_role(AnonymousRole::Viewer).await;
    let denied = |answer: &str| {
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.contains(r#""reason":"PERMISSION_DENIED""#), "{answer}");
        assert!(answer.contains(r#""needed":"#), "{answer}");
    };
    denied(&gateway.http("POST /api/v1/tasks", "", SUBMIT).await);
    denied(&gateway.http("POST /api/v1/tasks:batchSubmit", "", "{}").await);
    denied(&gateway.http("POST /api/v1/analyze", "", "{}").await);
    denied(&gateway.http("POST /api/v1/models/m:push", "", "x").await);
    denied(&gateway.http("POST /api/v1/blobs", "", "x").await);
    denied(&gateway.http("GET /api/v1/nodes", "", "").await);
    denied(&gateway.http("GET /api/v1/traces", "", "").await);
    let inferred = gateway.http("POST /v2/models/m/infer", "", "{}").await;
    assert!(inferred.starts_with("HTTP/1.1 403 "), "{inferred}");
    assert!(inferred.contains("lepton-reason: PERMISSION_DENIED"), "{inferred}");
    assert!(inferred.contains(r#"{"error":""#), "{inferred}");

    let mut tasks = TaskServiceClient::new(gateway.channel());
    let submit = SubmitTaskRequest {
        kind: "echo".into(),
        ..Default::default()
    };
    assert_eq!(reason(tasks.submit_task(submit).await), Reason::PermissionDenied);
    let web = gateway
        .http(
            "POST /lepton.task.v1.TaskService/SubmitTask",
            "content-type: application/grpc-web+proto\r\n",
            "\0\0\0\0\0",
        )
        .await;
    assert!(web.contains("content-type: application/grpc-web+proto"), "{web}");
    assert!(web.contains("grpc-status: 7"), "{web}");

    // What it may do fails for want of a mesh, and for nothing else.
    let listed = gateway.http("GET /api/v1/tasks", "", "").await;
    assert!(listed.starts_with("HTTP/1.1 503 "), "{listed}");
    let get = GetTaskRequest {
        id: "0197f7c0-0000-7000-8000-000000000000".into(),
        ..Default::default()
    };
    assert_ne!(reason(tasks.get_task(get).await), Reason::PermissionDenied);
    let mut models = ModelServiceClient::new(gateway.channel());
    let listed = tokio::time::timeout(Duration::from_secs(1), models.list_models(ListModelsRequest::default())).await;
    assert!(listed.is_err() || reason(listed.expect("in time")) != Reason::PermissionDenied);
    assert!(gateway.http("GET /healthz", "", "").await.starts_with("HTTP/1.1 200 "));
    assert!(
        gateway
            .http("GET /v2/health/live", "", "")
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_submit_and_operators_see_the_mesh() {
    for (role, nodes) in [(AnonymousRole::User, "403"), (AnonymousRole::Operator, "200")] {
        let gateway = with_role(role).await;
        let submitted = gateway.http("POST /api/v1/tasks", "", SUBMIT).await;
        assert!(submitted.starts_with("HTTP/1.1 503 "), "{submitted}");
        let listed = gateway.http("GET /api/v1/nodes", "", "").await;
        assert_eq!(listed.get(9..12), Some(nodes), "{listed}");
        gateway.stop().await;
    }
}

/// A way to call an RPC: over gRPC, or a REST request of this line.
enum Way {
    Grpc,
    Rest(String),
}

/// Every RPC that the gateway serves, by its path, in every way that it can be called.
fn every_call() -> Vec<(String, Way)> {
    let table = Table::of(lepton_proto::descriptors::pool()).expect("rules that hold");
    let bindings = table.bindings().iter().map(|binding| {
        let template = binding.template.to_string();
        let segments = template.split(['{', '}']).enumerate();
        // Between braces stand the names of fields; "1" is a version as well as a name.
        let path: String = segments
            .map(|(at, text)| if at % 2 == 0 { text } else { "1" })
            .collect();
        (binding.rpc_path(), Way::Rest(format!("{} {path}", binding.verb)))
    });
    let v2 = [
        "GET /v2",
        "GET /v2/health/live",
        "GET /v2/health/ready",
        "GET /v2/models/1",
        "GET /v2/models/1/ready",
        "POST /v2/models/1/infer",
    ];
    let v2 = v2.map(|line| {
        let (verb, path) = line.split_once(' ').expect("a verb and a path");
        let verb = verb.parse().expect("a verb");
        let target = v2::Target::of(&verb, path).expect("a target");
        (target.rpc().to_owned(), Way::Rest(line.to_owned()))
    });
    let grpc = roles::TABLE.iter().map(|(path, _)| ((*path).to_owned(), Way::Grpc));
    bindings.chain(v2).chain(grpc).collect()
}

/// True where a call is refused for its caller's role. One that waits for the mesh has passed.
async fn is_denied(gateway: &Running, rpc: &str, way: &Way) -> bool {
    let answered = async {
        match way {
            Way::Rest(line) => {
                let answer = gateway.http(line, "grpc-timeout: 300m\r\n", "{}").await;
                let denied = answer.contains("PERMISSION_DENIED");
                assert_eq!(denied, answer.starts_with("HTTP/1.1 403 "), "{line}: {answer}");
                denied
            }
            Way::Grpc => {
                let mut client = tonic::client::Grpc::new(gateway.channel());
                client.ready().await.expect("a connection");
                let request = tonic::Request::new(futures::stream::empty::<Bytes>());
                let path = rpc.parse().expect("a path");
                let answer = client.streaming(request, path, Raw).await;
                answer.is_err_and(|status| error::from_status(&status).reason == Reason::PermissionDenied)
            }
        }
    };
    let answered = tokio::time::timeout(Duration::from_secs(2), answered).await;
    answered.unwrap_or(false)
}

/// The RPCs that are denied, each in every way or in none.
async fn denied(role: AnonymousRole) -> BTreeSet<String> {
    let gateway = with_role(role).await;
    let calls = every_call();
    let outcomes = calls.iter().map(|(rpc, way)| is_denied(&gateway, rpc, way));
    let outcomes = futures::future::join_all(outcomes).await;
    let mut by_rpc: BTreeMap<&str, BTreeSet<bool>> = BTreeMap::new();
    for ((rpc, _), outcome) in calls.iter().zip(outcomes) {
        by_rpc.entry(rpc).or_default().insert(outcome);
    }
    gateway.stop().await;
    let split: Vec<_> = by_rpc.iter().filter(|(_, outcomes)| outcomes.len() > 1).collect();
    assert!(
        split.is_empty(),
        "{role:?} is denied over one protocol alone: {split:?}"
    );
    let denied = by_rpc.iter().filter(|(_, outcomes)| outcomes.contains(&true));
    denied.map(|(rpc, _)| (*rpc).to_owned()).collect()
}

fn with_need(needs: &[Role]) -> BTreeSet<String> {
    let rows = roles::TABLE.iter().filter(|(_, needed)| needs.contains(needed));
    rows.map(|(path, _)| (*path).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_is_checked_in_every_way() {
    let mutating: BTreeSet<String> = every_call()
        .into_iter()
        .filter(|(_, way)| matches!(way, Way::Rest(line) if !line.starts_with("GET ")))
        .map(|(rpc, _)| rpc)
        .collect();
    let refused = denied(AnonymousRole::Viewer).await;
    assert!(mutating.len() >= 12 && mutating.is_subset(&refused), "{refused:?}");
    // What else is refused reads what belongs to no tenant: instances, the journal, incidents and traces.
    assert_eq!(refused, with_need(&[Role::User, Role::Operator]));
    assert_eq!(denied(AnonymousRole::User).await, with_need(&[Role::Operator]));
    assert_eq!(denied(AnonymousRole::Operator).await, BTreeSet::new());
}

#[tokio::test]
async fn a_gateway_is_not_built_for_a_tenant_without_a_name() {
    for tenant in ["", "Team A", "a/b"] {
        let mut config = Config::default();
        config.caller.anonymous_tenant = tenant.to_owned();
        let error = Gateway::build(config, Context::system()).await.expect_err(tenant);
        assert_eq!(error.reason, Reason::ConfigInvalid);
        assert!(error.message.starts_with("caller.anonymous_tenant: "), "{error}");
    }
}
