//! `lepton trace ID`: a request and everything that was done for it, drawn over time.
//!
//! Promises: a trace that has just been made is waited for, until all of it has come; `--output json` prints exactly the REST body. Leaves the
//! drawing to `waterfall`.

use std::time::Duration;

use bytes::Bytes;
use lepton_domain::reason::{Fault, Reason};
use lepton_mesh::config::duration;
use serde_json::Value;

use super::Session;
use crate::args::Trace;
use crate::client::escape;
use crate::output::{coloured, line};

#[cfg(test)]
mod tests;
mod waterfall;

/// How often a trace that has not arrived is asked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A trace in which nothing has changed for this long is whole: instances gather spans for a quarter of a second and may
/// be late by one message.
const QUIET: Duration = Duration::from_millis(1_000);

/// Shows a trace.
pub(super) async fn run(session: &Session, wish: &Trace) -> Result<(), Fault> {
    let patience = duration::parse(&wish.wait).ok_or_else(|| {
        let message = format!("--wait: {:?} is no duration; give one as 5s or 500ms", wish.wait);
        Fault::new(Reason::ConfigInvalid, message)
    })?;
    let body = await_trace(session, &wish.id.to_lowercase(), patience).await?;
    session.print(&body, |trace| {
        for text in waterfall::lines(trace, coloured()) {
            line(&text);
        }
    })
}

/// Asks until the trace is whole or the patience is over. Its spans come within a second or two of its end, from each
/// instance on its own.
async fn await_trace(session: &Session, id: &str, patience: Duration) -> Result<Bytes, Fault> {
    let path = format!("/api/v1/traces/{}", escape(id));
    let clock = session.context.clock;
    let deadline = clock.monotonic() + patience;
    let mut seen = Seen::default();
    loop {
        let answer = session.client.get(&path).await;
        let now = clock.monotonic();
        let whole = match &answer {
            Ok(body) => seen.is_whole(body, now),
            Err(fault) => fault.reason != Reason::TraceNotFound,
        };
        if whole || now >= deadline {
            return answer;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What came of the trace so far.
#[derive(Debug, Default)]
struct Seen {
    spans: u64,
    /// Since when it has been as it is.
    since: Duration,
}

impl Seen {
    /// Whether more is unlikely to come: its first span is there, and nothing has come for a while.
    fn is_whole(&mut self, body: &[u8], now: Duration) -> bool {
        let trace: Value = serde_json::from_slice(body).unwrap_or_default();
        let number = |field: &str| trace[field].as_u64().unwrap_or(0);
        let spans = number("spanCount") + number("droppedSpanCount");
        if spans != self.spans {
            (self.spans, self.since) = (spans, now);
        }
        has_beginning(&trace) && now.saturating_sub(self.since) >= QUIET
    }
}

/// Whether what began the trace is there: all spans but one hang below another. A caller outside of the mesh may have
/// begun it, who sends no spans here: then one hangs below nothing that is known.
fn has_beginning(trace: &Value) -> bool {
    let spans = trace["spans"].as_array().map(Vec::as_slice).unwrap_or_default();
    let known = |id: &Value| spans.iter().any(|span| span["spanId"] == *id);
    spans.iter().filter(|span| !known(&span["parentSpanId"])).count() == 1
}
