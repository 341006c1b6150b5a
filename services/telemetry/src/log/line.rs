//! The two forms of a log line.
//!
//! Promises: one line, whatever the values hold. Leaves writing it to `log`.

use std::fmt::{self, Write};

use serde_json::{Map, Value};
use tracing::Event;
use tracing::field::{Field, Visit};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::trace::SpanState;

/// `TIME LEVEL service target: message key=value trace_id=...`
pub(super) fn text(event: &Event<'_>, state: &SpanState) -> String {
    let metadata = event.metadata();
    let mut fields = Fields::default();
    event.record(&mut fields);
    let mut line = format!("{} {:5} ", time(), metadata.level());
    if let Some(scope) = &state.scope {
        line.extend([scope.service.as_str(), " "]);
    }
    line.extend([metadata.target(), ": ", &fields.message.replace('\n', "\\n")]);
    for (name, value) in &fields.others {
        let shown = match value {
            Value::String(text) if !text.contains([' ', '"', '\n', '=']) && !text.is_empty() => text.clone(),
            // Quoted and escaped.
            other => other.to_string(),
        };
        line.extend([" ", name, "=", &shown]);
    }
    if let Some(context) = &state.context {
        line.extend([" trace_id=", &context.trace_id()]);
    }
    line.push('\n');
    line
}

/// One object with `time`, `level`, `service`, `instance`, `target`, `message`, `trace_id`, `span_id` and the fields.
pub(super) fn json(event: &Event<'_>, state: &SpanState) -> String {
    let metadata = event.metadata();
    let mut fields = Fields::default();
    event.record(&mut fields);
    let mut object = fields.others;
    let mut put = |name: &str, value: String| object.insert(name.to_owned(), Value::String(value));
    put("time", time());
    put("level", metadata.level().to_string());
    put("target", metadata.target().to_owned());
    put("message", fields.message);
    if let Some(scope) = &state.scope {
        put("service", scope.service.clone());
        put("instance", scope.instance.clone());
    }
    if let Some(context) = &state.context {
        put("trace_id", context.trace_id());
        put("span_id", context.span_id());
    }
    let mut line = Value::Object(object).to_string();
    line.push('\n');
    line
}

/// The wall clock, RFC 3339 in UTC. Read by the library, as it also formats it.
fn time() -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.others.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing into a string cannot fail.
            let _ = write!(self.message, "{value:?}");
        } else {
            self.put(field, Value::String(format!("{value:?}")));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            self.put(field, value.into());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}
