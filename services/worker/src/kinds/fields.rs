//! Decoding of single fields of a task's input.
//!
//! Promises: every error names the field and the values that it takes. Leaves rows to [`rows`](super::rows).

use bytes::Bytes;
use lepton_domain::task::Encoding;
use lepton_domain::text::excerpt;
use lepton_proto::convert::value::read::Reader;

use crate::error::{Error, InputError};
use crate::kind::Input;

/// The content of an input that has to be JSON.
pub(super) fn json_content(input: Input) -> Result<Bytes, InputError> {
    if input.encoding == Encoding::Json {
        return Ok(input.content);
    }
    let message = "the input is binary; it takes JSON with rows in `data`, or the name of an upload in `blob`";
    Err(InputError::NotJson(message.to_owned()))
}

/// The error of a field that the input does not have.
pub(super) fn unknown(name: &str) -> Error {
    InputError::UnknownField { name: name.to_owned() }.into()
}

/// The error of a field that is given twice.
pub(super) fn twice(field: &'static str) -> Error {
    InputError::field(field, "rows are given twice").into()
}

/// Decodes a text.
pub(super) fn text(reader: &mut Reader<'_>, field: &'static str) -> Result<String, Error> {
    match reader.peek()? {
        b'"' => Ok(reader.text()?.into_owned()),
        _ => Err(InputError::field(field, "not a text").into()),
    }
}

/// Decodes one of the given texts.
pub(super) fn one_of(reader: &mut Reader<'_>, field: &'static str, known: &[&str]) -> Result<String, Error> {
    let given = text(reader, field)?;
    if known.contains(&&*given) {
        return Ok(given);
    }
    let shown = excerpt(&given);
    Err(InputError::field(field, format!("{shown:?} is not {}", known.join(" or "))).into())
}

/// Decodes a list of names of columns.
pub(super) fn names(reader: &mut Reader<'_>, field: &'static str) -> Result<Vec<String>, Error> {
    if reader.peek()? != b'[' {
        return Err(InputError::field(field, "not a list of column names").into());
    }
    reader.open(1)?;
    let mut names = Vec::new();
    while reader.element(b']')? {
        names.push(text(reader, field)?);
    }
    Ok(names)
}

/// Decodes a number.
pub(super) fn number(reader: &mut Reader<'_>, field: &'static str) -> Result<f64, Error> {
    match reader.peek()? {
        b'-' | b'0'..=b'9' => Ok(reader.number()?),
        _ => Err(InputError::field(field, "not a number").into()),
    }
}

/// Decodes a number that `fits`; `takes` describes such numbers.
pub(super) fn number_within(
    reader: &mut Reader<'_>,
    field: &'static str,
    fits: impl Fn(f64) -> bool,
    takes: &str,
) -> Result<f64, Error> {
    let value = number(reader, field)?;
    if fits(value) {
        return Ok(value);
    }
    Err(InputError::field(field, format!("is {value}; it takes {takes}")).into())
}

/// Decodes a whole number within bounds.
pub(super) fn whole_number(reader: &mut Reader<'_>, field: &'static str, least: f64, most: f64) -> Result<f64, Error> {
    let fits = |value: f64| value.fract() == 0.0 && (least..=most).contains(&value);
    number_within(reader, field, fits, &format!("a whole number from {least} to {most}"))
}

/// Decodes a truth value.
pub(super) fn boolean(reader: &mut Reader<'_>, field: &'static str) -> Result<bool, Error> {
    match reader.peek()? {
        b't' => Ok(reader.word("true").map(|()| true)?),
        b'f' => Ok(reader.word("false").map(|()| false)?),
        _ => Err(InputError::field(field, "not true or false").into()),
    }
}
