//! JSON documents: an array of rows, rows one after another, or one object.
//!
//! Promises: values pass as they are written, so that no digit is lost.

use std::collections::BTreeMap;

use lepton_domain::reason::{ApiError, Reason};
use serde_json::Deserializer;
use serde_json::value::RawValue;

use super::Content;

/// One JSON object that is more than a row.
#[derive(Debug)]
pub(crate) struct Object {
    /// Name of its input, for messages.
    pub name: String,
    /// The object as it is written.
    pub text: String,
    /// Its members.
    pub members: BTreeMap<String, Box<RawValue>>,
}

/// A JSON array.
pub(super) fn array(text: &str) -> serde_json::Result<Box<RawValue>> {
    serde_json::from_str(text)
}

/// The [`Content`] of a text that begins with `{`: one object, or one in each line.
pub(super) fn objects(name: &str, text: String) -> Result<Content, ApiError> {
    let broken = |error: serde_json::Error| {
        let message = format!("{name}: it begins with `{{`, but is neither a request nor rows in JSON: {error}");
        ApiError::new(Reason::InvalidJson, message)
    };
    let rows: Vec<&RawValue> = Deserializer::from_str(&text)
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(broken)?;
    if let [only] = rows[..] {
        let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(only.get()).map_err(broken)?;
        if members.is_empty() || members.values().any(|value| is_nested(value)) {
            let name = name.to_owned();
            return Ok(Content::Object(Object { name, text, members }));
        }
    }
    let rows: Vec<&str> = rows.into_iter().map(RawValue::get).collect();
    let array = RawValue::from_string(format!("[{}]", rows.join(","))).map_err(broken)?;
    Ok(Content::Rows(array))
}

/// Returns true for an array or an object, which no row holds.
fn is_nested(value: &RawValue) -> bool {
    value.get().starts_with(['[', '{'])
}
