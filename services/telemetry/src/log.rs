//! Logs on stderr, one line an event, with the trace id of the request that they belong to.
//!
//! Promises: spans are not formatted until an event needs them; logging never waits for whoever reads stderr. Leaves
//! collecting the lines to whoever runs the process, and log records to a collector to `bridge`.

use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterFn, Targets, filter_fn};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::trace::SpanState;
pub(crate) use bridge::Bridge;
pub(crate) use queue::Lines;

mod bridge;
mod line;
mod queue;
#[cfg(test)]
mod tests;

/// Settings of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// The least level by target, such as `info` or `warn,lepton_mesh=debug`.
    pub filter: String,
    /// The form of a line.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::default(),
        }
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: a JSON object.
    Json,
}

/// The filter of everything: events by the configuration; spans of the mesh, as they carry trace ids whatever is logged,
/// and none of the libraries'.
pub(crate) fn env_filter(config: &LogConfig) -> FilterFn<impl Fn(&Metadata<'_>) -> bool + use<>> {
    let targets = targets(config).unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    filter_fn(move |metadata| {
        if metadata.is_span() {
            *metadata.level() <= Level::INFO && metadata.target().starts_with("lepton")
        } else {
            targets.would_enable(metadata.target(), metadata.level())
        }
    })
}

/// Parses the filter; none if it cannot be understood.
pub(crate) fn targets(config: &LogConfig) -> Option<Targets> {
    config.filter.parse().ok()
}

/// Makes a line of each event.
pub(crate) struct Layer {
    format: LogFormat,
    lines: Lines,
}

impl Layer {
    pub(crate) fn new(format: LogFormat, lines: Lines) -> Self {
        Self { format, lines }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Layer {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let state = state(event, &context);
        self.lines.push(&match self.format {
            LogFormat::Text => line::text(event, &state),
            LogFormat::Json => line::json(event, &state),
        });
    }
}

/// The state of the span that an event happened in.
fn state<S: Subscriber + for<'a> LookupSpan<'a>>(event: &Event<'_>, context: &Context<'_, S>) -> SpanState {
    let span = context.event_span(event);
    span.and_then(|span| span.extensions().get::<SpanState>().cloned())
        .unwrap_or_default()
}
