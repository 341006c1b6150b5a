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
use lepton_domain::reason::{Fault, Reason};
use lepton_proto::convert::trace::assemble;
use lepton_proto::monitor::v1::monitor_service_client::MonitorServiceClient;
use lepton_proto::monitor::v1::{GetTraceRequest, ListTracesRequest, Trace};
use lepton_telemetry::propagate::Propagate;
use tonic::Response;
use tonic::transport::Channel;

#[cfg(test)]
mod tests;

/// How long one monitor may take.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// When to try again when none answered.
const RETRY: Duration = Duration::from_secs(2);
/// The largest answer: some 2,000 spans at their limits.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Traces of a list where no number is asked for.
const PAGE_SIZE: usize = 100;

type Client = MonitorServiceClient<Propagate<Channel>>;

fn client(net: Net, monitor: &Instance) -> Client {
    MonitorServiceClient::new(Propagate::to("monitor", net.channel(&monitor.address)))
        .max_decoding_message_size(ANSWER_BYTES_MAX)
}

/// The trace, with the spans of every monitor that keeps some.
pub async fn get(net: Net, monitors: &[Instance], request: &GetTraceRequest) -> Result<Trace, Fault> {
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
            Err(fault) if fault.reason == Reason::TraceNotFound => {}
            Err(fault) => silent.push(fault),
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
        return Err(Fault::new(Reason::TraceNotFound, message).with("trace", id));
    }
    Err(nobody(silent))
}

/// Summaries of the traces of every monitor, the newest first.
pub async fn list(net: Net, monitors: &[Instance], request: ListTracesRequest) -> Result<Vec<Trace>, Fault> {
    let asked = monitors.iter().map(|monitor| async move {
        let mut client = client(net, monitor);
        let answer = client.list_traces(request);
        answered(monitor, tokio::time::timeout(ANSWER_WAIT, answer).await).map(|answer| answer.traces)
    });
    let (mut lists, mut silent) = (Vec::new(), Vec::new());
    for answer in join_all(asked).await {
        match answer {
            Ok(traces) => lists.push(traces),
            Err(fault) => silent.push(fault),
        }
    }
    if lists.is_empty() {
        return Err(nobody(silent));
    }
    let limit = match request.page_size {
        0 => PAGE_SIZE,
        size => usize::try_from(size).unwrap_or(PAGE_SIZE),
    };
    Ok(merged(lists.into_iter().flatten().collect(), limit))
}

fn answered<T>(
    monitor: &Instance,
    answer: Result<Result<Response<T>, tonic::Status>, tokio::time::error::Elapsed>,
) -> Result<T, Fault> {
    let late = |_| {
        let message = format!("{} did not answer in time", monitor.id);
        Fault::new(Reason::OutcomeUnknown, message)
    };
    let answer = answer.map_err(late)?;
    answer.map(Response::into_inner).map_err(|status| error::fault(&status))
}

/// Nobody could say anything.
fn nobody(silent: Vec<Fault>) -> Fault {
    let message = "no monitor answers; start one, or try again shortly";
    let none = Fault::new(Reason::LeaderUnavailable, message).retry_after(RETRY);
    silent
        .into_iter()
        .find(|fault| !error::is_retryable(fault))
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

/// The newest of these summaries; of several for one trace, the one that knows most of it.
fn merged(traces: Vec<Trace>, limit: usize) -> Vec<Trace> {
    let mut by_id: BTreeMap<String, Trace> = BTreeMap::new();
    for trace in traces {
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
    let start = |trace: &Trace| trace.start_time.map(|time| (time.seconds, time.nanos));
    traces.sort_by_key(|trace| std::cmp::Reverse(start(trace)));
    traces.truncate(limit);
    traces
}
