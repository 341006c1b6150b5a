//! The JSON of an answer against that of its message.

use lepton_proto::analysis::v1::{ColumnSummary, Fit};
use proptest::prelude::*;

use super::*;

fn answer(predictions: &[Option<f64>]) -> AnalyzeResponse {
    let prediction = |number: &Option<f64>| Value {
        kind: Some(number.map_or(Kind::NullValue(0), Kind::NumberValue)),
    };
    AnalyzeResponse {
        row_count: 3,
        columns: vec![ColumnSummary {
            name: "\"predictions\":[],\\\"predictions\":[]".into(),
            mean: Some(2.0),
            ..Default::default()
        }],
        fit: Some(Fit {
            target: "y".into(),
            coefficients: [("b".to_owned(), 1e300), ("a".to_owned(), 0.5)].into(),
            ..Default::default()
        }),
        predictions: predictions.iter().map(prediction).collect(),
        trace_id: "0af7651916cd43dd8448eb211c80319c".into(),
        ..Default::default()
    }
}

fn assert_same(message: &AnalyzeResponse) {
    let expected = proto_json::encode(NAME, message).expect("printable");
    let printed = json(message.encode_to_vec().into()).expect("printable");
    assert_eq!(String::from_utf8_lossy(&printed), String::from_utf8_lossy(&expected));
}

#[test]
fn the_json_is_that_of_the_message() {
    assert_same(&AnalyzeResponse::default());
    assert_same(&answer(&[]));
    assert_same(&answer(&[
        Some(1.0),
        None,
        Some(-0.0),
        Some(1e21),
        Some(9_007_199_254_740_994.0),
    ]));
}

#[test]
fn a_trace_behind_the_predictions_counts() {
    let mut encoded = answer(&[Some(1.5)]).encode_to_vec();
    let noted = AnalyzeResponse {
        trace_id: "1".repeat(32),
        ..Default::default()
    };
    encoded.extend_from_slice(&noted.encode_to_vec());
    let merged = AnalyzeResponse::decode(&encoded[..]).expect("well formed");
    let expected = proto_json::encode(NAME, &merged).expect("printable");
    assert_eq!(json(encoded.into()).expect("printable"), expected);
}

#[test]
fn what_is_cut_off_is_a_fault() {
    let encoded = answer(&[Some(1.5)]).encode_to_vec();
    let error = ApiError::from(json(Bytes::from(encoded).slice(..60)).expect_err("cut off"));
    assert_eq!(error.reason, Reason::Internal);
}

proptest! {
    #[test]
    fn any_predictions_print_alike(numbers in proptest::collection::vec(any::<Option<f64>>(), 0..20)) {
        let finite: Vec<_> = numbers.into_iter().map(|it| it.filter(|number| number.is_finite())).collect();
        assert_same(&answer(&finite));
    }
}
