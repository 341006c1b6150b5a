//! Lines carry what they are promised to, in both forms.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tracing::{Dispatch, info, info_span, warn};
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::{TraceConfig, scope, trace};
use lepton_core::clock::Clock;
use lepton_core::metrics::Metrics;
use lepton_core::random::Random;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the lines that `body` logs in this form under this filter.
fn logged(filter: &str, format: LogFormat, body: impl FnOnce()) -> String {
    let kept = Kept::default();
    let lines = Lines::start(kept.clone(), &Metrics::new(), |_| {});
    let config = LogConfig {
        filter: filter.to_owned(),
        format,
    };
    let sampler = trace::Sampler::new(&TraceConfig::default(), Clock::system());
    let subscriber = tracing_subscriber::registry()
        .with(trace::Layer::new(Random::seeded(1), sampler, None))
        .with(Layer::new(format, lines.clone()))
        .with(env_filter(&config));
    tracing::dispatcher::with_default(&Dispatch::new(subscriber), body);
    lines.flush(Duration::from_secs(10));
    String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
}

/// The first span of a request.
fn request() -> tracing::Span {
    trace::Head::default().span(|| info_span!("request"))
}

fn say_one_thing() {
    scope("gateway", &"gateway-1".into()).in_scope(|| {
        request().in_scope(|| info!(task = "a b", count = 3, "took\nit"));
    });
}

#[test]
fn text_names_service_message_fields_and_trace() {
    let line = logged("info", LogFormat::Text, say_one_thing);
    let expected = "Z INFO  gateway lepton_telemetry::log::tests: took\\nit count=3 task=\"a b\" trace_id=";
    assert!(line.contains(expected), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");
}

#[test]
fn json_has_every_part_under_its_name() {
    let line: Value = serde_json::from_str(&logged("info", LogFormat::Json, say_one_thing)).unwrap();
    assert_eq!(
        (&line["message"], &line["task"], &line["count"]),
        (&"took\nit".into(), &"a b".into(), &3.into())
    );
    assert_eq!(
        (&line["service"], &line["instance"], &line["level"]),
        (&"gateway".into(), &"gateway-1".into(), &"INFO".into())
    );
    assert_eq!(
        (
            line["trace_id"].as_str().unwrap().len(),
            line["span_id"].as_str().unwrap().len()
        ),
        (32, 16)
    );
}

#[test]
fn the_filter_holds_for_events_and_trace_ids_remain() {
    let lines = logged("warn", LogFormat::Text, || {
        request().in_scope(|| {
            info!("too low");
            warn!("seen");
        });
    });
    assert!(
        lines.contains("seen trace_id=") && !lines.contains("too low"),
        "{lines}"
    );
}
