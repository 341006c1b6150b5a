//! What was trained is served: deployed by the task itself, and one version however often it is trained.

use lepton_proto::convert::task::sha256;

use super::*;

fn rows() -> Vec<Value> {
    (0..60)
        .map(|i| json!({"a": i % 7, "b": i * i % 11, "y": 1.5 + 2.0 * f64::from(i % 7) - f64::from(i * i % 11)}))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trained_model_answers_as_soon_as_the_task_has_ended() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let input = json!({"data": rows(), "target": "y", "model": "served", "deploy": true, "testShare": 0});
    let task = ended(&rest, "train", &input).await;
    let first = task["output"].clone();
    assert_eq!(
        first["model"],
        json!({"name": "served", "version": 1, "opset": 13, "deployed": true})
    );
    let question = json!({"data": [{"a": 1, "b": 2}, {"a": null, "b": 3}, {"b": 0, "a": 0}], "model": "served"});
    let answer = rest.submit("/api/v1/analyze", &question).await;
    let predictions = answer["predictions"].as_array().expect("a list");
    let near = |value: &Value, expected: f64| value.as_f64().is_some_and(|it| (it - expected).abs() < 1e-9);
    assert!(
        near(&predictions[0], 1.5) && predictions[1].is_null() && near(&predictions[2], 1.5),
        "{answer}"
    );
    let again = output(&rest, "train", &input).await;
    assert_eq!(again, first, "the same training gives the same version");
    let model = rest.get("/api/v1/models/served").await.json();
    let versions = model["versions"].as_array().expect("a list");
    assert_eq!((versions.len(), &model["deployedVersion"]), (1, &json!(1)), "{model}");
    comes_from(&versions[0]["lineage"], &task);
}

/// A lineage names the task that made the version, what of, how, and how well that went.
fn comes_from(lineage: &Value, task: &Value) {
    let keys: Vec<&String> = lineage.as_object().expect("an object").keys().collect();
    assert_eq!(
        keys,
        ["dataDigest", "method", "metrics", "parameters", "task"],
        "{lineage}"
    );
    assert_eq!(
        (&lineage["task"], &lineage["method"]),
        (&task["id"], &json!("closed_form")),
        "{lineage}"
    );
    let rows = task["input"]["data"].to_string();
    assert_eq!(
        lineage["dataDigest"],
        sha256(rows.as_bytes()).to_string(),
        "of the rows as the task keeps them"
    );
    let inner = |name: &str| -> Value {
        let text = lineage[name].as_str().expect("a text");
        serde_json::from_str(text).expect("of JSON")
    };
    let parameters = json!({"algorithm": "linear", "target": "y", "features": 2, "testShare": 0.0, "seed": 42});
    assert_eq!(inner("parameters"), parameters);
    let (kept, told) = (inner("metrics"), &task["output"]["metrics"]);
    for figure in ["r2", "mse", "mae", "rowCount"] {
        let kept = kept["train"][figure].as_f64();
        assert!(
            kept.is_some() && kept == told["train"][figure].as_f64(),
            "{figure}: {lineage}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_deployed_can_be_judged() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let train =
        |features: Value| json!({"data": rows(), "target": "y", "model": "two", "features": features, "testShare": 0});
    output(&rest, "train", &train(json!(["a"]))).await;
    output(&rest, "train", &train(json!(["a", "b"]))).await;
    let deployed = rest.post("/api/v1/models/two:deploy", r#"{"version":1}"#).await;
    assert_eq!(deployed.status, StatusCode::OK, "{}", deployed.text());
    let judge = |version: Value| json!({"data": rows(), "target": "y", "model": "two", "version": version});
    for (version, expected) in [(json!(2), 2), (json!(1), 1), (Value::Null, 1)] {
        let judged = output(&rest, "evaluate", &judge(version)).await;
        assert_eq!(judged["model"], json!({"name": "two", "version": expected}));
        let r2 = judged["metrics"]["r2"].as_f64().expect("the target varies");
        assert_eq!(r2 > 0.999_999, expected == 2, "{judged}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_seen_while_it_runs_and_a_stop_is_heard() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let endless = json!({"method": "gradient_descent", "epochs": 1_000_000_000, "tolerance": 0});
    let mut input = json!({"data": rows(), "target": "y"});
    for (key, value) in endless.as_object().expect("an object") {
        input[key] = value.clone();
    }
    let task = rest.submit(TASKS, &json!({"kind": "train", "input": input})).await;
    let id = task["id"].as_str().expect("a task has an id");
    let mut events = rest.events(&format!("{TASKS}/{id}:watch")).await;
    let said = loop {
        let event = events.next().await.expect("it runs for ever");
        let task: Value = serde_json::from_str(&event.data).expect("an event carries a task");
        if task["progress"]["figures"].get("loss").is_some() {
            break task["progress"].clone();
        }
    };
    assert!(
        said["figures"]["epoch"].as_f64().is_some_and(|epoch| epoch >= 1.0),
        "{said}"
    );
    let stopped = rest.post(&format!("{TASKS}/{id}:cancel"), "{}").await;
    assert_eq!(stopped.status, StatusCode::OK, "{}", stopped.text());
    let ended = rest.get(&format!("{TASKS}/{id}:wait?timeout=30s")).await.json();
    assert_eq!(ended["state"], "STATE_CANCELLED", "{ended}");
}
