//! Validation of tensors: their content against their dimensions.
//!
//! Promises: a claim is compared with the bytes that are there before memory is taken for it; nothing outside the
//! file is ever named as a tensor's content.

use super::element::{Element, Stored};
use super::invalid_model::InvalidModel;
use super::read::{Limits, integers, text};
use super::wire::{Content, Fields, varint};
use crate::names::quoted;

/// The value of `TensorProto.data_location` for content in another file.
const EXTERNAL: u64 = 1;

/// The declaration of a `TensorProto`, and the size of its content.
#[derive(Debug, Default)]
struct Claim<'a> {
    name: &'a str,
    dims: Vec<i64>,
    code: i32,
    raw_bytes: Option<u64>,
    floats: u64,
    int32s: u64,
    strings: u64,
    int64s: u64,
    doubles: u64,
    uint64s: u64,
    external: bool,
    location: Option<&'a str>,
}

/// Checks a `TensorProto` and returns its name. `position` stands for a missing name in an [`InvalidModel`].
pub(super) fn check<'a>(message: &'a [u8], position: &str, limits: &mut Limits) -> Result<&'a str, InvalidModel> {
    let claim = Claim::of(message, limits)?;
    let shown = if claim.name.is_empty() {
        position.to_owned()
    } else {
        quoted(claim.name)
    };
    claim.check(&shown)?;
    Ok(claim.name)
}

impl<'a> Claim<'a> {
    fn of(message: &'a [u8], limits: &mut Limits) -> Result<Self, InvalidModel> {
        let mut claim = Claim::default();
        for field in Fields::of(message) {
            match field? {
                (1, content) => integers(content, &mut claim.dims, limits)?,
                (2, Content::Varint(code)) => claim.code = i32::try_from(code).unwrap_or(-1),
                (4, content) => claim.floats += fixed(content, 4)?,
                (5, content) => claim.int32s += varints(content)?,
                (6, Content::Bytes(_)) => claim.strings += 1,
                (7, content) => claim.int64s += varints(content)?,
                (8, Content::Bytes(name)) => claim.name = text(name)?,
                (9, Content::Bytes(raw)) => claim.raw_bytes = Some(raw.len() as u64),
                (10, content) => claim.doubles += fixed(content, 8)?,
                (11, content) => claim.uint64s += varints(content)?,
                (13, Content::Bytes(entry)) => {
                    claim.external = true;
                    claim.location = location(entry)?.or(claim.location);
                }
                (14, Content::Varint(location)) => claim.external |= location == EXTERNAL,
                // Segments, which nobody writes, and prose.
                (3 | 12, _) => {}
                (1..=14, _) => return Err(InvalidModel::broken()),
                _ => {}
            }
        }
        Ok(claim)
    }

    fn check(&self, shown: &str) -> Result<(), InvalidModel> {
        if self.external {
            let location = self.location.map_or_else(|| "an unnamed file".to_owned(), quoted);
            return Err(InvalidModel::new(format!(
                "the content of tensor {shown} lies outside, in {location}; save the model as one file"
            )));
        }
        let Some(element) = Element::of_code(self.code) else {
            return Err(InvalidModel::new(format!(
                "tensor {shown} has element type {}, which is unknown",
                self.code
            )));
        };
        let Some(count) = count(&self.dims) else {
            return Err(InvalidModel::new(format!(
                "tensor {shown} has dimensions {}, which are not possible",
                dimensions(&self.dims)
            )));
        };
        let (claimed, found, unit) = match self.raw_bytes {
            Some(_) if element == Element::String => {
                return Err(InvalidModel::new(format!(
                    "tensor {shown} is of text, but has raw data"
                )));
            }
            Some(bytes) => (element.bytes(count), bytes, "bytes"),
            None => (element.entries(count), self.stored(element.stored()), "values"),
        };
        if claimed != found {
            return Err(InvalidModel::new(format!(
                "tensor {shown} claims {claimed} {unit} by its dimensions {}, but holds {found}",
                dimensions(&self.dims)
            )));
        }
        Ok(())
    }

    fn stored(&self, stored: Stored) -> u64 {
        match stored {
            Stored::Floats => self.floats,
            Stored::Int32s => self.int32s,
            Stored::Strings => self.strings,
            Stored::Int64s => self.int64s,
            Stored::Doubles => self.doubles,
            Stored::Uint64s => self.uint64s,
        }
    }
}

/// Number of elements of these dimensions.
fn count(dims: &[i64]) -> Option<u64> {
    dims.iter()
        .try_fold(1_u64, |count, &dim| count.checked_mul(u64::try_from(dim).ok()?))
}

/// Dimensions for a message.
fn dimensions(dims: &[i64]) -> String {
    let shown: Vec<String> = dims.iter().take(8).map(i64::to_string).collect();
    let more = if dims.len() > 8 { ", ..." } else { "" };
    format!("[{}{more}]", shown.join(", "))
}

/// Number of values of a fixed size in a field, packed or alone.
fn fixed(content: Content<'_>, bytes: usize) -> Result<u64, InvalidModel> {
    match content {
        Content::Fixed32 if bytes == 4 => Ok(1),
        Content::Fixed64 if bytes == 8 => Ok(1),
        Content::Bytes(packed) if packed.len().is_multiple_of(bytes) => Ok((packed.len() / bytes) as u64),
        _ => Err(InvalidModel::broken()),
    }
}

/// Number of integers of variable length in a field, packed or alone.
fn varints(content: Content<'_>) -> Result<u64, InvalidModel> {
    match content {
        Content::Varint(_) => Ok(1),
        Content::Bytes(mut packed) => {
            let mut count = 0;
            while !packed.is_empty() {
                varint(&mut packed)?;
                count += 1;
            }
            Ok(count)
        }
        _ => Err(InvalidModel::broken()),
    }
}

/// The path that an entry of `external_data` gives, if it does.
fn location(entry: &[u8]) -> Result<Option<&str>, InvalidModel> {
    let (mut key, mut value) = ("", "");
    for field in Fields::of(entry) {
        match field? {
            (1, Content::Bytes(bytes)) => key = text(bytes)?,
            (2, Content::Bytes(bytes)) => value = text(bytes)?,
            _ => {}
        }
    }
    Ok((key == "location").then_some(value))
}
