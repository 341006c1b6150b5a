//! `lepton up` on its machine: its workers, its directory, its signals.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use lepton_tests::mesh::{Options, Up, directory, up_arguments};
use lepton_tests::process::{Process, binary, children, is_alive};
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::tasks::id;
use super::{run, words};

/// Workers end within this time after `lepton up` has died.
const ORPHANS_MAX: Duration = Duration::from_secs(5);
/// What is at once for a person.
const AT_ONCE: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_replaced_and_end_with_it_and_a_new_start_goes_on() {
    let mut up = Up::fresh().await;
    let first = workers(up.process.pid(), 2).await;
    private(&up.data);
    let done = words(&up.gateway, "task submit echo 7 --wait --output json")
        .await
        .json();

    lepton_tests::process::signal(first[0], "KILL");
    let replaced = || async { !workers(up.process.pid(), 2).await.contains(&first[0]) };
    eventually(PATIENCE, replaced).await;
    let second = workers(up.process.pid(), 2).await;
    assert!(
        second.contains(&first[1]),
        "the other one goes on: {first:?} {second:?}"
    );
    words(&up.gateway, "task submit echo 8 --wait").await.exits(0);

    up.process.kill();
    let gone = || async { !second.iter().any(|worker| is_alive(*worker)) };
    eventually(ORPHANS_MAX, gone).await;
    let data = Arc::clone(&up.data);
    drop(up);
    let options = Options {
        data: Some(data),
        ..Options::default()
    };
    let up = Up::start(options).await;
    private(&up.data);
    let kept = words(&up.gateway, &format!("task get {} --output json", id(&done))).await;
    assert_eq!(kept.json(), done, "the task is still there as it was");
    words(&up.gateway, "task submit echo 9 --wait").await.exits(0);
}

/// Waits for so many workers, all of them direct children under their own name.
async fn workers(up: u32, count: usize) -> Vec<u32> {
    let named = || async {
        let children = children(up);
        let all = children.len() == count && children.iter().all(|(_, name)| name == "lepton-worker");
        all.then(|| children.into_iter().map(|(pid, _)| pid).collect())
    };
    eventually(PATIENCE, named).await
}

/// The directory is its owner's alone, of a known format, and locked.
#[track_caller]
fn private(data: &TempDir) {
    let mode = fs::metadata(data.path()).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let version = fs::read_to_string(data.path().join("VERSION")).expect("a version");
    assert_eq!(version, "1\n");
    let lock = fs::File::open(data.path().join("LOCK")).expect("a lock");
    assert!(lock.try_lock().is_err(), "somebody holds it");
}

/// A mesh in the foreground of a terminal, whose Ctrl-C reaches every process of its group.
struct Foreground {
    process: Process,
    gateway: String,
    data: Arc<TempDir>,
}

impl Foreground {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    async fn with(variables: &[(&str, &str)]) -> Self {
        let data = directory();
        let mut command = Command::new(binary("lepton"));
        command.args(up_arguments(data.path(), 2)).process_group(0);
        command.envs(variables.iter().copied());
        let mut process = Process::spawn("lepton", command);
        let gateway = process.ready().await["gateway"].clone();
        Self { process, gateway, data }
    }

    fn ctrl_c(&self) {
        let line = format!("kill -s INT -- -{}", self.process.pid());
        let told = Command::new("sh").args(["-c", &line]).status();
        assert!(told.is_ok_and(|status| status.success()), "{line}");
    }

