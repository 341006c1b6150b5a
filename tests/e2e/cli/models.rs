//! Models from the command line: trained, kept, served, asked and measured.

use serde_json::json;
use tempfile::TempDir;

use super::lepton;
use crate::shared_mesh::shared;

/// y = 3x + 1.
const LINE: &str = "x,y\n1,4\n2,7\n3,10\n4,13\n5,16\n6,19\n";

fn write(folder: &TempDir, name: &str, text: &str) -> String {
    let file = folder.path().join(name);
    std::fs::write(&file, text).expect("written");
    file.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_trained_asked_and_withdrawn() {
    let gateway = &shared().await.gateway;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let table = write(&folder, "line.csv", LINE);
    let rows = write(&folder, "rows.json", r#"[{"x":10},{"x":null}]"#);
    let tensors = json!({ "inputs": [{ "name": "features", "datatype": "FP64", "shape": [1, 1], "data": [10] }] });
    let tensors = write(&folder, "tensors.json", &tensors.to_string());

    let train = [
        "train",
        &table,
        "--target",
        "y",
        "--test-share",
        "0",
        "--model",
        "cli-line",
        "--deploy",
    ];
    let trained = lepton(gateway, &[&train[..], &["--output", "json"]].concat())
        .await
        .json();
    assert_eq!(trained["model"]["name"], "cli-line", "{trained}");
    let listed = lepton(gateway, &["model", "list"]).await.body();
    assert!(listed.contains("cli-line"), "{listed}");
    let kept = lepton(gateway, &["model", "get", "cli-line"]).await.body();
    assert!(
        kept.contains("serves version 1") && kept.contains("features FP64[-1,1]"),
        "{kept}"
    );

    let predicted = lepton(gateway, &["infer", "cli-line", "--input", &rows, "--output", "json"])
        .await
        .json();
    assert_eq!(predicted["predictions"][1], json!(null), "{predicted}");
    for ways in [&[][..], &["--grpc"], &["--version", "1"]] {
        let line = [&["infer", "cli-line", "--input", &tensors, "--output", "json"], ways].concat();
        let answer = lepton(gateway, &line).await.json();
        let value = answer["outputs"][0]["data"][0].as_f64().expect("a number");
        assert!((value - 31.0).abs() < 1e-9, "{ways:?}: {answer}");
    }
    let bench = ["bench", "infer", "cli-line", "--count", "20", "--output", "json"];
    assert_eq!(lepton(gateway, &bench).await.json()["count"], 20);

    lepton(gateway, &["model", "delete", "cli-line", "1"])
        .await
        .refused(1, "MODEL_IN_USE");
    lepton(gateway, &["model", "undeploy", "cli-line"]).await.body();
    lepton(gateway, &["infer", "cli-line", "--input", &tensors])
        .await
        .refused(1, "MODEL_NOT_DEPLOYED");
    lepton(gateway, &["model", "delete", "cli-line", "1"]).await.body();
    lepton(gateway, &["model", "get", "cli-line"])
        .await
        .refused(1, "MODEL_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_has_its_reason() {
    let gateway = &shared().await.gateway;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let table = write(&folder, "line.csv", LINE);
    let text = write(&folder, "text.onnx", "no model");
    lepton(gateway, &["train", &table, "--target", "z"])
        .await
        .refused(1, "TARGET_NOT_FOUND");
    lepton(gateway, &["train", "/nowhere.csv", "--target", "y"])
        .await
        .refused(2, "FILE_UNREADABLE");
    lepton(gateway, &["train", &table, "--target", "y", "--deploy"])
        .await
        .refused(2, "CONFIG_INVALID");
    lepton(gateway, &["model", "push", "cli-text", &text])
        .await
        .refused(1, "MODEL_INVALID");
    lepton(gateway, &["model", "deploy", "cli-nothing"])
        .await
        .refused(1, "MODEL_NOT_FOUND");
    lepton(gateway, &["infer", "cli-nothing", "--input", &table])
        .await
        .refused(1, "MODEL_NOT_FOUND");
}
