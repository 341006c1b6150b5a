//! What is wrong with the body of a request, above all with its rows.

use http::StatusCode;
use lepton_proto::analysis::v1::{AnalyzeRequest, Consistency};
use lepton_proto::convert::value::to_value;
use lepton_tests::rest::Rest;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use serde_json::json;
use tonic::Code;

use super::{Refusal, analysis, channel, failed, invalid, message, not_found, refused, still_works};
use crate::shared_mesh::shared;

const ANALYZE: &str = "/api/v1/analyze";
const TASKS: &str = "/api/v1/tasks";

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_not_json_is_shown_by_line_and_column() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let cases = [
        (ANALYZE, "{\"data\":[{\"a\":1},\n  {\"a\":tru}]}", 2, 8),
        (ANALYZE, "{\"data\":[{\"a\":1}\n", 2, 1),
        (ANALYZE, "{\"data\":[{\"a\":1}]} x", 1, 20),
        (ANALYZE, "data=1", 1, 1),
        (TASKS, "{\"kind\":\"echo\",\n\"input\":{]}", 2, 10),
        (
            "/api/v1/tasks:batchSubmit",
            "{\"requests\":[\n{\"kind\":\"echo\"},,]}",
            2,
            17,
        ),
    ];
    for (path, body, line, column) in cases {
        let answer = rest.post(path, body).await;
        let metadata = refused(&answer, invalid("INVALID_JSON"));
        assert_eq!(metadata["line"], line.to_string(), "{body}: {}", answer.text());
        let found: i32 = metadata["column"]
            .as_str()
            .and_then(|column| column.parse().ok())
            .expect("a column");
        // A word may be pointed at by its first or its last byte, and an end by the byte before it.
        assert!(
            (column - 1..=column + 3).contains(&found),
            "{body}: column {found}, not about {column}"
        );
        let text = message(&answer);
        assert!(text.contains(&format!("line {line}, column {found}")), "{text}");
    }
    still_works(&rest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_formats_and_encodings_are_named_with_what_to_do() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let wide: Vec<u8> = "{\"data\":[]}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: [(&[u8], &str); 4] = [
        (b"\xef\xbb\xbf{\"data\":[{\"a\":1}]}", "byte order mark"),
        (&wide, "UTF-8"),
        (b"{\"a\":1}\n{\"a\":2}\n", "jq -s"),
        (b"a,b\n1,2\n", "/api/v1/blobs"),
    ];
    for path in [ANALYZE, TASKS] {
        for (body, advice) in cases {
            let answer = rest.post(path, body.to_vec()).await;
            refused(&answer, invalid("INVALID_JSON"));
            assert!(message(&answer).contains(advice), "{advice}: {}", answer.text());
        }
    }
    still_works(&rest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_json_does_not_have_come_with_advice() {
    let mesh = shared().await;
    for word in ["NaN", "Infinity", "-Infinity"] {
        let bodies = [
            (ANALYZE, format!("{{\"data\":[{{\"a\":1}},\n{{\"a\":{word}}}]}}")),
            (TASKS, format!("{{\"kind\":\"echo\",\n\"input\":{{\"a\":{word}}}}}")),
        ];
        for (path, body) in bodies {
            let answer = mesh.rest().post(path, body).await;
            let metadata = refused(&answer, invalid("INVALID_JSON"));
            assert_eq!(metadata["line"], "2");
            assert!(
                message(&answer).contains("null"),
                "says what to write instead: {}",
                answer.text()
            );
        }
    }
    let rows = vec![row("a", Kind::NumberValue(f64::NAN))];
    let request = AnalyzeRequest {
        data: rows,
        ..Default::default()
    };
    failed(
        analysis(mesh.channel()).analyze(request).await,
        Code::InvalidArgument,
        "INVALID_ROW",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_fields_are_named() {
    let mesh = shared().await;
    let cases = [
        (ANALYZE, json!({"data": [{"a": 1}], "colour": 1})),
        (ANALYZE, json!({"colour": {"a": [1]}, "data": [{"a": 1}]})),
        (TASKS, json!({"kind": "echo", "colour": 1})),
        (TASKS, json!({"kind": "echo", "retry": {"colour": 1}})),
        (
            "/api/v1/tasks:batchSubmit",
            json!({"requests": [{"kind": "echo"}], "colour": 1}),
        ),
    ];
    for (path, body) in cases {
        let answer = mesh.rest().post(path, body.to_string()).await;
        assert_eq!(refused(&answer, invalid("UNKNOWN_FIELD"))["field"], "colour");
        assert!(message(&answer).contains("colour"), "{}", answer.text());
    }
    let answer = mesh.rest().get("/api/v1/tasks?colour=1").await;
    assert_eq!(refused(&answer, invalid("UNKNOWN_FIELD"))["field"], "colour");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_must_be_there_and_flat() {
    let mesh = shared().await;
    let rest = mesh.rest();
    for body in ["{}", r#"{"data":[]}"#, r#"{"target":"a"}"#] {
        refused(&rest.post(ANALYZE, body).await, invalid("NO_ROWS"));
    }
    for row in ["5", "null", "\"x\"", "true", "[1]", "[]"] {
        let answer = rest.post(ANALYZE, format!(r#"{{"data":[{{"a":1}},{row}]}}"#)).await;
        assert_eq!(
            refused(&answer, invalid("INVALID_ROW"))["row"],
            "1",
            "rows count from 0"
        );
    }
    for value in [r#"{"x":1}"#, "{}", "[1,2]", "[]"] {
        let answer = rest
            .post(ANALYZE, format!(r#"{{"data":[{{"a":1}},{{"a":2,"b":{value}}}]}}"#))
            .await;
        let metadata = refused(&answer, invalid("INVALID_ROW"));
        assert_eq!((&metadata["row"], &metadata["column"]), (&json!("1"), &json!("b")));
        assert!(message(&answer).contains("data[1].b"), "{}", answer.text());
    }
    let mut client = analysis(mesh.channel());
    failed(
        client.analyze(AnalyzeRequest::default()).await,
        Code::InvalidArgument,
        "NO_ROWS",
    );
    let nested = to_value(br#"{"x":1}"#)
        .expect("it is JSON")
        .kind
        .expect("it has a kind");
    let request = AnalyzeRequest {
        data: vec![row("a", nested)],
        ..Default::default()
    };
    failed(client.analyze(request).await, Code::InvalidArgument, "INVALID_ROW");
    still_works(&rest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_and_text_are_no_errors() {
    let mesh = shared().await;
    let body = json!({"data": [{"a": 1, "b": "x"}, {"a": null, "b": 2}, {"b": true}]});
    let figures = mesh.rest().submit(ANALYZE, &body).await;
    let columns = &figures["columns"];
    assert_eq!((&columns[0]["count"], &columns[0]["missing"]), (&json!(1), &json!(2)));
    assert_eq!(columns[1]["type"], "COLUMN_TYPE_TEXT");
    assert_eq!(columns[1]["distinct"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn integers_must_fit_a_double() {
    let mesh = shared().await;
    let rest = mesh.rest();
    for number in [
        "9007199254740993",
        "-9007199254740993",
        "9007199254740994",
        "123456789012345678901234567890",
    ] {
        let answer = rest
            .post(ANALYZE, format!(r#"{{"data":[{{"a":1}},{{"a":{number}}}]}}"#))
            .await;
        refused(&answer, invalid("NUMBER_NOT_EXACT"));
        assert!(message(&answer).contains("line 1"), "{}", answer.text());
        let answer = rest
            .post(TASKS, format!(r#"{{"kind":"echo","input":[{number}]}}"#))
            .await;
        refused(&answer, invalid("NUMBER_NOT_EXACT"));
    }
    let exact = rest
        .post(
            ANALYZE,
            r#"{"data":[{"a":9007199254740992},{"a":-9007199254740992},{"a":1e300}]}"#,
        )
        .await;
    assert_eq!(exact.status, StatusCode::OK, "{}", exact.text());
    // Over gRPC the client itself has made doubles of its numbers, and each is exactly what it is.
    let request = AnalyzeRequest {
        data: vec![row("a", Kind::NumberValue(9_007_199_254_740_994.0))],
        ..Default::default()
    };
    let figures = analysis(mesh.channel()).analyze(request).await;
    let columns = figures.expect("it is taken").into_inner().columns;
    assert_eq!(columns[0].mean, Some(9_007_199_254_740_994.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_must_be_a_numeric_column() {
    let mesh = shared().await;
    let mut client = analysis(mesh.channel());
    for (target, reason) in [
        ("nope", "TARGET_NOT_FOUND"),
        ("b", "TARGET_NOT_NUMERIC"),
        ("c", "TARGET_NOT_NUMERIC"),
    ] {
        let body = json!({"data": [{"a": 1, "b": "x", "c": null}], "target": target});
        let answer = mesh.rest().post(ANALYZE, body.to_string()).await;
        refused(&answer, invalid(reason));
        assert!(message(&answer).contains(target), "{}", answer.text());
        let lists_columns = message(&answer).contains(r#"the columns are "a", "b", "c""#);
        assert_eq!(lists_columns, reason == "TARGET_NOT_FOUND", "{}", answer.text());
        let mut cells = row("a", Kind::NumberValue(1.0));
        cells.fields.extend(row("b", Kind::StringValue("x".into())).fields);
        cells.fields.extend(row("c", Kind::NullValue(0)).fields);
        let request = AnalyzeRequest {
            data: vec![cells],
            target: Some(target.into()),
            ..Default::default()
        };
        failed(client.analyze(request).await, Code::InvalidArgument, reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_and_quorum_are_refused_before_they_are_there() {
    let mesh = shared().await;
    let mut client = analysis(mesh.channel());
    let answer = mesh
        .rest()
        .post(ANALYZE, json!({"data": [{"a": 1}], "model": "nope"}).to_string())
        .await;
    refused(&answer, not_found("MODEL_NOT_FOUND"));
    assert!(message(&answer).contains("nope"), "{}", answer.text());
    let rows = vec![row("a", Kind::NumberValue(1.0))];
    let request = AnalyzeRequest {
        data: rows.clone(),
        model: Some("nope".into()),
        ..Default::default()
    };
    failed(client.analyze(request).await, Code::NotFound, "MODEL_NOT_FOUND");

    let quorum = Refusal {
        http: 501,
        status: "UNIMPLEMENTED",
        reason: "CONSISTENCY_UNSUPPORTED",
    };
    let body = json!({"data": [{"a": 1}], "consistency": "CONSISTENCY_QUORUM"});
    refused(&mesh.rest().post(ANALYZE, body.to_string()).await, quorum);
    let request = AnalyzeRequest {
        data: rows,
        consistency: Consistency::Quorum.into(),
        ..Default::default()
    };
    failed(
        client.analyze(request).await,
        Code::Unimplemented,
        "CONSISTENCY_UNSUPPORTED",
    );
    let one = json!({"data": [{"a": 1}], "consistency": "CONSISTENCY_ONE"});
    mesh.rest().submit(ANALYZE, &one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_break_a_rule_name_their_field() {
    let mesh = shared().await;
    let answer = mesh
        .rest()
        .post(ANALYZE, r#"{"data":[{"a":1}],"consistency":"CONSISTENCY_MAYBE"}"#)
        .await;
    refused(&answer, invalid("FIELD_INVALID"));
    let answer = mesh
        .rest()
        .post(TASKS, json!({"kind": "echo", "priority": 6}).to_string())
        .await;
    refused(&answer, invalid("FIELD_INVALID"));
    let violations = answer.detail("BadRequest").expect("the field is named");
    assert_eq!(
        violations["fieldViolations"][0]["field"],
        "priority",
        "{}",
        answer.text()
    );
    let mut client = super::tasks(channel(&Rest::at(&mesh.gateway)));
    let request = lepton_proto::task::v1::SubmitTaskRequest {
        kind: "echo".into(),
        priority: 6,
        ..Default::default()
    };
    failed(
        client.submit_task(request).await,
        Code::InvalidArgument,
        "FIELD_INVALID",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_of_one_value_is_given_once() {
    let mesh = shared().await;
    let rest = mesh.rest();
    for query in ["pageSize=5&pageSize=6", "pageSize=5&page_size=5"] {
        let answer = rest.get(&format!("/api/v1/tasks?{query}")).await;
        refused(&answer, invalid("FIELD_INVALID"));
        assert!(message(&answer).starts_with("pageSize:"), "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_named_as_their_caller_writes_them() {
    let mesh = shared().await;
    let answer = mesh.rest().get("/api/v1/tasks?pageSize=100000").await;
    refused(&answer, invalid("FIELD_INVALID"));
    assert!(
        answer.text().contains("pageSize") && !answer.text().contains("page_size"),
        "{}",
        answer.text()
    );
    let request = lepton_proto::task::v1::ListTasksRequest {
        page_size: 100_000,
        ..Default::default()
    };
    let status = super::tasks(channel(&Rest::at(&mesh.gateway)))
        .list_tasks(request)
        .await
        .expect_err("too many");
    assert!(status.message().starts_with("page_size:"), "{status}");
}

/// An error repeats a text of its caller only in part, over every protocol.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_smaller_than_what_it_is_about() {
    let mesh = shared().await;
    let rest = mesh.rest();
    let long = "x".repeat(1 << 20);
    for (path, body) in [
        ("/api/v1/analyze", format!("{{\"{long}\":1}}")),
        (
            "/api/v1/analyze",
            format!("{{\"data\":[{{\"a\":1}}],\"target\":\"{long}\"}}"),
        ),
        ("/api/v1/tasks", format!("{{\"kind\":\"echo\",\"{long}\":1}}")),
        ("/api/v1/tasks", format!("{{\"kind\":\"{long}\"}}")),
        ("/api/v1/models/m:deploy", format!("{{\"{long}\":1}}")),
        ("/v2/models/m/infer", format!("{{\"{long}\":1}}")),
    ] {
        let answer = rest.post(path, body).await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
        assert!(answer.body.len() < 8 << 10, "{path}: {} bytes", answer.body.len());
    }
    let request = lepton_proto::task::v1::SubmitTaskRequest {
        kind: long,
        ..Default::default()
    };
    let status = super::tasks(channel(&Rest::at(&mesh.gateway)))
        .submit_task(request)
        .await
        .expect_err("no kind");
    assert!(status.message().len() < 2 << 10, "{} bytes", status.message().len());
}

fn row(column: &str, kind: Kind) -> Struct {
    Struct {
        fields: [(column.to_owned(), Value { kind: Some(kind) })].into(),
    }
}
