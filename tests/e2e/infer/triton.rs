//! Triton's own client, unmodified, over HTTP and gRPC.

use lepton_tests::venv::{clients, run};

use super::stage;

#[tokio::test(flavor = "multi_thread")]
async fn tritonclient_runs_unmodified() {
    let stage = stage().await;
    let mut script = clients().script("triton_client.py");
    script.arg(stage.rest().authority());
    let output = tokio::task::spawn_blocking(move || run(script, b""))
        .await
        .expect("it does not panic");
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}");
    assert_eq!(told.lines().count(), 12, "every check of both clients ran: {told}");
}
