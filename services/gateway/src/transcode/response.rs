//! From the answers of an RPC to REST: JSON for one, server-sent events for many.
//!
//! Promises: an RPC that fails before its first answer gives an ordinary error response; later failures are an event of
//! type `error` with the same body.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse as _;
use axum::response::sse::{Event, KeepAlive, Sse};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::{HeaderValue, Response, header};
use lepton_domain::reason::ApiError;
use lepton_proto::proto_json::{self, PrintError};
use prost_reflect::{DynamicMessage, MessageDescriptor};

use super::table::Binding;
use crate::offload;
use crate::request::error::UpstreamError;
use crate::request::grpc_framing::MessageStream;

/// Longest silence of a stream of events. Proxies close silent connections after 30 to 60 s.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// The answer of a unary RPC.
pub async fn unary(binding: &Binding, answer: Bytes) -> Result<Response<Body>, ApiError> {
    let (output, field) = (binding.rpc.output(), binding.answer.clone());
    let printed = offload::run(answer.len(), move || print(output, field.as_ref(), &answer)).await;
    printed.map(json)
}

/// The answers of a streaming RPC.
pub async fn stream(binding: &Binding, mut answers: MessageStream) -> Result<Response<Body>, ApiError> {
    let first = answers.next().await?;
    let answers = futures::stream::iter(first.map(Ok)).chain(answers.stream());
    let (output, answer) = (binding.rpc.output(), binding.answer.clone());
    let answers = answers.map(move |bytes| {
        let json = print(output.clone(), answer.as_ref(), &bytes?)?;
        Ok(Event::default().data(String::from_utf8_lossy(&json)))
    });
    Ok(events(answers))
}

/// Events until the first error, which becomes the last event.
pub fn events(events: impl Stream<Item = Result<Event, ApiError>> + Send + 'static) -> Response<Body> {
    let events = events.map(|event| Ok::<_, Infallible>(event.unwrap_or_else(|error| error_event(&error))));
    let alive = KeepAlive::new().interval(SILENCE_MAX).text("alive");
    let mut response = Sse::new(events).keep_alive(alive).into_response();
    // nginx would gather events otherwise.
    response
        .headers_mut()
        .insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A JSON body.
pub fn json(body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn error_event(api_error: &ApiError) -> Event {
    Event::default()
        .event("error")
        .data(lepton_core::error::rest_body(api_error).to_string())
}

/// An encoded message, or the message in one of its fields, as JSON.
fn print(
    output: MessageDescriptor,
    field: Option<&prost_reflect::FieldDescriptor>,
    answer: &Bytes,
) -> Result<Vec<u8>, ApiError> {
    let message = DynamicMessage::decode(output, answer.clone()).map_err(PrintError::from);
    let printed = message.and_then(|message| match field.map(|field| message.get_field(field)) {
        Some(inner) => inner
            .as_message()
            .map_or_else(|| proto_json::to_vec(&message), proto_json::to_vec),
        None => proto_json::to_vec(&message),
    });
    Ok(printed.map_err(UpstreamError::from)?)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use lepton_domain::reason::Reason;

    use super::*;

    async fn first_frame(stream: impl Stream<Item = Result<Event, ApiError>> + Send + 'static) -> Bytes {
        let response = events(stream);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        let frame = response.into_body().frame().await.expect("a frame").expect("no error");
        frame.into_data().expect("data")
    }

    #[tokio::test]
    async fn an_event_is_one_frame_and_line_breaks_forge_no_fields() {
        let event = Event::default().event("task").id("3-7").data("a\nid: 2\r\nb");
        let frame = first_frame(futures::stream::iter([Ok(event)])).await;
        let text = std::str::from_utf8(&frame).expect("UTF-8");
        // Either of them ends a line, as both together do.
        let lines: Vec<&str> = text.trim_end().split(['\r', '\n']).collect();
        assert_eq!(
            lines,
            ["event: task", "id: 3-7", "data: a", "data: id: 2", "data: ", "data: b"]
        );
    }

    #[tokio::test]
    async fn a_fault_is_the_last_event() {
        let api_error = ApiError::new(Reason::TaskNotFound, "there is no task");
        let frame = first_frame(futures::stream::iter([Err(api_error)])).await;
        let text = std::str::from_utf8(&frame).expect("UTF-8");
        assert!(
            text.starts_with("event: error\ndata: {\"error\":{") && text.ends_with("}\n\n"),
            "{text}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_shows_that_it_lives() {
        assert_eq!(first_frame(futures::stream::pending()).await, ": alive\n\n");
    }
}
