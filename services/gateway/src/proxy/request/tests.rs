//! Requests encoded piece by piece are those that prost encodes at once.

use http_body_util::BodyExt as _;
use lepton_proto::analysis::v1::AnalyzeRequest;
use lepton_proto::convert::analysis::{Cell, TableBuilder};
use lepton_proto::inference::model_infer_request::InferInputTensor;
use proptest::prelude::*;

use super::*;

fn decoded(cells: &[(u8, Option<f64>)]) -> Decoded {
    let mut table = TableBuilder::new();
    for (column, value) in cells {
        let cell = value.map_or(Cell::Text("x".into()), Cell::Number);
        table.set(&format!("c{column}"), cell).expect("small");
        table.end_row().expect("small");
    }
    let request = AnalyzeRequest {
        target: Some("c1".into()),
        ..Default::default()
    };
    Decoded {
        request,
        table: table.finish().ok(),
    }
}

proptest! {
    #[test]
    fn both_ways_of_sending_decode_to_the_request(cells in proptest::collection::vec((0_u8..4, any::<Option<f64>>()), 0..30)) {
        let expected = decoded(&cells);
        let expected = AnalyzeRequest { table: expected.table, ..expected.request };
        let whole = WorkerRequest::of(decoded(&cells)).into_whole();
        let message = WorkerRequest::of(decoded(&cells));
        prop_assert_eq!(message.bytes(), whole.len());
        let body = futures::executor::block_on(message.into_body().collect()).expect("infallible").to_bytes();
        prop_assert_eq!(&body[grpc_framing::PREFIX_BYTES..], &whole[..]);
        prop_assert_eq!(&body[..grpc_framing::PREFIX_BYTES], &grpc_framing::prefix(whole.len())[..]);
        // NaN differs from itself: compare the encodings.
        let read = AnalyzeRequest::decode(whole).expect("well formed");
        prop_assert_eq!(read.encode_to_vec(), expected.encode_to_vec());
    }

    #[test]
    fn any_bytes_are_peeked_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = peek::<AnalyzeRequest>(&bytes, &[2, 3, 4]);
    }
}

#[test]
fn peeking_leaves_the_rows_out() {
    let request = AnalyzeRequest {
        model: Some("m".into()),
        consistency: 2,
        ..decoded(&[]).request
    };
    let with_rows = AnalyzeRequest {
        data: vec![Default::default()],
        table: Some(Table::default()),
        ..request.clone()
    };
    let peeked: AnalyzeRequest = peek(&with_rows.encode_to_vec(), &[2, 3, 4]).expect("well formed");
    assert_eq!(peeked, request);
}

#[tokio::test]
async fn tensors_are_sent_as_they_came() {
    let contents = vec![Bytes::from_static(b"abcd"), Bytes::new(), Bytes::from(vec![7; 300])];
    let request = ModelInferRequest {
        model_name: "m".into(),
        inputs: vec![InferInputTensor::default(); 3],
        ..Default::default()
    };
    let expected = ModelInferRequest {
        raw_input_contents: contents.clone(),
        ..request.clone()
    };
    let message = WorkerRequest::with_contents(&request, contents);
    let length = message.bytes();
    let body = message.into_body().collect().await.expect("infallible").to_bytes();
    assert_eq!(length, body.len() - grpc_framing::PREFIX_BYTES);
    let sent = ModelInferRequest::decode(body.slice(grpc_framing::PREFIX_BYTES..)).expect("well formed");
    assert_eq!(sent, expected);
    let whole = WorkerRequest::with_contents(&request, expected.raw_input_contents.clone()).into_whole();
    assert_eq!(whole, body.slice(grpc_framing::PREFIX_BYTES..));
}
