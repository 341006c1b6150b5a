//! kill -9 of the worker that trains, and of the leader meanwhile: the same coefficients to the last bit.

use lepton_tests::mesh::Cluster;
use lepton_tests::rest::Rest;
use lepton_tests::wait::eventually;
use serde_json::{Value, json};

use crate::audit::text;
use crate::deaths::{SIZES, leading};
use crate::serial::{PATIENCE, exclusive};

/// Enough that there is a middle to strike in.
const EPOCHS: u32 = 1_500_000;

/// A training that takes seconds, on rows that look random and always are the same.
fn training(request: &str) -> Value {
    let wave = |row: u32, column: u32| (f64::from(row * (column + 3)) * 0.61).sin() * f64::from(column + 1);
    let row = |row: u32| {
        let columns = (0..8).map(|column| (format!("c{column}"), json!(wave(row, column))));
        let target = (0..9).map(|column| wave(row, column)).sum::<f64>();
        columns
            .chain([("y".to_owned(), json!(target))])
            .collect::<serde_json::Map<_, _>>()
    };
    let rows: Vec<_> = (0..400).map(row).collect();
    let input = json!({
        "data": rows, "target": "y", "method": "gradient_descent", "learningRate": 0.01, "epochs": EPOCHS, "tolerance": 0,
    });
    json!({"kind": "train", "input": input, "requestId": request})
}

async fn submit(rest: &Rest, request: &str) -> String {
    let task = rest.submit("/api/v1/tasks", &training(request)).await;
    text(&task, "id").to_owned()
}

/// The worker that trains, once it is on its way.
async fn under_way(rest: &Rest, id: &str) -> String {
    let looked = eventually(PATIENCE, || async {
        let task = rest.get(&format!("/api/v1/tasks/{id}")).await.json();
        let fraction = task["progress"]["fraction"].as_f64()?;
        (fraction > 0.0 && fraction < 1.0).then(|| text(&task, "worker").to_owned())
    });
    looked.await
}

async fn ended(rest: &Rest, id: &str) -> Value {
    let task = rest.get(&format!("/api/v1/tasks/{id}:wait?timeout=110s")).await.json();
    assert_eq!(text(&task, "state"), "STATE_SUCCEEDED", "{task}");
    task
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_training_ends_with_the_same_coefficients() {
    let _exclusive = exclusive().await;
    let mut cluster = Cluster::start(SIZES).await;
    let rest = cluster.rest(0);
    let calm = submit(&rest, "calm").await;
    let calm = ended(&rest, &calm).await["output"].clone();
    assert_eq!(calm["epochs"], EPOCHS, "{calm}");

    let killed = submit(&rest, "worker").await;
    let worker = under_way(&rest, &killed).await;
    cluster.instance(&worker).process.kill();
    let killed = ended(&rest, &killed).await;
    assert_eq!((&killed["attempts"], &killed["output"]), (&json!(2), &calm));
    assert_ne!(killed["worker"], worker.as_str());

    let led = submit(&rest, "leader").await;
    under_way(&rest, &led).await;
    let leader = leading(&rest).await;
    cluster.instance(&leader).process.kill();
    let led = ended(&rest, &led).await;
    assert_eq!(
        (&led["attempts"], &led["output"]),
        (&json!(1), &calm),
        "the worker goes on without a leader"
    );
}
