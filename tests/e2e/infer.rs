//! The Open Inference Protocol over REST and gRPC, and peers' clients that speak it.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use http::StatusCode;
use lepton_tests::mesh::Up;
use lepton_tests::rest::{Answer, Rest};
use lepton_tests::venv::{clients, run};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;

mod forms;
mod heavy;
mod refusals;
mod same;
mod triton;

/// A mesh that serves the models of `infer_models.py`, each as version 1.
struct Stage {
    up: Up,
}

impl Stage {
    fn rest(&self) -> Rest {
        self.up.rest()
    }

    /// Runs a model over REST. Panics unless it answers.
    #[track_caller]
    fn infer(&self, model: &str, body: &Value) -> impl Future<Output = Value> {
        let path = format!("/v2/models/{model}/infer");
        let (rest, body) = (self.rest(), body.clone());
        async move { rest.submit(&path, &body).await }
    }
}

/// The mesh; started when no other test holds it.
async fn stage() -> Arc<Stage> {
    static SHARED: Mutex<Weak<Stage>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(stage) = shared.upgrade() {
        return stage;
    }
    let stage = Arc::new(start().await);
    *shared = Arc::downgrade(&stage);
    stage
}

async fn start() -> Stage {
    let (up, models) = tokio::join!(Up::fresh(), tokio::task::spawn_blocking(models));
    let (_folder, files) = models.expect("it does not panic");
    for (name, file) in files {
        let content = std::fs::read(&file).expect("it was just written");
        let pushed = up.rest().post(&format!("/api/v1/models/{name}:push"), content).await;
        assert_eq!(pushed.status, StatusCode::OK, "{name}: {}", pushed.text());
        let deployed = up.rest().post(&format!("/api/v1/models/{name}:deploy"), "{}").await;
        assert_eq!(deployed.status, StatusCode::OK, "{name}: {}", deployed.text());
    }
    Stage { up }
}

/// The models' files by name, and the folder that they go with.
fn models() -> (TempDir, Vec<(String, PathBuf)>) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut script = clients().script("infer_models.py");
    script.arg(folder.path());
    run(script, b"");
    let files = std::fs::read_dir(folder.path()).expect("the folder is there");
    let files = files.map(|file| file.expect("the folder can be read").path());
    let named = files.filter_map(|file| Some((file.file_stem()?.to_str()?.to_owned(), file.clone())));
    let named: Vec<_> = named.collect();
    assert!(named.len() >= 5, "{named:?}");
    (folder, named)
}

/// A tensor of JSON data.
fn tensor(name: &str, datatype: &str, shape: &[i64], data: Value) -> Value {
    json!({"name": name, "datatype": datatype, "shape": shape, "data": data})
}

/// A refusal of `/v2`, looked at from all sides.
#[track_caller]
fn refused(answer: &Answer, status: u16, reason: &str, words: &[&str]) {
    let text = answer.text();
    assert_eq!(answer.status.as_u16(), status, "{text}");
    assert_eq!(answer.header("lepton-reason"), Some(reason), "{text}");
    let body = answer.json();
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{text}");
    let error = body["error"].as_str().unwrap_or_default();
    for word in words {
        assert!(error.contains(word), "{word:?} is not in {text}");
    }
}
