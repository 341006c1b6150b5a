//! `lepton analyze`: the same answer as REST gives for the same rows, or a table of it.

use std::fs;
use std::path::{Path, PathBuf};

use lepton_tests::mesh::{Up, directory};
use serde_json::Value;

use super::{CommandOutput, lepton};
use crate::shared_mesh::shared;

/// The demo's table.
fn patients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/demo/diabetes.csv")
}

/// The rows of a table of numbers, as JSON.
fn rows(csv: &str) -> String {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let row = |line: &str| {
        let cells = names.iter().zip(line.split(','));
        let cells: Vec<String> = cells.map(|(name, cell)| format!("\"{name}\":{cell}")).collect();
        format!("{{{}}}", cells.join(","))
    };
    format!("[{}]", lines.map(row).collect::<Vec<_>>().join(","))
}

async fn analyze(up: &Up, file: &Path, more: &str) -> CommandOutput {
    let file = file.display().to_string();
    let arguments = ["analyze", &file].into_iter().chain(more.split_whitespace());
    lepton(&up.gateway, &arguments.collect::<Vec<_>>()).await
}

/// An answer without what differs from call to call. Maps come in any order.
#[track_caller]
fn untraced(body: &str) -> Value {
    let mut answer: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    let trace = answer["traceId"].take();
    assert_eq!(trace.as_str().map(str::len), Some(32), "{trace}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn json_output_is_the_rest_body() {
    let up = shared().await;
    let rows = rows(&fs::read_to_string(patients()).expect("the demo ships its data"));
    let request = format!("{{\"data\":{rows},\"target\":\"progression\"}}");
    let answer = up.rest().post("/api/v1/analyze", request.clone()).await;
    let wanted = untraced(&String::from_utf8_lossy(&answer.body));

    let folder = directory();
    let (bare, whole) = (folder.path().join("rows.json"), folder.path().join("request.json"));
    fs::write(&bare, &rows).expect("a file");
    fs::write(&whole, &request).expect("a file");
    for (file, flags) in [
        (&patients(), "--target progression"),
        (&bare, "--target progression"),
        (&whole, ""),
    ] {
        let body = analyze(&up, file, &format!("{flags} --output json")).await.body();
        assert_eq!(untraced(&body), wanted, "{}", file.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_get_tables() {
    let up = shared().await;
    let text = analyze(&up, &patients(), "--target progression").await.body();
    let line = |begin: &str| {
        let line = text.lines().find(|line| line.starts_with(begin));
        line.unwrap_or_else(|| panic!("no {begin}: {text}"))
            .split_whitespace()
            .collect::<Vec<_>>()
    };
    assert_eq!(line("442"), ["442", "rows"]);
    assert_eq!(
        line("COLUMN")[..6],
        ["COLUMN", "TYPE", "COUNT", "MISSING", "MEAN", "STDDEV"]
    );
    assert_eq!(line("age ")[..6], ["age", "number", "442", "0", "48.5181", "13.109"]);
    assert_eq!(line("tc   ldl"), ["tc", "ldl", "0.896663"]);
    assert!(text.contains("fit of progression: R2 0.517748 over 442 rows"), "{text}");
    assert!(text.contains("intercept"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_analysed_is_named() {
    let up = shared().await;
    let folder = directory();
    let absent = folder.path().join("absent.csv");
    let output = analyze(&up, &absent, "").await.refused(2, "FILE_UNREADABLE");
    assert!(output.stderr.contains(&absent.display().to_string()), "{output:?}");

    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("a file");
        path
    };
    let broken = file("broken.json", "[{\"a\":1},\n{\"a\":NaN}]");
    let output = analyze(&up, &broken, "").await.refused(1, "INVALID_JSON");
    assert!(output.stderr.contains("line 2 column"), "{output:?}");
    let ragged = file("ragged.csv", "a,b\n1,2\n3\n");
    analyze(&up, &ragged, "").await.refused(2, "FILE_UNREADABLE");
    let empty = file("empty.csv", "a,b\n");
    analyze(&up, &empty, "").await.refused(1, "NO_ROWS");
    let output = analyze(&up, &patients(), "--target nothing").await;
    output.refused(1, "TARGET_NOT_FOUND");
    let misspelt = file("misspelt.json", "{\"data\":[{\"a\":1}],\"tarjet\":\"a\"}");
    let output = analyze(&up, &misspelt, "").await.refused(1, "UNKNOWN_FIELD");
    assert!(output.stderr.contains("tarjet"), "{output:?}");
}
