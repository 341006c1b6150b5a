//! `lepton trace ID`: a request and everything that was done for it, drawn over time.
//!
//! Promises: a trace that has just been made is awaited until it is complete; `--output json` prints exactly the REST body.
//! Leaves the drawing to [`waterfall`].

use std::time::Duration;

use bytes::Bytes;
use lepton_domain::reason::{ApiError, Reason};
use lepton_mesh::config::duration;
use serde_json::Value;

use super::Session;
use crate::args::Trace;
use crate::client::escape;
use crate::output::{coloured, line};

#[cfg(test)]
mod tests;
mod waterfall;

/// Interval of requests for a trace that has not arrived.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// A trace in which nothing has changed for this long is whole: instances gather spans for a quarter of a second and may
/// be late by one message.
const QUIET: Duration = Duration::from_millis(1_000);

/// Shows a trace.
pub(super) async fn run(session: &Session, args: &Trace) -> Result<(), ApiError> {
    let wait = duration::parse(&args.wait).ok_or_else(|| {
        let message = format!("--wait: {:?} is no duration; give one as 5s or 500ms", args.wait);
        ApiError::new(Reason::ConfigInvalid, message)
    })?;
    let body = await_trace(session, &args.id.to_lowercase(), wait).await?;
    session.print(&body, |trace| {
        for text in waterfall::lines(trace, coloured()) {
            line(&text);
        }
    })
}

/// Polls until the trace is complete or the wait is over. Its spans come within a second or two of its end, from each
/// instance on its own.
async fn await_trace(session: &Session, id: &str, wait: Duration) -> Result<Bytes, ApiError> {
    let path = format!("/api/v1/traces/{}", escape(id));
    let clock = session.context.clock;
    let deadline = clock.monotonic() + wait;
    let mut arrival = Arrival::default();
    loop {
        let answer = session.client.get(&path).await;
        let now = clock.monotonic();
        let whole = match &answer {
            Ok(body) => arrival.is_whole(body, now),
            Err(error) => error.reason != Reason::TraceNotFound,
        };
        if whole || now >= deadline {
            return answer;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The part of a trace that has arrived so far.
#[derive(Debug, Default)]
struct Arrival {
    spans: u64,
    /// The time of the last change.
    since: Duration,
}

impl Arrival {
    /// Returns true if more is unlikely to come: the first span is there, and none has come for [`QUIET`].
    fn is_whole(&mut self, body: &[u8], now: Duration) -> bool {
        let trace: Value = serde_json::from_slice(body).unwrap_or_default();
        let number = |field: &str| trace[field].as_u64().unwrap_or(0);
        let spans = number("spanCount") + number("droppedSpanCount");
        if spans != self.spans {
            (self.spans, self.since) = (spans, now);
        }
        has_first_span(&trace) && now.saturating_sub(self.since) >= QUIET
    }
}

/// Returns true if the first span is there: all spans but one have a parent here. A caller outside of the mesh may have
/// begun the trace and sends no spans here: then the parent of one is absent.
fn has_first_span(trace: &Value) -> bool {
    let spans = trace["spans"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_here = |id: &Value| spans.iter().any(|span| span["spanId"] == *id);
    spans.iter().filter(|span| !is_here(&span["parentSpanId"])).count() == 1
}
