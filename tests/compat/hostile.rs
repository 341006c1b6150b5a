//! Files that are broken or mean harm: each is refused with its reason, takes bounded memory, and leaves nothing behind.

use std::collections::BTreeMap;
use std::time::Duration;

use lepton_tests::etcd::RealEtcd;
use lepton_tests::mesh::{Cluster, Sizes, Special};
use lepton_tests::venv::{models, run};
use lepton_tests::wait::eventually;

/// What the worker itself may grow by: the files are small, and looks are in processes of their own.
const GROWTH_BYTES_MAX: u64 = 128 << 20;
/// How long a look may take here; the file that never ends uses it up.
const LOOK_TIMEOUT: &str = "5s";

#[tokio::test(flavor = "multi_thread")]
async fn hostile_files_are_refused_and_leave_nothing_behind() {
    let sizes = Sizes {
        gateways: 1,
        schedulers: 1,
        workers: 1,
        monitors: 0,
    };
    let timeout = vec![("LEPTON_MODELS__LOOK_TIMEOUT", LOOK_TIMEOUT.to_owned())];
    let special = Special {
        environment: BTreeMap::from([("worker", timeout)]),
        ..Special::default()
    };
    let cluster = Cluster::start_on(RealEtcd::start(1).await, sizes, special).await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut script = models().script("compat_hostile.py");
    script.arg(folder.path());
    let written = tokio::task::spawn_blocking(move || run(script, b"")).await;
    let written = written.expect("the script does not panic").stdout;
    let written = String::from_utf8(written).expect("JSON is UTF-8");
    let before = cluster.of("worker")[0].process.memory_peak();
    let rest = cluster.rest(0);
    for line in written.lines() {
        let (name, words): (String, Vec<String>) = serde_json::from_str(line).expect("a line is JSON");
        let file = std::fs::read(folder.path().join(format!("{name}.onnx"))).expect("the script wrote it");
        let answer = rest.post(&format!("/api/v1/models/{name}:push"), file).await;
        assert_eq!(answer.status.as_u16(), 400, "{name}: {}", answer.text());
        assert_eq!(
            answer.reason().as_deref(),
            Some("MODEL_INVALID"),
            "{name}: {}",
            answer.text()
        );
        let message = answer.json()["error"]["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(words.iter().all(|word| message.contains(word)), "{name}: {message}");
        let found = rest.get(&format!("/api/v1/models/{name}")).await;
        assert_eq!(found.status.as_u16(), 404, "{name}: {}", found.text());
    }
    let growth = cluster.of("worker")[0].process.memory_peak() - before;
    assert!(growth < GROWTH_BYTES_MAX, "the worker took {growth} bytes more");
    let files = cluster.directory().join("blobs/models");
    eventually(Duration::from_secs(20), || std::future::ready(!holds_a_file(&files))).await;
}

fn holds_a_file(folder: &std::path::Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .any(|path| path.is_file() || (path.is_dir() && holds_a_file(&path)))
}
