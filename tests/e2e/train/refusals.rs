//! Wrong trainings and evaluations fail at once, with a reason, and leave nothing behind.

use super::*;

fn rows() -> Value {
    let row = |i: i32| json!({"a": i * i % 7, "t": "x", "e": null, "k": 4, "y": 1 + 2 * (i * i % 7)});
    (0..40).map(row).collect()
}

/// The reason why a task failed, which must have been tried once.
async fn reason(rest: &Rest, kind: &str, input: &Value) -> (String, String) {
    let ended = ended(rest, kind, input).await;
    assert_eq!(
        (&ended["state"], &ended["attempts"]),
        (&json!("STATE_FAILED"), &json!(1)),
        "{input}: {ended}"
    );
    let text = |name: &str| ended["error"][name].as_str().unwrap_or_default().to_owned();
    (text("reason"), text("message"))
}

/// Trains on these rows with these fields; expects the reason, and these words in the message.
async fn refused(rest: &Rest, rows: Value, fields: Value, reason: &str, words: &str) {
    let mut input = fields;
    input["data"] = rows;
    let (found, message) = self::reason(rest, "train", &input).await;
    assert_eq!(found, reason, "{input}: {message}");
    assert!(message.contains(words), "{input}: {message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_trainings_are_named() {
    let mesh = shared().await;
    let diverging = json!({"target": "y", "method": "gradient_descent", "learningRate": 5, "model": "diverged"});
    for (fields, reason, words) in [
        (json!({}), "FIELD_INVALID", "target"),
        (json!({"target": "z"}), "TARGET_NOT_FOUND", "\"z\""),
        (json!({"target": "t"}), "TARGET_NOT_NUMERIC", "text"),
        (json!({"target": "k"}), "TRAINING_DATA_INSUFFICIENT", "same value"),
        (json!({"target": "y", "features": ["z"]}), "FIELD_INVALID", "\"z\""),
        (json!({"target": "y", "features": ["e"]}), "FIELD_INVALID", "empty"),
        (json!({"target": "y", "rate": 1}), "UNKNOWN_FIELD", "rate"),
        (json!({"target": "y", "testShare": 1}), "FIELD_INVALID", "testShare"),
        (json!({"target": "y", "deploy": true}), "FIELD_INVALID", "deploy"),
        (json!({"target": "y", "model": "No!"}), "FIELD_INVALID", "model"),
        (diverging, "TRAINING_DIVERGED", "learning rate 5"),
    ] {
        refused(&mesh.rest(), rows(), fields, reason, words).await;
    }
    let left = mesh.rest().get("/api/v1/models/diverged").await;
    assert_eq!(left.reason().as_deref(), Some("MODEL_NOT_FOUND"), "{}", left.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn trainings_without_usable_rows_are_named() {
    let mesh = shared().await;
    let nobodys = json!({"blob": "upload-of-nobody", "target": "y"});
    let none = Value::Null;
    for (rows, fields, reason, words) in [
        (none.clone(), json!({"target": "y"}), "NO_ROWS", "`data`"),
        (none, nobodys, "BLOB_NOT_FOUND", "upload-of-nobody"),
        (json!([]), json!({"target": "y"}), "NO_ROWS", "no rows"),
        (
            json!([{"a": 1, "y": 2}]),
            json!({"target": "y"}),
            "TRAINING_DATA_INSUFFICIENT",
            "complete rows",
        ),
        (
            json!([{"a": 1, "y": [2]}]),
            json!({"target": "y"}),
            "INVALID_ROW",
            "data[0].y",
        ),
    ] {
        refused(&mesh.rest(), rows, fields, reason, words).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_cannot_be_read_are_named() {
    let mesh = shared().await;
    let rest = mesh.rest();
    for (content, expected, words) in [
        ("a,y\n1,2\n3\n", "INVALID_ROW", "data[1]"),
        ("a,a\n1,2\n", "FIELD_INVALID", "\"a\" twice"),
        ("a,y\n", "NO_ROWS", "no rows"),
        ("[{\"a\":1},", "INVALID_JSON", "line 1"),
        ("{\"rows\":[]}", "UNKNOWN_FIELD", "rows"),
    ] {
        let input = json!({"blob": upload(&rest, content).await, "target": "y"});
        let (reason, message) = reason(&rest, "train", &input).await;
        assert_eq!(reason, expected, "{content:?}: {message}");
        assert!(message.contains(words), "{content:?}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_evaluations_are_named() {
    let mesh = shared().await;
    let rest = mesh.rest();
    output(
        &rest,
        "train",
        &json!({"data": rows(), "target": "y", "features": ["a"], "model": "judged"}),
    )
    .await;
    let cases = [
        (json!({"data": rows(), "target": "y"}), "FIELD_INVALID", "model"),
        (json!({"data": rows(), "model": "judged"}), "FIELD_INVALID", "target"),
        (
            json!({"data": rows(), "target": "y", "model": "nobodys"}),
            "MODEL_NOT_FOUND",
            "nobodys",
        ),
        (
            json!({"data": rows(), "target": "y", "model": "judged", "version": 9}),
            "MODEL_NOT_FOUND",
            "version 9",
        ),
        (
            json!({"data": rows(), "target": "z", "model": "judged"}),
            "TARGET_NOT_FOUND",
            "\"z\"",
        ),
        (
            json!({"data": rows(), "target": "t", "model": "judged"}),
            "TARGET_NOT_NUMERIC",
            "text",
        ),
        (
            json!({"data": [{"y": 1}], "target": "y", "model": "judged"}),
            "MODEL_MISMATCH",
            "\"a\"",
        ),
        (
            json!({"data": [{"a": null, "y": 1}], "target": "y", "model": "judged"}),
            "NO_ROWS",
            "no row",
        ),
        (
            json!({"data": rows(), "target": "y", "model": "judged", "seed": 1}),
            "UNKNOWN_FIELD",
            "seed",
        ),
    ];
    for (input, expected, words) in cases {
        let (reason, message) = reason(&rest, "evaluate", &input).await;
        assert_eq!(reason, expected, "{input}: {message}");
        assert!(message.contains(words), "{input}: {message}");
    }
}
