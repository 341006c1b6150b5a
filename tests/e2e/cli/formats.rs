//! Files and standard input by their content, whatever they are called.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use lepton_tests::mesh::directory;
use serde_json::{Value, json};

use super::{fed, lepton};
use crate::shared_mesh::shared;

const CSV: &str = "x,y\n1,4\n2,7\n3,10.5\n4,13\n";
const TSV: &str = "x\ty\n1\t4\n2\t7\n3\t10.5\n4\t13\n";
const EXCEL: &str = "\u{feff}sep=;\r\nx;y\r\n1;4\r\n2;7\r\n3;10.5\r\n4;13\r\n";
const LINES: &str = "{\"x\":1,\"y\":4}\n{\"x\":2,\"y\":7}\n\n{\"x\":3,\"y\":10.5}\n{\"x\":4,\"y\":13}\n";
const ARRAY: &str = "\u{feff}[{\"x\":1,\"y\":4},{\"x\":2,\"y\":7},{\"x\":3,\"y\":10.5},{\"x\":4,\"y\":13}]";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// Every content, under an ending that does not fit it.
fn contents() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("table.json", CSV.into()),
        ("tabs.csv", TSV.into()),
        ("excel.txt", EXCEL.into()),
        ("lines.csv", LINES.into()),
        ("array.csv", ARRAY.into()),
        ("table", gzip(CSV)),
        ("lines.parquet", gzip(LINES)),
        (
            "powershell",
            format!("\u{feff}{CSV}")
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
        ),
    ]
}

fn figures(mut answer: Value) -> Value {
    answer["traceId"].take();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_analysed_from_files_and_standard_input_alike() {
    let up = shared().await;
    let folder = directory();
    let plain = folder.path().join("plain.csv");
    fs::write(&plain, CSV).expect("a file");
    let file = plain.display().to_string();
    let flags = ["--target", "y", "--output", "json"];
    let expected = figures(
        lepton(&up.gateway, &[&["analyze", &file][..], &flags].concat())
            .await
            .json(),
    );
    assert_eq!(expected["rowCount"], 4);
    for (name, content) in contents() {
        let path = folder.path().join(name);
        fs::write(&path, &content).expect("a file");
        let file = path.display().to_string();
        let read = lepton(&up.gateway, &[&["analyze", &file][..], &flags].concat())
            .await
            .json();
        assert_eq!(figures(read), expected, "{name}");
        for stdin in ["-", "/dev/stdin"] {
            let read = fed(&up.gateway, &[&["analyze", stdin][..], &flags].concat(), &content)
                .await
                .json();
            assert_eq!(figures(read), expected, "{name} as {stdin}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_trained_and_called_on_any_of_them() {
    let up = shared().await;
    for (name, content) in contents() {
        let train = [
            "train",
            "-",
            "--target",
            "y",
            "--test-share",
            "0",
            "--model",
            "formats",
            "--deploy",
            "--output",
            "json",
        ];
        let trained = fed(&up.gateway, &train, &content).await.json();
        assert_eq!(trained["rowCount"], 4, "{name}: {trained}");
        let infer = ["infer", "formats", "--input", "-", "--output", "json"];
        let answer = fed(&up.gateway, &infer, &content).await.json();
        assert_eq!(
            answer["predictions"].as_array().map(Vec::len),
            Some(4),
            "{name}: {answer}"
        );
    }
    let one = fed(
        &up.gateway,
        &["infer", "formats", "--input", "-", "--output", "json"],
        b"{\"x\":1}",
    )
    .await;
    assert_eq!(one.json()["predictions"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_of_tasks_come_from_files_and_standard_input() {
    let up = shared().await;
    let folder = directory();
    let path = folder.path().join("input");
    fs::write(&path, "\u{feff}{\"hello\":\"Wörld\"}").expect("a file");
    let file = format!("@{}", path.display());
    let submit = |input: &'static str| ["task", "submit", "echo", input, "--wait", "--output", "json"];
    for input in ["-", "@-", "@"] {
        let task = fed(&up.gateway, &submit(input), b"{\"hello\":\"W\xc3\xb6rld\"}")
            .await
            .json();
        assert_eq!(task["output"], json!({"hello": "Wörld"}), "{input}");
    }
    let task = lepton(
        &up.gateway,
        &["task", "submit", "echo", &file, "--wait", "--output", "json"],
    )
    .await;
    assert_eq!(task.json()["output"], json!({"hello": "Wörld"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_read_is_named_with_what_to_do() {
    let up = shared().await;
    for (content, reason, words) in [
        (&b"PAR1\x15\x04\x15\0"[..], "FILE_UNREADABLE", "Parquet"),
        (b"PK\x03\x04\x14\0\x06\0", "FILE_UNREADABLE", "Excel"),
        (b"a\0,\0b\0\n\0", "FILE_UNREADABLE", "iconv -f UTF-16"),
        (b"x,y\n1,caf\xe9\n", "FILE_UNREADABLE", "line 2 is not UTF-8"),
        (b"\x28\xb5\x2f\xfd\x04", "FILE_UNREADABLE", "zstd"),
        (b"<!DOCTYPE html>\n<html></html>", "FILE_UNREADABLE", "HTML"),
        (b"", "NO_ROWS", "it is empty"),
        (b"{\"x\":1}\n{\"x\":NaN}\n", "INVALID_JSON", "line 2"),
        (b"{\"rows\":[{\"x\":1}]}", "INVALID_ROW", "`data`"),
    ] {
        let code = if reason == "FILE_UNREADABLE" { 2 } else { 1 };
        let refused = fed(&up.gateway, &["analyze", "-"], content).await.refused(code, reason);
        assert!(refused.stderr.contains("standard input: "), "{refused:?}");
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    let refused = lepton(&up.gateway, &["analyze", "/"])
        .await
        .refused(2, "FILE_UNREADABLE");
    assert!(refused.stderr.contains("directory"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_column_lists_the_columns_there_are() {
    let up = shared().await;
    for line in [
        &["analyze", "-", "--target", "Y"][..],
        &["train", "-", "--target", "Y"],
        &["train", "-", "--target", "y", "--features", "x,X"],
    ] {
        let refused = fed(&up.gateway, line, CSV.as_bytes()).await.exits(1);
        assert!(refused.stderr.contains(r#"the columns are "x", "y""#), "{refused:?}");
    }
}
