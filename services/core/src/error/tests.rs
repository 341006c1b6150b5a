//! Errors survive a hop, and foreign errors get a reason.

use axum::body::to_bytes;
use serde_json::Value;

use super::bounds::{TEXT_BYTES_MAX, VIOLATIONS_MAX};
use super::*;

fn full() -> ApiError {
    ApiError::new(Reason::QuotaExceeded, "the tenant stores 10 of 10 tasks")
        .with("tenant", "default")
        .retry_after(Duration::from_millis(1_500))
        .violation("kind", "is empty")
        .quota("tenant:default", "10 of 10 tasks")
}

#[test]
fn every_reason_crosses_a_hop_unchanged() {
    for reason in Reason::ALL {
        let sent = ApiError {
            reason: *reason,
            ..full()
        };
        let status = status(&sent);
        assert_eq!(status.code() as i32, reason.code().number());
        // As the other side sees it: through headers.
        let headers = status.into_http::<()>().into_parts().0.headers;
        assert_eq!(from_status(&Status::from_header_map(&headers).unwrap()), sent);
    }
}

#[test]
fn long_texts_are_cut_to_what_headers_hold() {
    let name = "\u{1f600}".repeat(1_024);
    let mut long = full().with("target", &name).quota(&name, &name);
    long.message = format!("there is no column {name:?}");
    for _ in 0..100 {
        long = long.violation(&name, &name);
    }
    let headers = status(&long).into_http::<()>().into_parts().0.headers;
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 32)
        .sum();
    assert!(bytes < crate::net::HEADER_LIST_BYTES_MAX as usize / 2, "{bytes}");
    let read = from_status(&Status::from_header_map(&headers).unwrap());
    assert_eq!((read.reason, read.retry_after), (long.reason, long.retry_after));
    assert!(read.message.starts_with("there is no column \"\u{1f600}") && read.message.ends_with("..."));
    assert!(read.metadata["target"].len() <= TEXT_BYTES_MAX && read.metadata["tenant"] == "default");
}

#[tokio::test]
async fn an_error_is_small_over_every_protocol() {
    let sent = "x\u{e9}\n".repeat(1 << 18);
    let mut large = ApiError::new(Reason::UnknownField, format!("there is no field {sent:?}")).with("field", &sent);
    for _ in 0..1_000 {
        large = large.violation(&sent[..1_000], "is unknown");
    }
    let large = large.quota(&sent, &sent);
    for response in [rest(&large), v2(&large)] {
        let body = to_bytes(response.into_body(), 64 << 10).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let text = body["error"]["message"].as_str().or(body["error"].as_str()).unwrap();
        assert!(text.starts_with("there is no field") && text.ends_with("..."), "{text}");
        if let Some(details) = body["error"]["details"].as_array() {
            assert_eq!(details[1]["fieldViolations"].as_array().unwrap().len(), VIOLATIONS_MAX);
        }
    }
    assert!(status(&large).details().len() < 16 << 10);
}

#[test]
fn rest_names_fields_as_json_does_and_grpc_as_the_proto() {
    let api_error = ApiError::field("page_size", "5000 is more than 1000");
    let body = rest_body(&api_error);
    assert_eq!(body["error"]["message"], "pageSize: 5000 is more than 1000");
    assert_eq!(body["error"]["details"][1]["fieldViolations"][0]["field"], "pageSize");
    assert_eq!(status(&api_error).message(), "page_size: 5000 is more than 1000");
}

#[tokio::test]
async fn rest_answers_have_the_documented_form() {
    let response = rest(&full());
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "2");
    let body: Value = serde_json::from_slice(&to_bytes(response.into_body(), 4096).await.unwrap()).unwrap();
    let error = &body["error"];
    assert_eq!(
        (&error["code"], &error["status"]),
        (&429.into(), &"RESOURCE_EXHAUSTED".into())
    );
    assert_eq!(error["details"][0]["reason"], "QUOTA_EXCEEDED");
    assert_eq!(error["details"][0]["metadata"]["tenant"], "default");
    assert_eq!(error["details"][1]["retryDelay"], "1.5s");
    assert_eq!(error["details"][2]["fieldViolations"][0]["field"], "kind");
    assert_eq!(error["details"][3]["violations"][0]["subject"], "tenant:default");
}

#[tokio::test]
async fn v2_answers_carry_the_reason_in_a_header() {
    let response = v2(&ApiError::new(Reason::ModelNotFound, "no model \"x\""));
    assert_eq!(
        (response.status().as_u16(), &response.headers()[REASON_HEADER]),
        (404, &"MODEL_NOT_FOUND".parse().unwrap())
    );
    let body = to_bytes(response.into_body(), 4096).await.unwrap();
    assert_eq!(&body[..], br#"{"error":"no model \"x\""}"#);
}

#[test]
fn errors_of_the_library_get_a_reason() {
    let large = "Error, decoded message length too large: found 9 bytes, the limit is: 8 bytes";
    let unpacked = "Error decompressing: size limit, of 8 bytes, exceeded while decompressing message";
    let expected = [
        (Status::out_of_range(large), Reason::RequestTooLarge),
        (Status::resource_exhausted(unpacked), Reason::RequestTooLarge),
        (Status::resource_exhausted("busy"), Reason::Overloaded),
        (Status::unimplemented(""), Reason::MethodNotAllowed),
        (Status::cancelled("Timeout expired"), Reason::DeadlineExceeded),
        (Status::cancelled("gone"), Reason::Cancelled),
        (Status::unknown("?"), Reason::Internal),
    ];
    for (status, reason) in expected {
        assert_eq!(from_status(&status).reason, reason, "{status}");
    }
    let message = from_status(&Status::out_of_range(large)).message;
    assert_eq!(
        message,
        "the message is too large: found 9 bytes, the limit is: 8 bytes"
    );
}

#[test]
fn a_broken_transport_is_unavailable_and_explained() {
    let error = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "reset by peer");
    let api_error = from_status(&Status::from_error(Box::new(error)));
    assert_eq!(api_error.reason, Reason::OutcomeUnknown);
    assert!(
        is_retryable(&api_error) && api_error.message.contains("reset by peer"),
        "{}",
        api_error.message
    );
}
