//! The elements of a tensor as JSON.
//!
//! Promises: integers to their last digit, floats so that they read back as the same; what does not fit the tensor's
//! shape is an error, not a guess. Numbers that are not finite are written as `NaN`, `Infinity` and `-Infinity`, as
//! Triton does and its clients read, though JSON has no such words.

use std::io::Write as _;

use bytes::{Buf as _, Bytes};
use lepton_domain::model::DataType;

use super::error::AnswerError;

#[cfg(test)]
mod tests;

/// Maximum of bytes of elements that are printed as JSON: the text is several times as long.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// Appends the list of a tensor's elements. `name` and `count` are the tensor's.
pub fn elements(
    name: &str,
    datatype: DataType,
    count: usize,
    content: &Bytes,
    out: &mut Vec<u8>,
) -> Result<(), AnswerError> {
    if content.len() > BYTES_MAX {
        return Err(AnswerError::TooLarge {
            tensor: name.to_owned(),
            bytes: content.len(),
        });
    }
    match datatype.size_bytes() {
        _ if matches!(datatype, DataType::Fp16 | DataType::Bf16) => {
            let tensor = name.to_owned();
            return Err(AnswerError::BinaryType { tensor, datatype });
        }
        Some(size) if count.checked_mul(size) != Some(content.len()) => return Err(broken(name)),
        _ => {}
    }
    out.push(b'[');
    if datatype == DataType::Bytes {
        texts(name, count, content.clone(), out)?;
    } else {
        numbers(datatype, content.clone(), out);
    }
    out.push(b']');
    Ok(())
}

fn texts(name: &str, count: usize, mut content: Bytes, out: &mut Vec<u8>) -> Result<(), AnswerError> {
    for index in 0..count {
        let length = content.try_get_u32_le().map_err(|_| broken(name))? as usize;
        if length > content.len() {
            return Err(broken(name));
        }
        let bytes = content.split_to(length);
        let text = std::str::from_utf8(&bytes).map_err(|_| AnswerError::NotUtf8 {
            tensor: name.to_owned(),
            index,
        })?;
        if index > 0 {
            out.push(b',');
        }
        quote(text, out);
    }
    if content.is_empty() { Ok(()) } else { Err(broken(name)) }
}

fn numbers(datatype: DataType, mut content: Bytes, out: &mut Vec<u8>) {
    let mut first = true;
    while content.has_remaining() {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        match datatype {
            DataType::Bool => show(content.get_u8() != 0, out),
            DataType::Uint8 => show(content.get_u8(), out),
            DataType::Uint16 => show(content.get_u16_le(), out),
            DataType::Uint32 => show(content.get_u32_le(), out),
            DataType::Uint64 => show(content.get_u64_le(), out),
            DataType::Int8 => show(content.get_i8(), out),
            DataType::Int16 => show(content.get_i16_le(), out),
            DataType::Int32 => show(content.get_i32_le(), out),
            DataType::Int64 => show(content.get_i64_le(), out),
            // With the digits of the double that it is, so that all answers of the mesh tell one number.
            DataType::Fp32 => float(content.get_f32_le().into(), out),
            DataType::Fp64 => float(content.get_f64_le(), out),
            DataType::Bytes | DataType::Fp16 | DataType::Bf16 => {
                unreachable!("the caller has turned these away")
            }
        }
    }
}

fn show(value: impl std::fmt::Display, out: &mut Vec<u8>) {
    write!(out, "{value}").expect("a vector takes all that is written");
}

/// Appends a number: the shortest text that reads back as the same, whole ones without a fraction.
pub fn float(number: f64, out: &mut Vec<u8>) {
    if number.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if number.is_infinite() {
        let word: &[u8] = if number > 0.0 { b"Infinity" } else { b"-Infinity" };
        return out.extend_from_slice(word);
    }
    write!(out, "{number:?}").expect("a vector takes all that is written");
    // Without its fraction a negative zero would read as a whole number, which has no sign.
    if out.ends_with(b".0") && !(number == 0.0 && number.is_sign_negative()) {
        out.truncate(out.len() - 2);
    }
}

/// Appends a text in quotes.
pub fn quote(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a vector takes all that is written");
}

fn broken(name: &str) -> AnswerError {
    let tensor = name.to_owned();
    AnswerError::Misfit { tensor }
}
