//! The resource that records belong to: a service and its instance.
//!
//! Promises: where several services share a process, each is a resource of its own, although the SDK knows one for all.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry::{KeyValue, Value};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::SpanData;

use crate::trace::{SCOPE, Scope};

/// The resource of a service, with what `OTEL_RESOURCE_ATTRIBUTES` adds.
pub(super) fn of(service: &str, instance: &str) -> Resource {
    Resource::builder_empty()
        .with_detector(Box::new(EnvResourceDetector::new()))
        .with_attributes([
            KeyValue::new("service.namespace", "lepton"),
            KeyValue::new("service.name", service.to_owned()),
            KeyValue::new("service.instance.id", instance.to_owned()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ])
        .build()
}

/// The resource of a whole scope.
pub(super) fn of_scope(scope: &Scope) -> Resource {
    of(&scope.service, &scope.instance)
}

/// The resource of a tracer whose exporters know better.
pub(super) fn none() -> Resource {
    Resource::builder_empty().build()
}

/// Spans by the service that made them, as [`Scope::attribute`] has noted it; the others are of the whole process.
pub(super) fn by_service(spans: Vec<SpanData>, whole: &Scope) -> BTreeMap<(String, String), Vec<SpanData>> {
    let mut groups: BTreeMap<(String, String), Vec<SpanData>> = BTreeMap::new();
    for mut span in spans {
        let noted = span.attributes.iter().position(|pair| pair.key.as_str() == SCOPE);
        let noted = noted.map(|at| span.attributes.remove(at).value);
        let group = match &noted {
            Some(Value::String(scope)) => scope.as_str().split_once('\n'),
            _ => None,
        };
        let (service, instance) = group.unwrap_or((&whole.service, &whole.instance));
        let group = (service.to_owned(), instance.to_owned());
        groups.entry(group).or_default().push(span);
    }
    groups
}

/// Spans as OTLP sends them.
pub(super) fn spans(spans: Vec<SpanData>, whole: &Arc<Scope>) -> Vec<ResourceSpans> {
    let groups = by_service(spans, whole).into_iter();
    groups
        .flat_map(|((service, instance), spans)| {
            let resource = ResourceAttributesWithSchema::from(&of(&service, &instance));
            group_spans_by_resource_and_scope(spans, &resource)
        })
        .collect()
}
