//! Models of others answer as ONNX Runtime does, through push, deploy and inference; what is not supported is refused at
//! push by the operator's name and leaves nothing behind.

use lepton_tests::mesh::Up;
use lepton_tests::venv::{models, run};

#[tokio::test(flavor = "multi_thread")]
async fn models_of_others_answer_as_onnx_runtime_does() {
    let mesh = Up::fresh().await;
    let mut script = models().script("compat_run.py");
    script.arg(mesh.rest().authority());
    let running = tokio::task::spawn_blocking(move || run(script, b""));
    let said = running.await.expect("the script does not panic").stdout;
    println!("{}", String::from_utf8_lossy(&said));
}
