//! Answers look as the surface promises.

use super::*;
use crate::analysis::v1 as analysis;
use crate::task::v1 as task;

fn json(name: &str, message: &impl Message) -> String {
    String::from_utf8(encode(name, message).unwrap()).unwrap()
}

#[test]
fn defaults_are_printed_and_absent_fields_are_not() {
    let summary = analysis::ColumnSummary {
        name: "x".into(),
        mean: Some(2.0),
        max: Some(0.5),
        ..Default::default()
    };
    assert_eq!(
        json("lepton.analysis.v1.ColumnSummary", &summary),
        r#"{"name":"x","type":"COLUMN_TYPE_UNSPECIFIED","count":0,"missing":0,"mean":2,"max":0.5,"top":[]}"#
    );
}

#[test]
fn tasks_print_as_promised() {
    let input = crate::convert::value::to_value(br#"{"n":1.0,"big":1e300,"list":[null]}"#).unwrap();
    let task = task::Task {
        id: "t".into(),
        state: task::State::Succeeded.into(),
        payload: Some(task::task::Payload::Input(input)),
        result: Some(task::task::Result::OutputBytes(vec![1, 2, 3].into())),
        create_time: Some(prost_types::Timestamp {
            seconds: 1_700_000_000,
            nanos: 5_000_000,
        }),
        version: Some(task::TaskVersion {
            epoch: 7,
            seq: u64::MAX,
        }),
        ..Default::default()
    };
    assert_eq!(
        json("lepton.task.v1.Task", &task),
        concat!(
            r#"{"id":"t","tenant":"","kind":"","state":"STATE_SUCCEEDED","input":{"big":1e300,"list":[null],"n":1},"#,
            r#""outputBytes":"AQID","attempts":0,"requestId":"","createTime":"2023-11-14T22:13:20.005Z","traceId":"","#,
            r#""version":{"epoch":"7","seq":"18446744073709551615"},"priority":0,"labels":{},"worker":""}"#
        )
    );
}

#[test]
fn doubles_print_without_a_needless_fraction() {
    let interval = analysis::ConfidenceInterval {
        low: -3.0,
        high: 1e22,
        method: 2,
    };
    assert_eq!(
        json("lepton.analysis.v1.ConfidenceInterval", &interval),
        r#"{"low":-3,"high":1e22,"method":"CI_METHOD_STUDENT_T"}"#
    );
    let singles = crate::inference::InferTensorContents {
        fp32_contents: vec![1.0, 0.1],
        ..Default::default()
    };
    assert!(json("inference.InferTensorContents", &singles).contains(r#""fp32Contents":[1,0.1]"#));
}

#[test]
fn what_cannot_be_printed_is_an_error() {
    let nothing = task::GetTaskRequest::default();
    assert!(matches!(
        encode("lepton.task.v1.Nothing", &nothing),
        Err(PrintError::UnknownMessage(_))
    ));
    let late = Some(prost_types::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    });
    let task = task::Task {
        create_time: late,
        ..Default::default()
    };
    assert!(matches!(
        encode("lepton.task.v1.Task", &task),
        Err(PrintError::Unsayable(_))
    ));
}
