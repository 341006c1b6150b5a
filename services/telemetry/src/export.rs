//! Sends finished spans on their way: to the mesh's monitor, and to a collector where one is named.
//!
//! Promises: a full queue, a slow receiver or a dead one drops spans, counts them and disturbs nobody; what is slow for
//! one receiver does not keep the other waiting; the export makes no spans. Leaves which spans to `trace`, and where
//! the monitor is to `collector`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lepton_domain::ids::InstanceId;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::log::Lines;
use super::trace::{Scope, attribute};
use lane::Lane;
use lepton_core::context::Context;
use lepton_core::metrics::{Counter, Metrics};

pub(super) mod lane;
#[cfg(test)]
mod tests;

/// The lane to a receiver that is not of the mesh.
const COLLECTOR: &str = "collector";
/// How long a finished span waits for company.
const BATCH_DELAY: Duration = Duration::from_millis(250);
/// Spans of one message.
const BATCH_SPANS_MAX: usize = 512;
/// How many finished spans may wait to be batched; beyond that they are dropped.
const QUEUE_SPANS_MAX: usize = 8_192;
/// How long the last spans may take when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the last lines of the log may take then.
const LINES_TIMEOUT: Duration = Duration::from_secs(1);

/// A span that has ended, and the service that made it.
#[derive(Debug)]
pub(super) struct Finished {
    pub span: Span,
    pub scope: Option<Arc<Scope>>,
}

/// Takes finished spans. Never blocks.
#[derive(Clone, Debug)]
pub(super) struct Exporter {
    queue: mpsc::Sender<Finished>,
    dropped: Counter,
}

impl Exporter {
    pub(super) fn send(&self, finished: Finished) {
        if self.queue.try_send(finished).is_err() {
            self.dropped.inc();
        }
    }
}

/// Keeps the export of traces going; [`Guard::finish`] sends the last ones. The last lines of the log are written when
/// it is dropped, however that comes about.
#[derive(Debug)]
#[must_use = "the last spans are sent by finish"]
pub struct Guard {
    exporter: Exporter,
    /// Where the mesh's own receivers are, the best first.
    monitors: Arc<watch::Sender<Vec<String>>>,
    closing: CancellationToken,
    sending: JoinSet<()>,
    following: JoinSet<()>,
    lines: Lines,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.lines.flush(LINES_TIMEOUT);
    }
}

impl Guard {
    pub(super) fn exporter(&self) -> Exporter {
        self.exporter.clone()
    }

    /// Runs `find` as long as the export goes on: it keeps the addresses of the mesh's own receivers current, the best
    /// first. Until there are some, spans wait or are dropped.
    pub fn follow<F>(&mut self, find: impl FnOnce(Arc<watch::Sender<Vec<String>>>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.following.spawn(find(self.monitors.clone()));
    }

    /// Sends what is still queued and ends the export; takes 3 s at most.
    pub async fn finish(mut self) {
        self.closing.cancel();
        let flushed = async { while self.sending.join_next().await.is_some() {} };
        // Telemetry that is lost at the end is no failure of the service.
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, flushed).await;
    }
}

/// Starts the export to the mesh, and to `collector` if there is one. Needs a runtime.
pub(super) fn start(
    service: &str,
    instance: &InstanceId,
    collector: Option<lane::Target>,
    context: &Context,
    lines: Lines,
) -> Guard {
    let closing = CancellationToken::new();
    let monitors = Arc::new(watch::Sender::new(Vec::new()));
    let mesh = lane::Target::found(monitors.subscribe());
    let mut sending = JoinSet::new();
    let mut lanes = Vec::new();
    for (name, target) in [("mesh", Some(mesh)), (COLLECTOR, collector)] {
        let Some(target) = target else { continue };
        let (lane, run) = lane::open(name, target, context, closing.clone());
        sending.spawn(run);
        lanes.push(lane);
    }
    let (queue, finished) = mpsc::channel(QUEUE_SPANS_MAX);
    let whole = Arc::new(Scope {
        service: service.to_owned(),
        instance: instance.to_string(),
    });
    sending.spawn(batch(finished, whole, lanes, closing.clone()));
    Guard {
        exporter: Exporter {
            queue,
            dropped: dropped(&context.metrics, "queue"),
        },
        monitors,
        closing,
        sending,
        following: JoinSet::new(),
        lines,
    }
}

/// The counter of spans that were lost here.
fn dropped(metrics: &Metrics, place: &str) -> Counter {
    let help = "Spans that were not exported, by where they were lost";
    metrics.counter("lepton_telemetry_spans_dropped_total", help, &[("place", place)])
}

/// Gathers spans and hands them to each lane, until the end.
async fn batch(
    mut finished: mpsc::Receiver<Finished>,
    whole: Arc<Scope>,
    lanes: Vec<Lane>,
    closing: CancellationToken,
) {
    let mut gathered = Vec::new();
    loop {
        let ends = tokio::select! {
            biased;
            () = closing.cancelled() => true,
            count = finished.recv_many(&mut gathered, 1) => count == 0,
        };
        if !ends {
            let more = async { while gathered.len() < BATCH_SPANS_MAX && fill(&mut finished, &mut gathered).await {} };
            tokio::select! {
                () = more => {}
                () = tokio::time::sleep(BATCH_DELAY) => {}
                () = closing.cancelled() => {}
            }
        } else {
            while let Ok(last) = finished.try_recv() {
                gathered.push(last);
            }
        }
        while !gathered.is_empty() {
            let rest = gathered.split_off(gathered.len().min(BATCH_SPANS_MAX));
            let batch = Arc::new(message(std::mem::replace(&mut gathered, rest), &whole));
            lanes.iter().for_each(|lane| lane.send(&batch));
        }
        if ends {
            return;
        }
    }
}

/// Adds what has come; whether more can.
async fn fill(finished: &mut mpsc::Receiver<Finished>, gathered: &mut Vec<Finished>) -> bool {
    let room = BATCH_SPANS_MAX - gathered.len();
    finished.recv_many(gathered, room).await > 0
}

/// A batch for the lanes.
#[derive(Debug)]
pub(super) struct Batch {
    pub request: ExportTraceServiceRequest,
    pub spans: u64,
}

/// Spans grouped by the service that made them: several may share the process, and each is a resource of its own.
fn message(finished: Vec<Finished>, whole: &Arc<Scope>) -> Batch {
    let count = finished.len();
    let mut groups: BTreeMap<(String, String), Vec<Span>> = BTreeMap::new();
    for Finished { span, scope } in finished {
        let scope = scope.as_ref().unwrap_or(whole);
        let group = (scope.service.clone(), scope.instance.clone());
        groups.entry(group).or_default().push(span);
    }
    let resource_spans = groups.into_iter().map(|((service, instance), spans)| ResourceSpans {
        resource: Some(resource(service, instance)),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope {
                name: "lepton".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                ..InstrumentationScope::default()
            }),
            spans,
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    });
    Batch {
        request: ExportTraceServiceRequest {
            resource_spans: resource_spans.collect(),
        },
        spans: u64::try_from(count).unwrap_or(u64::MAX),
    }
}

fn resource(service: String, instance: String) -> Resource {
    Resource {
        attributes: vec![
            attribute("service.namespace", "lepton".to_owned()),
            attribute("service.name", service),
            attribute("service.instance.id", instance),
            attribute("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ],
        ..Resource::default()
    }
}
