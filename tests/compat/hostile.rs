//! Files that are broken or mean harm: each is refused with its reason, takes bounded memory, and leaves nothing behind.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lepton_tests::etcd::RealEtcd;
use lepton_tests::mesh::{Cluster, Sizes, Special};
use lepton_tests::process::{children, memory_peak};
use lepton_tests::rest::Rest;
use lepton_tests::venv::{models, run};
use lepton_tests::wait::eventually;
use serde_json::json;
use tokio::task::JoinSet;

/// What a service itself may grow by: the files are small, and looks are in processes of their own.
const GROWTH_BYTES_MAX: u64 = 128 << 20;
/// What a look may take here, all in all; some of the files ask for thousands of times that.
const LOOK_BYTES_MAX: u64 = 1 << 30;
/// How long a look may take here; the file that never ends uses it up.
const LOOK_TIMEOUT: &str = "5s";
/// How often it is looked what the looks hold.
const WATCH_EVERY: Duration = Duration::from_millis(20);
const SIZES: Sizes = Sizes {
    gateways: 1,
    schedulers: 1,
    workers: 1,
    monitors: 0,
};

#[tokio::test(flavor = "multi_thread")]
async fn hostile_files_are_refused_and_leave_nothing_behind() {
    let limits = vec![
        ("LEPTON_MODELS__LOOK_TIMEOUT", LOOK_TIMEOUT.to_owned()),
        ("LEPTON_MODELS__LOOK_MEMORY_BYTES_MAX", LOOK_BYTES_MAX.to_string()),
    ];
    let special = Special {
        environment: BTreeMap::from([("worker", limits)]),
        ..Special::default()
    };
    let cluster = Cluster::start_on(RealEtcd::start(1).await, SIZES, special).await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut script = models().script("compat_hostile.py");
    script.arg(folder.path());
    let written = tokio::task::spawn_blocking(move || run(script, b"")).await;
    let written = written.expect("the script does not panic").stdout;
    let written = String::from_utf8(written).expect("JSON is UTF-8");
    let services = ["worker", "gateway"];
    let peaks = || services.map(|service| cluster.of(service)[0].process.memory_peak());
    let (before, looks) = (peaks(), Arc::new(AtomicU64::new(0)));
    let mut watch = JoinSet::new();
    watch.spawn(watch_looks(cluster.of("worker")[0].process.pid(), Arc::clone(&looks)));
    let rest = cluster.rest(0);
    for line in written.lines() {
        let (name, words): (String, Vec<String>) = serde_json::from_str(line).expect("a line is JSON");
        refused(&rest, folder.path(), &name, &words).await;
    }
    for ((service, before), after) in services.into_iter().zip(before).zip(peaks()) {
        let growth = after - before;
        println!("the {service} took {growth} bytes more");
        assert!(growth < GROWTH_BYTES_MAX, "the {service} took {growth} bytes more");
    }
    let look = looks.load(Ordering::Relaxed);
    println!("a look held {look} bytes");
    assert!((1..=LOOK_BYTES_MAX).contains(&look), "a look held {look} bytes");
    let files = cluster.directory().join("blobs/models");
    eventually(Duration::from_secs(20), || std::future::ready(!holds_a_file(&files))).await;
}

/// Asserts that a file is refused in these words, and that no model comes of it.
async fn refused(rest: &Rest, folder: &Path, name: &str, words: &[String]) {
    let file = std::fs::read(folder.join(format!("{name}.onnx"))).expect("the script wrote it");
    let answer = rest.post(&format!("/api/v1/models/{name}:push"), file).await;
    assert_eq!(answer.status.as_u16(), 400, "{name}: {}", answer.text());
    assert_eq!(
        answer.reason().as_deref(),
        Some("MODEL_INVALID"),
        "{name}: {}",
        answer.text()
    );
    let answer = answer.json();
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(words.iter().all(|word| message.contains(word)), "{name}: {message}");
    let found = rest.get(&format!("/api/v1/models/{name}")).await;
    assert_eq!(found.status.as_u16(), 404, "{name}: {}", found.text());
    let listed = rest.get("/api/v1/models").await;
    assert_eq!(listed.json()["models"], json!([]), "{name}: {}", listed.text());
}

/// Notes the most memory that any process has held which this worker started.
async fn watch_looks(worker: u32, most: Arc<AtomicU64>) {
    loop {
        for (look, _) in children(worker) {
            most.fetch_max(memory_peak(look).unwrap_or_default(), Ordering::Relaxed);
        }
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

fn holds_a_file(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .any(|path| path.is_file() || (path.is_dir() && holds_a_file(&path)))
}
