//! A model's life: versions, which of them is served, and their end.

use std::time::Duration;

use http::Method;
use lepton_tests::mesh::{Options, Up};
use lepton_tests::wait::eventually;
use serde_json::json;

use super::{ask, call, deploy, files, push, refused, slope};
use crate::shared_mesh::shared;

const SOON: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_pushed_deployed_rolled_back_and_deleted() {
    let mesh = shared().await;
    let (rest, name) = (&mesh.rest(), "life");
    let first = push(rest, name, 1.0).await;
    assert_eq!((&first["name"], &first["version"]), (&json!(name), &json!(1)));
    assert_eq!(first["state"], "STATE_STORED");
    assert_eq!(first["digest"].as_str().map(str::len), Some(64), "{first}");
    let input = json!([{"name": "features", "datatype": "FP64", "shape": ["-1", "1"]}]);
    assert_eq!(first["inputs"], input);
    assert_eq!(first["outputs"][0]["name"], "prediction");
    assert_eq!(push(rest, name, 1.0).await, first, "the same file is the same version");
    assert_eq!(push(rest, name, 2.0).await["version"], 2);
    assert_eq!(files(&mesh.data.path().join("blobs"), name), 2);
    refused(&ask(rest, name).await, 400, "MODEL_NOT_DEPLOYED");

    let model = deploy(rest, name, 1).await;
    assert_eq!(
        (&model["deployedVersion"], &model["previousVersion"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(model["versions"][1]["state"], "STATE_READY", "{model}");
    let loaded_on = model["versions"][1]["loadedOn"].as_array();
    assert_eq!(loaded_on.map(Vec::len), Some(2), "both workers: {model}");
    assert_eq!(slope(rest, name).await, 1.0);
    let model = call(rest, Method::POST, "life:deploy", "{}").await;
    assert_eq!(
        (&model["deployedVersion"], &model["previousVersion"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(slope(rest, name).await, 2.0);
    let again = deploy(rest, name, 2).await;
    assert_eq!(again["previousVersion"], 1, "nothing has changed: {again}");

    assert_eq!(
        call(rest, Method::POST, "life:rollback", "").await["deployedVersion"],
        1
    );
    assert_eq!(slope(rest, name).await, 1.0);
    let delete = |version: u32| {
        let path = format!("/api/v1/models/{name}/versions/{version}");
        rest.send(rest.request(Method::DELETE, &path, Default::default()))
    };
    let in_use = delete(1).await;
    refused(&in_use, 400, "MODEL_IN_USE");
    assert_eq!(in_use.json()["error"]["status"], "FAILED_PRECONDITION");
    assert_eq!(delete(2).await.json(), json!({}));
    refused(&delete(2).await, 404, "MODEL_NOT_FOUND");
    assert_eq!(files(&mesh.data.path().join("blobs"), name), 1);
    refused(
        &rest.post("/api/v1/models/life:rollback", "").await,
        400,
        "NO_PREVIOUS_VERSION",
    );
    assert_eq!(push(rest, name, 2.0).await["version"], 3, "numbers are given once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_undeployed_answers_no_more_and_can_come_back() {
    let mesh = shared().await;
    let (rest, name) = (&mesh.rest(), "back");
    push(rest, name, 1.0).await;
    deploy(rest, name, 1).await;
    for _ in 0..2 {
        let model = call(rest, Method::POST, "back:undeploy", "{}").await;
        assert_eq!(
            (&model["deployedVersion"], &model["previousVersion"]),
            (&json!(0), &json!(1))
        );
        assert_eq!(model["versions"][0]["state"], "STATE_STORED", "{model}");
    }
    refused(&ask(rest, name).await, 400, "MODEL_NOT_DEPLOYED");
    call(rest, Method::POST, "back:rollback", "").await;
    assert_eq!(slope(rest, name).await, 1.0);
    call(rest, Method::POST, "back:undeploy", "").await;
    call(rest, Method::DELETE, "back/versions/1", "").await;
    refused(&rest.get("/api/v1/models/back").await, 404, "MODEL_NOT_FOUND");
    refused(&ask(rest, name).await, 404, "MODEL_NOT_FOUND");
    let listed = rest.get("/api/v1/models").await.json();
    let names = listed["models"].as_array().into_iter().flatten();
    assert!(names.clone().all(|model| model["name"] != name), "{listed}");
    assert_eq!(files(&mesh.data.path().join("blobs"), name), 0);
}

/// Workers keep a former version for some seconds after its successor has answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_former_version_can_be_deleted_while_it_still_serves() {
    let mesh = shared().await;
    let (rest, name) = (&mesh.rest(), "former");
    for (version, slope) in [(1, 1.0), (2, 2.0)] {
        push(rest, name, slope).await;
        deploy(rest, name, version).await;
    }
    let former = || rest.get("/v2/models/former/versions/1/ready");
    assert_eq!(former().await.status, 200, "it is still there");
    call(rest, Method::DELETE, "former/versions/1", "").await;
    refused(
        &rest.post("/api/v1/models/former:rollback", "").await,
        400,
        "NO_PREVIOUS_VERSION",
    );
    assert_eq!(files(&mesh.data.path().join("blobs"), name), 1);
    for _ in 0..20 {
        assert_eq!(slope(rest, name).await, 2.0);
    }
    eventually(SOON, || async { former().await.status == 404 }).await;
    assert_eq!(slope(rest, name).await, 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn models_outlive_a_restart_of_everything_and_answer_again() {
    let first = Up::fresh().await;
    push(&first.rest(), "kept", 1.0).await;
    push(&first.rest(), "kept", 2.0).await;
    deploy(&first.rest(), "kept", 1).await;
    let before = first.rest().get("/api/v1/models/kept").await.json();
    let data = first.data.clone();
    drop(first);
    let second = Up::start(Options {
        data: Some(data),
        ..Options::default()
    });
    let second = second.await;
    let rest = &second.rest();
    assert_eq!(slope(rest, "kept").await, 1.0);
    let after = rest.get("/api/v1/models/kept").await.json();
    for field in ["deployedVersion", "previousVersion"] {
        assert_eq!(after[field], before[field]);
    }
    assert_eq!(after["versions"][0], before["versions"][0]);
    deploy(rest, "kept", 2).await;
    assert_eq!(slope(rest, "kept").await, 2.0);
}
