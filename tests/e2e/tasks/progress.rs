//! How far a running task is: said by the code that runs, seen by whoever reads or watches.

use lepton_tests::rest::Events;
use serde_json::{Value, json};

use super::{TASKS, path, version};
use crate::shared_mesh::shared;

/// A gradient descent that takes far longer than anybody watches it.
fn endless() -> Value {
    let rows: Vec<Value> = (0..64)
        .map(|row| {
            let (a, b) = (f64::from(row % 8), f64::from(row / 8));
            json!({"a": a, "b": b, "label": 3.0 * a - 2.0 * b + 1.0})
        })
        .collect();
    json!({"kind": "train", "input": {
        "data": rows, "target": "label", "method": "gradient_descent", "learningRate": 1e-6, "epochs": 1_000_000_000,
        "tolerance": 0,
    }})
}

/// The next state in which the task says how far it is.
async fn next_said(watch: &mut Events) -> Value {
    loop {
        let event = watch.next().await.expect("it goes on");
        let task: Value = serde_json::from_str(&event.data).expect("each carries a task");
        let (epoch, seq) = version(&task);
        assert_eq!(event.id, format!("{epoch}-{seq}"), "{event:?}");
        if task.get("progress").is_some() {
            return task;
        }
    }
}

fn number(task: &Value, pointer: &str) -> f64 {
    let found = task.pointer(pointer).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("no {pointer}: {task}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watch_of_a_long_training_shows_it_advance() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let task = rest.submit(TASKS, &endless()).await;
    let mut watch = rest.events(&format!("{}:watch", path(&task))).await;
    let first = next_said(&mut watch).await;
    let mut last = first.clone();
    for _ in 0..3 {
        let next = next_said(&mut watch).await;
        assert!(
            number(&next, "/progress/fraction") > number(&last, "/progress/fraction"),
            "it advances: {next}"
        );
        assert!(
            number(&next, "/progress/figures/epoch") > number(&last, "/progress/figures/epoch"),
            "{next}"
        );
        last = next;
    }
    assert_eq!(
        (last["progress"]["attempt"].as_u64(), &last["state"]),
        (Some(1), &json!("STATE_RUNNING"))
    );
    assert_eq!(last["version"], first["version"], "it is no change of the task");
    assert!(number(&last, "/progress/figures/loss") < number(&first, "/progress/figures/loss"));
    let read = rest.get(&path(&task)).await.json();
    assert!(
        number(&read, "/progress/fraction") >= number(&last, "/progress/fraction"),
        "{read}"
    );
    assert_ne!(read["worker"], "", "{read}");

    let cancelled = rest.post(&format!("{}:cancel", path(&task)), "{}").await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text());
    assert_eq!(
        cancelled.json().get("progress"),
        None,
        "what has ended is not on its way"
    );
    let end = watch.rest().await.pop().expect("the end");
    assert!(end.data.contains("STATE_CANCELLED"), "{end:?}");
}
