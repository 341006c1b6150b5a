//! The task gives the answers and the errors of the online call.

use bytes::Bytes;
use lepton_core::clock::Clock;
use lepton_domain::ids::{AttemptId, TaskId};
use lepton_domain::reason::{ApiError, Reason};
use lepton_proto::convert::value::compact;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::active_time::ActiveTimer;
use crate::progress::Progress;

fn never() -> bool {
    false
}

fn read(text: &str) -> Result<(AnalyzeParams, Table), ApiError> {
    Ok(decode::decode(text.as_bytes(), &never)?)
}

fn input(text: &str) -> Input {
    Input {
        attempt: AttemptId {
            task: TaskId::from_u128(7),
            number: 1,
        },
        encoding: Encoding::Json,
        content: Bytes::copy_from_slice(text.as_bytes()),
        trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned(),
        progress: Progress::new(Clock::system()).0,
        checkpoint: None,
        timer: ActiveTimer::default(),
    }
}

async fn run(text: &str) -> Result<Value, Failure> {
    let kind = Analyze::new(CpuPool::new(1), ModelCache::empty());
    let output = kind.run(input(text), CancellationToken::new()).await?;
    assert_eq!(compact(&output.content).unwrap(), output.content);
    Ok(serde_json::from_slice(&output.content).unwrap())
}

