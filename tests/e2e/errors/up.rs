//! `lepton up` where it cannot start: exit 1, the reason on stderr, nothing on stdout, the data as it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use lepton_core::net::Net;
use lepton_tests::mesh::{Options, Up, directory, up_arguments};
use lepton_tests::process::Process;
use serde_json::json;

use super::still_works;

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_changes_nothing() {
    let taken = Net::Os.bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().to_string();
    let data = used_directory().await;
    let before = content(data.path());
    for flag in ["--listen", "--console", "--admin", "--etcd-listen"] {
        let mut arguments = up_arguments(data.path(), 1);
        match arguments.iter().position(|argument| argument == flag) {
            Some(at) => arguments[at + 1] = address.clone(),
            None => arguments.extend([flag.to_owned(), address.clone()]),
        }
        refused(&arguments, "ADDRESS_IN_USE", &address).await;
        assert_eq!(content(data.path()), before, "{flag}: the data is as it was");
    }
    goes_on(data).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_written() {
    let folder = directory();
    let file = folder.path().join("file");
    fs::write(&file, "not a folder").expect("a file");
    // Root may write where permissions forbid it, but nobody below a file.
    for path in [&file, &file.join("data")] {
        refused(
            &up_arguments(path, 1),
            "DATA_DIR_NOT_WRITABLE",
            &path.display().to_string(),
        )
        .await;
    }
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "not a folder");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_in_use_stays_with_its_mesh() {
    let mesh = Up::start(Options {
        workers: 1,
        ..Options::default()
    })
    .await;
    let task = mesh
        .rest()
        .submit("/api/v1/tasks", &json!({"kind": "echo", "input": {"delay_ms": 1500}}))
        .await;
    refused(
        &up_arguments(mesh.data.path(), 1),
        "DATA_DIR_IN_USE",
        &mesh.data.path().display().to_string(),
    )
    .await;
    let path = format!("/api/v1/tasks/{}:wait?timeout=30s", task["id"].as_str().expect("an id"));
    assert_eq!(mesh.rest().get(&path).await.json()["state"], "STATE_SUCCEEDED");
    still_works(&mesh.rest()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_format_is_left_alone() {
    let data = used_directory().await;
    let version = data.path().join("VERSION");
    let ours = fs::read_to_string(&version).expect("a used directory has a version");
    fs::write(&version, "999\n").expect("it is ours");
    let before = content(data.path());
    refused(&up_arguments(data.path(), 1), "FORMAT_UNSUPPORTED", "999").await;
    assert_eq!(content(data.path()), before, "the data is as it was");
    fs::write(&version, ours).expect("it is ours");
    goes_on(data).await;
}

/// Asserts that `lepton up` ends with this reason and names `what` is wrong.
async fn refused(arguments: &[String], reason: &str, what: &str) {
    let mut process = Process::start("lepton", arguments);
    let status = tokio::time::timeout(Duration::from_secs(30), process.end())
        .await
        .expect("it ends by itself");
    let stderr = process.stderr();
    assert_eq!(status.code(), Some(1), "{stderr}");
    let line = stderr
        .lines()
        .find(|line| line.starts_with("error: "))
        .unwrap_or_else(|| panic!("no error: {stderr}"));
    assert!(line.starts_with(&format!("error: {reason}: ")), "{line}");
    assert!(line.contains(what), "{line} does not name {what}");
    assert_eq!(process.stdout(), "", "nothing on stdout");
}

/// A directory in which a mesh has run one task and ended in order.
async fn used_directory() -> std::sync::Arc<tempfile::TempDir> {
    let mut mesh = Up::start(Options {
        workers: 1,
        ..Options::default()
    })
    .await;
    still_works(&mesh.rest()).await;
    mesh.process.terminate();
    assert!(mesh.process.end().await.success(), "it drains");
    mesh.data.clone()
}

/// Asserts that a mesh goes on with a directory where the one before ended.
async fn goes_on(data: std::sync::Arc<tempfile::TempDir>) {
    let mesh = Up::start(Options {
        workers: 1,
        data: Some(data),
        ..Options::default()
    })
    .await;
    let listed = mesh.rest().get("/api/v1/tasks").await.json();
    assert_eq!(
        listed["tasks"].as_array().map(Vec::len),
        Some(1),
        "the task is still there: {listed}"
    );
    still_works(&mesh.rest()).await;
}

/// Every file below a folder with its content.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("our folders are readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(
                    path.display().to_string(),
                    fs::read(&path).expect("our files are readable"),
                );
            }
        }
    }
    assert!(!found.is_empty(), "there is something to keep");
    found
}
