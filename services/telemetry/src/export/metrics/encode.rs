//! The registry's families as OTLP.
//!
//! Promises: a counter is a monotonic sum, a gauge a gauge, a histogram a histogram with its own bounds, all cumulative
//! since the process began, under the name that a scrape shows.
//!
//! See <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/>.

use lepton_core::metrics::model::{self, MetricFamily, MetricType};
use lepton_domain::time::Timestamp;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;

/// Encodes all families as one message.
pub(super) fn request(
    families: Vec<MetricFamily>,
    resource: &opentelemetry_sdk::Resource,
    since: Timestamp,
    now: Timestamp,
) -> ExportMetricsServiceRequest {
    let time = Times {
        since: nanos(since),
        now: nanos(now),
    };
    let resource = ResourceAttributesWithSchema::from(resource);
    let metrics = families.into_iter().filter_map(|family| time.metric(family));
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: resource.attributes.0,
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(InstrumentationScope {
                    name: "lepton".to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    ..InstrumentationScope::default()
                }),
                metrics: metrics.collect(),
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

fn nanos(time: Timestamp) -> u64 {
    time.as_micros().saturating_mul(1_000)
}

/// The time that figures are of.
struct Times {
    since: u64,
    now: u64,
}

impl Times {
    fn metric(&self, family: MetricFamily) -> Option<Metric> {
        let (kind, series) = (family.r#type(), family.metric.into_iter());
        let data = match kind {
            MetricType::Counter => metric::Data::Sum(Sum {
                data_points: series.filter_map(|one| self.number(one)).collect(),
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
                is_monotonic: true,
            }),
            MetricType::Gauge => metric::Data::Gauge(Gauge {
                data_points: series.filter_map(|one| self.number(one)).collect(),
            }),
            MetricType::Histogram => metric::Data::Histogram(Histogram {
                data_points: series.filter_map(|one| self.histogram(one)).collect(),
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
            }),
            // The mesh has no others.
            _ => return None,
        };
        Some(Metric {
            name: family.name,
            description: family.help,
            data: Some(data),
            ..Metric::default()
        })
    }

    fn number(&self, series: model::Metric) -> Option<NumberDataPoint> {
        let counted = series.counter.map(|counter| counter.value);
        let value = counted.or_else(|| series.gauge.map(|gauge| gauge.value))?;
        Some(NumberDataPoint {
            attributes: attributes(series.label),
            start_time_unix_nano: self.since,
            time_unix_nano: self.now,
            value: Some(number_data_point::Value::AsDouble(value)),
            ..NumberDataPoint::default()
        })
    }

    fn histogram(&self, series: model::Metric) -> Option<HistogramDataPoint> {
        let histogram = series.histogram?;
        let (mut explicit_bounds, mut bucket_counts, mut below) = (Vec::new(), Vec::new(), 0);
        for bucket in &histogram.bucket {
            // The last one has no bound.
            if bucket.upper_bound < f64::MAX {
                explicit_bounds.push(bucket.upper_bound);
                bucket_counts.push(bucket.cumulative_count.saturating_sub(below));
                below = bucket.cumulative_count;
            }
        }
        bucket_counts.push(histogram.sample_count.saturating_sub(below));
        Some(HistogramDataPoint {
            attributes: attributes(series.label),
            start_time_unix_nano: self.since,
            time_unix_nano: self.now,
            count: histogram.sample_count,
            sum: Some(histogram.sample_sum),
            explicit_bounds,
            bucket_counts,
            ..HistogramDataPoint::default()
        })
    }
}

fn attributes(labels: Vec<model::LabelPair>) -> Vec<KeyValue> {
    let pair = |label: model::LabelPair| KeyValue {
        key: label.name,
        value: Some(AnyValue {
            value: Some(Value::StringValue(label.value)),
        }),
        ..KeyValue::default()
    };
    labels.into_iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use lepton_core::metrics::Metrics;

    use super::*;

    #[test]
    fn families_keep_names_help_labels_and_values() {
        let metrics = Metrics::new();
        metrics
            .counter("lepton_requests_total", "Requests.", &[("code", "OK")])
            .inc_by(3);
        metrics.gauge("lepton_slots", "Slots", &[]).set(2.5);
        let calls = metrics.histogram("lepton_call_seconds", "Calls", &[], &[0.5, 1.0]);
        [0.25, 0.75, 0.75, 4.0]
            .iter()
            .for_each(|seconds| calls.observe(*seconds));
        let (since, now) = (Timestamp::from_micros(1), Timestamp::from_micros(2));
        let resource = opentelemetry_sdk::Resource::builder_empty().build();
        let request = request(metrics.families().unwrap(), &resource, since, now);
        let sent = &request.resource_metrics[0].scope_metrics[0].metrics;
        let find = |name: &str| sent.iter().find(|metric| metric.name == name).unwrap();

        let requests = find("lepton_requests_total");
        assert_eq!(requests.description, "Requests.");
        let Some(metric::Data::Sum(sum)) = &requests.data else {
            panic!("{requests:?}")
        };
        let point = &sum.data_points[0];
        assert!(sum.is_monotonic);
        assert_eq!(point.value, Some(number_data_point::Value::AsDouble(3.0)));
        assert_eq!(point.attributes[0].key, "code");
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1_000, 2_000));

        let Some(metric::Data::Gauge(slots)) = &find("lepton_slots").data else {
            panic!("{sent:?}")
        };
        assert_eq!(
            slots.data_points[0].value,
            Some(number_data_point::Value::AsDouble(2.5))
        );

        let calls = find("lepton_call_seconds");
        let Some(metric::Data::Histogram(calls)) = &calls.data else {
            panic!("{calls:?}")
        };
        let point = &calls.data_points[0];
        assert_eq!((point.count, point.sum), (4, Some(5.75)));
        assert_eq!(point.explicit_bounds, [0.5, 1.0]);
        assert_eq!(point.bucket_counts, [1, 2, 1]);
    }
}