#[tokio::test]
async fn the_answer_has_the_fields_of_the_online_call() {
    let text = r#"{"data":[{"x":1,"y":2.5,"t":"a"},{"x":2,"y":4.5,"t":"b"},{"x":3,"y":6.5,"t":"a"}],"target":"y"}"#;
    let answer = run(text).await.unwrap();
    assert_eq!(answer["rowCount"], 3);
    assert_eq!(answer["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(answer["columns"][0]["type"], "COLUMN_TYPE_NUMBER");
    assert_eq!(answer["columns"][0]["mean"], 2);
    assert_eq!(
        answer["columns"][2]["top"],
        json!([{"value":"a","count":2},{"value":"b","count":1}])
    );
    assert_eq!(answer["fit"]["coefficients"], json!({"x":2}));
    assert_eq!(
        answer["cleaned"],
        json!([{"column":"t","action":"CLEANING_ACTION_COLUMN_TEXT","count":3}])
    );
    assert!(answer["columns"][2].get("mean").is_none(), "{answer}");
}

#[tokio::test]
async fn errors_have_the_reason_of_the_online_call_and_are_not_tried_again() {
    let cases = [
        ("", "INVALID_JSON"),
        ("[]", "INVALID_JSON"),
        (r#"{"data":[{"x":NaN}]}"#, "INVALID_JSON"),
        (r#"{"data":[{"x":1}]"#, "INVALID_JSON"),
        (r#"{"data":[{"x":1}]}}"#, "INVALID_JSON"),
        ("{}", "NO_ROWS"),
        ("null", "INVALID_JSON"),
        (r#"{"data":[]}"#, "NO_ROWS"),
        (r#"{"data":null}"#, "NO_ROWS"),
        (r#"{"data":7}"#, "FIELD_INVALID"),
        (r#"{"data":[7]}"#, "INVALID_ROW"),
        (r#"{"data":[[1]]}"#, "INVALID_ROW"),
        (r#"{"data":[{"x":{"y":1}}]}"#, "INVALID_ROW"),
        (r#"{"data":[{"x":[1]}]}"#, "INVALID_ROW"),
        (r#"{"data":[{"x":9007199254740993}]}"#, "NUMBER_NOT_EXACT"),
        (r#"{"data":[{"x":1}],"rows":1}"#, "UNKNOWN_FIELD"),
        (r#"{"data":[{"x":1}],"target":"y"}"#, "TARGET_NOT_FOUND"),
        (r#"{"data":[{"x":"a"}],"target":"x"}"#, "TARGET_NOT_NUMERIC"),
        (r#"{"data":[{"x":1}],"target":1}"#, "FIELD_INVALID"),
        (r#"{"data":[{"x":1}],"model":"m"}"#, "MODEL_NOT_FOUND"),
        (
            r#"{"data":[{"x":1}],"consistency":"CONSISTENCY_QUORUM"}"#,
            "CONSISTENCY_UNSUPPORTED",
        ),
        (r#"{"data":[{"x":1}],"consistency":2}"#, "CONSISTENCY_UNSUPPORTED"),
        (r#"{"data":[{"x":1}],"consistency":"ALL"}"#, "FIELD_INVALID"),
        (r#"{"data":[{"x":1}],"data":[{"x":1}]}"#, "FIELD_INVALID"),
        (
            r#"{"table":{"columns":[{"name":"x","numbers":[1]}],"rowCount":2}}"#,
            "FIELD_INVALID",
        ),
        (r#"{"table":{"colums":[]}}"#, "UNKNOWN_FIELD"),
    ];
    for (text, reason) in cases {
        let failure = run(text).await.unwrap_err();
        assert_eq!(
            (failure.error.reason.as_str(), failure.retryable),
            (reason, false),
            "{text}: {failure:?}"
        );
    }
    let binary = Input {
        encoding: Encoding::Binary,
        ..input("{}")
    };
    let failure = Analyze::new(CpuPool::new(1), ModelCache::empty())
        .run(binary, CancellationToken::new())
        .await
        .unwrap_err();
    assert_eq!(failure.error.reason, "INVALID_JSON");
}

#[test]
fn a_fault_names_row_and_column() {
    let error = read(r#"{"data":[{"x":1},{"y":[2]}]}"#).unwrap_err();
    assert_eq!((&*error.metadata["row"], &*error.metadata["column"]), ("1", "y"));
    let error = read("{\"data\":[{\"x\":1},\n{\"x\":Infinity}]}").unwrap_err();
    assert_eq!(
        (&*error.metadata["row"], &*error.metadata["line"]),
        ("1", "2"),
        "{error:?}"
    );
}

#[test]
fn packed_columns_are_taken_too() {
    let columns = r#"[{"name":"x","numbers":[1,0],"valid":[true,false]},{"name":"t","strings":["a","b"]},
        {"name":"b","booleans":[true,false]},{"name":"e"}]"#;
    for rows in ["rowCount", "row_count"] {
        let (_, table) = read(&format!(r#"{{"table":{{"columns":{columns},"{rows}":2}}}}"#)).unwrap();
        let counts: Vec<usize> = table.columns().iter().map(lepton_analysis::Column::count).collect();
        assert_eq!((table.rows(), counts), (2, vec![1, 2, 2, 0]));
    }
}

#[test]
fn reading_stops_when_it_is_cancelled() {
    let rows = vec![r#"{"x":1}"#; 1_000].join(",");
    let polls = std::cell::Cell::new(0);
    let after_three = || polls.replace(polls.get() + 1) >= 3;
    let text = format!(r#"{{"data":[{rows}]}}"#);
    let error = ApiError::from(decode::decode(text.as_bytes(), &after_three).unwrap_err());
    assert_eq!((error.reason, polls.get()), (Reason::Cancelled, 4));
}

fn cell() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1e6..1e6).prop_map(Value::from),
        "[a-z\"\\\\\u{e9}\n]{0,4}".prop_map(Value::from),
    ]
}

proptest! {
    /// Whatever rows are sent, each cell is missing or present as it was.
    #[test]
    fn no_cell_is_lost(rows in prop::collection::vec(prop::collection::btree_map("[a-d]", cell(), 0..5), 1..20)) {
        let (_, table) = read(&json!({ "data": rows }).to_string()).unwrap();
        prop_assert_eq!(table.rows(), rows.len());
        for column in table.columns() {
            let present = rows.iter().filter(|row| row.get(column.name()).is_some_and(|cell| !cell.is_null())).count();
            prop_assert_eq!(column.count(), present);
        }
        let named = rows.iter().flat_map(|row| row.keys()).collect::<std::collections::BTreeSet<_>>();
        prop_assert_eq!(named.len(), table.columns().len());
    }

    /// No text makes the reader panic, and a piece of a good one is never taken for the whole.
    #[test]
    fn any_text_is_read_or_refused(text in r#"[\[\]{}":,a-e0-9.\\ ]{0,60}"#, cut in 0_usize..80) {
        let _ = read(&text);
        let good = r#"{"data":[{"a":1.5,"b":"x\"y"},{"a":null,"c":true}],"target":"a"}"#;
        let cut = cut.min(good.len());
        prop_assert_eq!(read(&good[..cut]).is_ok(), cut == good.len());
    }
}
