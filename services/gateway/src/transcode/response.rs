//! From the answers of an RPC to REST: JSON for one, server-sent events for many.
//!
//! Promises: an RPC that fails before its first answer gives an ordinary error response; later failures are an event of
//! type `error` with the same body.

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::{HeaderValue, Response, header};
use lepton_domain::reason::{Fault, Reason};
use lepton_proto::proto_json::{self, PrintError};
use prost_reflect::{DynamicMessage, MessageDescriptor};

use super::sse::{self, Event};
use super::table::Binding;
use crate::bulk;
use crate::frames::Answers;

/// The answer of a unary RPC.
pub async fn unary(binding: &Binding, answer: Bytes) -> Result<Response<Body>, Fault> {
    let (output, field) = (binding.rpc.output(), binding.answer.clone());
    let printed = bulk::run(answer.len(), move || print(output, field.as_ref(), &answer)).await;
    printed.map(json)
}

/// The answers of a streaming RPC.
pub async fn stream(binding: &Binding, mut answers: Answers) -> Result<Response<Body>, Fault> {
    let first = answers.next().await?;
    let answers = futures::stream::iter(first.map(Ok)).chain(answers.stream());
    let (output, answer) = (binding.rpc.output(), binding.answer.clone());
    let texts = answers.map(move |bytes| {
        let json = bytes.and_then(|bytes| print(output.clone(), answer.as_ref(), &bytes))?;
        String::from_utf8(json).map_err(|_| Fault::new(Reason::Internal, "JSON is not UTF-8"))
    });
    Ok(events(texts.map(|text| {
        text.map(|data| Event {
            data,
            ..Event::default()
        })
    })))
}

/// Events until the first fault, which becomes the last event.
pub fn events(events: impl Stream<Item = Result<Event, Fault>> + Send + 'static) -> Response<Body> {
    sse::response(events.map(|event| event.unwrap_or_else(|fault| error_event(&fault))))
}

/// A JSON body.
pub fn json(body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn error_event(fault: &Fault) -> Event {
    Event {
        name: Some("error"),
        id: None,
        data: lepton_core::error::rest_body(fault).to_string(),
    }
}

/// An encoded message, or the message in one of its fields, as JSON.
fn print(
    output: MessageDescriptor,
    field: Option<&prost_reflect::FieldDescriptor>,
    answer: &Bytes,
) -> Result<Vec<u8>, Fault> {
    let message = DynamicMessage::decode(output, answer.clone()).map_err(PrintError::from);
    let printed = message.and_then(|message| match field.map(|field| message.get_field(field)) {
        Some(inner) => inner
            .as_message()
            .map_or_else(|| proto_json::to_vec(&message), proto_json::to_vec),
        None => proto_json::to_vec(&message),
    });
    printed.map_err(|error| Fault::new(Reason::Internal, error.to_string()))
}
