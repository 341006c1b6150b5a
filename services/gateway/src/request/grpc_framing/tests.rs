//! Splitting an answer into messages.

use std::convert::Infallible;

use lepton_domain::reason::{ApiError, Reason};
use proptest::prelude::*;

use super::*;

fn parts(parts: Vec<Bytes>) -> MessageStream {
    let body = Body::from_stream(futures::stream::iter(parts.into_iter().map(Ok::<_, Infallible>)));
    messages(Response::new(body)).expect("an answer without a status goes on")
}

#[test]
fn a_status_in_the_headers_is_the_answer() {
    let mut response = Response::new(Body::empty());
    response
        .headers_mut()
        .insert("grpc-status", http::HeaderValue::from_static("14"));
    let error = messages(response).map(drop).expect_err("refused");
    assert_eq!(ApiError::from(error).code().name(), "UNAVAILABLE");
}

#[tokio::test]
async fn an_answer_that_breaks_off_may_be_asked_for_again() {
    let broken = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "reset by peer");
    let pieces = [
        Ok(Bytes::from_static(&[0, 0, 0, 0, 9, 1])),
        Err(tonic::Status::from_error(Box::new(broken))),
    ];
    let response = Response::new(Body::from_stream(futures::stream::iter(pieces)));
    let error = messages(response).expect("begun").only().await.expect_err("cut off");
    let api_error = ApiError::from(error);
    assert_eq!(api_error.reason, Reason::OutcomeUnknown, "{api_error}");
    assert!(
        error::is_retryable(&api_error) && api_error.message.contains("reset by peer"),
        "{api_error}"
    );
}

proptest! {
    #[test]
    fn messages_come_back_however_they_are_cut(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
        cut in 1_usize..17,
    ) {
        let whole: Vec<u8> = messages.iter().flat_map(|message| frame(message)).collect();
        let mut stream = parts(whole.chunks(cut).map(Bytes::copy_from_slice).collect());
        let read = futures::executor::block_on(async move {
            let mut read = Vec::new();
            while let Some(message) = stream.next().await? {
                read.push(message.to_vec());
            }
            Ok::<_, UpstreamError>(read)
        });
        prop_assert_eq!(read.expect("well formed"), messages);
    }

    #[test]
    fn any_bytes_are_taken_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut stream = parts(vec![bytes.into()]);
        let _ = futures::executor::block_on(stream.next());
    }
}