    /// Submits an echo that takes so long, and waits until it runs.
    async fn run(&self, delay_ms: u32) -> Value {
        let rest = Rest::at(&self.gateway);
        let task = json!({"kind": "echo", "input": {"delay_ms": delay_ms}});
        let task = rest.submit("/api/v1/tasks", &task).await;
        let path = format!("/api/v1/tasks/{}", id(&task));
        let runs = || async { rest.get(&path).await.json()["state"] == "STATE_RUNNING" };
        eventually(PATIENCE, runs).await;
        task
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_lets_work_finish() {
    let mut up = Foreground::start().await;
    let task = up.run(1_500).await;
    up.ctrl_c();
    let status = up.process.end().await;
    let log = up.process.stderr();
    assert_eq!(status.code(), Some(0), "{log}");
    for alarm in ["a worker died", "WARN", "ERROR"] {
        assert!(!log.contains(alarm), "a good end reads like a failure: {log}");
    }
    let options = Options {
        data: Some(Arc::clone(&up.data)),
        ..Options::default()
    };
    let again = Up::start(options).await;
    let task = words(&again.gateway, &format!("task get {} --output json", id(&task)))
        .await
        .json();
    assert_eq!(
        (&task["state"], &task["attempts"]),
        (&"STATE_SUCCEEDED".into(), &1.into()),
        "{task}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_ctrl_c_beside_a_sigterm_drains() {
    let mut up = Foreground::start().await;
    up.run(1_000).await;
    up.process.terminate();
    up.ctrl_c();
    assert_eq!(up.process.end().await.code(), Some(0), "{}", up.process.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_reach_the_services_that_have_their_settings() {
    let variables = [
        ("LEPTON_EDGE__BODY_BYTES_MAX", "2000"),
        ("LEPTON_TASKS__COMPUTE", "1"),
        ("LEPTON_COMMON__LISTEN", "nowhere"),
    ];
    let up = Foreground::with(&variables).await;
    let rest = Rest::at(&up.gateway);
    let body = json!({"kind": "echo", "input": "x".repeat(3_000)}).to_string();
    let answer = rest.post("/api/v1/tasks", body).await;
    assert_eq!(answer.status.as_u16(), 413, "the gateway has its limit");
    words(&up.gateway, "task submit echo 7 --wait").await.exits(0);
    for worker in workers(up.process.pid(), 2).await {
        let environment = fs::read(format!("/proc/{worker}/environ")).expect("it is ours");
        let settings: Vec<&[u8]> = environment
            .split(|byte| *byte == 0)
            .filter(|variable| variable.starts_with(b"LEPTON_") && variable.windows(2).any(|pair| pair == b"__"))
            .collect();
        assert_eq!(settings, [b"LEPTON_TASKS__COMPUTE=1"], "a worker hears of its own only");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_means_nothing_is_refused() {
    let data = directory();
    for variable in [
        "LEPTON_EDGE__BODY_BYTES",
        "LEPTON_COMMON__INSTANCE",
        "LEPTON_TASKS__COMPUTE",
    ] {
        let mut command = Command::new(binary("lepton"));
        command.args(up_arguments(data.path(), 1)).env(variable, "many");
        let refused = run(command).await.refused(2, "CONFIG_INVALID");
        assert!(refused.stderr.contains(&format!("{variable}: ")), "{refused:?}");
    }
    assert_eq!(fs::read_dir(data.path()).expect("it is there").count(), 0, "untouched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_somebody_else_is_left_alone() {
    let data = directory();
    fs::write(data.path().join("letter.txt"), "dear").expect("a file");
    let mut command = Command::new(binary("lepton"));
    command.args(up_arguments(data.path(), 1));
    let refused = run(command).await.exits(1);
    assert!(refused.stderr.contains("error: DATA_DIR_NOT_WRITABLE: "), "{refused:?}");
    assert_eq!(fs::read_dir(data.path()).expect("it is there").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_ctrl_c_leaves_at_once() {
    let mut up = Foreground::start().await;
    let workers = workers(up.process.pid(), 2).await;
    up.run(60_000).await;
    up.ctrl_c();
    let drains = || async { up.process.stderr().contains("draining") };
    eventually(PATIENCE, drains).await;
    assert!(up.process.ended().is_none(), "it waits for the running task");
    up.ctrl_c();
    let status = eventually(AT_ONCE, || std::future::ready(up.process.ended())).await;
    assert_eq!(status.code(), Some(130), "128 + SIGINT");
    let gone = || async { !workers.iter().any(|worker| is_alive(*worker)) };
    eventually(ORPHANS_MAX, gone).await;
}
