//! `lepton trace ID`: a request and everything that was done for it, drawn over time.
//!
//! Promises: a trace that has just been made is waited for; `--output json` prints exactly the REST body. Leaves the
//! drawing to `waterfall`.

use std::time::Duration;

use bytes::Bytes;
use lepton_domain::reason::{Fault, Reason};
use lepton_mesh::config::duration;

use super::Session;
use crate::args::Trace;
use crate::client::escape;
use crate::output::{coloured, line};

mod waterfall;

/// How often a trace that has not arrived is asked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);

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

/// Asks until the trace is there or the patience is over. Its spans come within a second or two of its end.
async fn await_trace(session: &Session, id: &str, patience: Duration) -> Result<Bytes, Fault> {
    let path = format!("/api/v1/traces/{}", escape(id));
    let clock = session.context.clock;
    let deadline = clock.monotonic() + patience;
    loop {
        match session.client.get(&path).await {
            Err(fault) if fault.reason == Reason::TraceNotFound && clock.monotonic() < deadline => {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            result => return result,
        }
    }
}
