//! Server-sent events.
//!
//! Promises: an event is one write, so that a reader never waits for half of one; a silent stream shows every
//! 15 s that it lives. Leaves what an event says to its caller.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::{HeaderValue, Response, header};

#[cfg(test)]
mod tests;

/// How long a stream may be silent. Proxies close silent connections after 30 to 60 s.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its type; `message` where absent.
    pub name: Option<&'static str>,
    /// Its id, which a client sends back as `Last-Event-ID`.
    pub id: Option<String>,
    /// Its data.
    pub data: String,
}

impl Event {
    /// The event as it is sent.
    pub fn encode(&self) -> Bytes {
        let mut text = String::with_capacity(self.data.len() + 64);
        if let Some(name) = self.name {
            let _ = writeln!(text, "event: {name}");
        }
        if let Some(id) = &self.id {
            // A line break would let an id forge fields.
            let _ = writeln!(text, "id: {}", id.replace(['\r', '\n', '\0'], ""));
        }
        for line in self.data.split(['\r', '\n']) {
            let _ = writeln!(text, "data: {line}");
        }
        text.push('\n');
        text.into()
    }
}

/// The response that carries these events.
pub fn response(events: impl Stream<Item = Event> + Send + 'static) -> Response<Body> {
    let frames = futures::stream::unfold(Box::pin(events), |mut events| async {
        let frame = match tokio::time::timeout(SILENCE_MAX, events.next()).await {
            Ok(event) => event?.encode(),
            Err(_) => Bytes::from_static(b": alive\n\n"),
        };
        Some((Ok::<_, Infallible>(frame), events))
    });
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx would gather events otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
