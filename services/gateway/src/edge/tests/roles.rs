//! Roles, in every dialect.

use super::*;

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
