//! Traces from all monitors.
//!
//! Promises: a trace whose spans went to several monitors, as while the leadership changed, is shown whole; a monitor
//! that does not answer does not hide what the others keep. Leaves keeping to the monitors.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use lepton_coordination::registry::Instance;
use lepton_core::error;
use lepton_core::net::Net;
use lepton_domain::reason::{ApiError, Reason};
use lepton_proto::convert::trace::{self, TraceKey, assemble};
use lepton_proto::monitor::v1::monitor_service_client::MonitorServiceClient;
use lepton_proto::monitor::v1::{GetTraceRequest, ListTracesRequest, ListTracesResponse, Trace};
use lepton_proto::page::{Page, PageRequest};
use lepton_telemetry::propagate::Propagate;
use tonic::Response;
use tonic::transport::Channel;

use crate::request::Caller;

#[cfg(test)]
mod tests;

/// Timeout of one monitor.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// Retry delay when none answered.
const RETRY: Duration = Duration::from_secs(2);
/// The largest answer: some 2,000 spans at their limits.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Traces of a page whose request leaves its size open.
const PAGE_SIZE: usize = 100;

type Client = MonitorServiceClient<Propagate<Channel>>;

fn client(net: Net, monitor: &Instance) -> Client {
    MonitorServiceClient::new(Propagate::to("monitor", net.channel(&monitor.address)))
        .max_decoding_message_size(ANSWER_BYTES_MAX)
}

/// The trace, with the spans of every monitor that keeps some.
pub async fn get(
    net: Net,
    monitors: &[Instance],
    _caller: &Caller,
    request: &GetTraceRequest,
) -> Result<Trace, ApiError> {
    let id = &request.trace_id;
    let asked = monitors.iter().map(|monitor| async move {
        let mut client = client(net, monitor);
        let answer = client.get_trace(request.clone());
        answered(monitor, tokio::time::timeout(ANSWER_WAIT, answer).await).map(|answer| answer.trace)
    });
    let mut parts = Vec::new();
    let mut silent = Vec::new();
    for answer in join_all(asked).await {
        match answer {
            Ok(trace) => parts.extend(trace),
            Err(error) if error.reason == Reason::TraceNotFound => {}
            Err(error) => silent.push(error),
        }
    }
    if !parts.is_empty() {
        return Ok(whole(id, parts));
    }
    if silent.is_empty() && !monitors.is_empty() {
        let message = format!(
            "trace {id} is not kept: it was not sampled (a header `traceparent` ending in -01 asks for it), it made room \
             for newer ones, or its spans are on their way, which takes some seconds"
        );
        return Err(ApiError::new(Reason::TraceNotFound, message).with("trace", id));
    }
    Err(nobody(silent))
}

/// Returns a page of the traces of every monitor, without their spans. Fails with PAGE_TOKEN_INVALID.
///
/// Each monitor gives the same page of its own traces: the page of all begins and ends within those.
pub async fn list(
    net: Net,
    monitors: &[Instance],
    _caller: &Caller,
    request: &ListTracesRequest,
) -> Result<Page<Trace>, ApiError> {
    let page = PageRequest::new(trace::listing(request), request.page_size, &request.page_token)?.or_size(PAGE_SIZE);
    let asked = monitors.iter().map(|monitor| async move {
        let mut client = client(net, monitor);
        let answer = client.list_traces(request.clone());
        answered(monitor, tokio::time::timeout(ANSWER_WAIT, answer).await)
    });
    let (mut lists, mut silent) = (Vec::new(), Vec::new());
    for answer in join_all(asked).await {
        match answer {
            Ok(answer) => lists.push(answer),
            Err(error) => silent.push(error),
        }
    }
    if lists.is_empty() {
        return Err(nobody(silent));
    }
    Ok(merged(&page, lists))
}

fn answered<T>(
    monitor: &Instance,
    answer: Result<Result<Response<T>, tonic::Status>, tokio::time::error::Elapsed>,
) -> Result<T, ApiError> {
    let late = |_| {
        let message = format!("{} did not answer in time", monitor.id);
        ApiError::new(Reason::OutcomeUnknown, message)
    };
    let answer = answer.map_err(late)?;
    answer
        .map(Response::into_inner)
        .map_err(|status| error::from_status(&status))
}

/// Nobody could say anything.
fn nobody(silent: Vec<ApiError>) -> ApiError {
    let message = "no monitor answers; start one, or try again shortly";
    let none = ApiError::new(Reason::LeaderUnavailable, message).retry_after(RETRY);
    silent
        .into_iter()
        .find(|error| !error::is_retryable(error))
        .unwrap_or(none)
}

/// One trace from the parts that several monitors keep of it.
fn whole(id: &str, parts: Vec<Trace>) -> Trace {
    let dropped = parts
        .iter()
        .fold(0_u32, |sum, part| sum.saturating_add(part.dropped_span_count));
    let failed = parts.iter().any(|part| part.failed);
    let spans = parts.into_iter().flat_map(|part| part.spans).collect();
    let mut trace = assemble(id.to_owned(), spans, dropped);
    // The span that failed may be one that did not fit.
    trace.failed |= failed;
    trace
}

/// Merges the pages of several monitors; of several summaries of one trace, the one with the most spans counts.
///
/// The merged page ends where the first of those ends that have more behind them: that monitor may keep a trace which
/// stands before the others' next one.
fn merged(page: &PageRequest<TraceKey>, lists: Vec<ListTracesResponse>) -> Page<Trace> {
    let ends = lists.iter().filter(|list| !list.next_page_token.is_empty());
    let end = ends.filter_map(|list| list.traces.last().map(trace::key)).min();
    let mut by_id: BTreeMap<String, Trace> = BTreeMap::new();
    for trace in lists.into_iter().flat_map(|list| list.traces) {
        match by_id.get_mut(&trace.trace_id) {
            Some(known) => {
                let failed = known.failed || trace.failed;
                if trace.span_count > known.span_count {
                    *known = trace;
                }
                known.failed = failed;
            }
            None => {
                by_id.insert(trace.trace_id.clone(), trace);
            }
        }
    }
    let mut traces: Vec<Trace> = by_id.into_values().collect();
    traces.sort_by_key(trace::key);
    page.cut_until(traces, end.as_ref(), trace::key)
}
