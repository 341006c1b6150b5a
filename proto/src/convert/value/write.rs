//! Canonical text of single JSON values.
//!
//! Promises: one text per value. Leaves structure to the caller.

use std::io::Write as _;

use super::INTEGER_MAX;

/// Writes a finite double: the shortest text that reads back as the same, integral ones without a fraction.
///
/// Beyond 2^53 an integer would read as one that cannot be trusted, so those get an exponent.
pub(crate) fn write_number(number: f64, out: &mut Vec<u8>) {
    let start = out.len();
    let written = if number.abs() < 1e16 && number.abs() > INTEGER_MAX as f64 {
        write!(out, "{number:e}")
    } else {
        write!(out, "{number:?}")
    };
    written.expect("a vector takes all that is written");
    if out[start..].ends_with(b".0") {
        out.truncate(out.len() - 2);
    }
}

/// Writes a text in quotes, escaped only where JSON demands it.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut plain_from = 0;
    for (index, byte) in text.bytes().enumerate() {
        let letter = match byte {
            b'"' | b'\\' => byte,
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..=0x1f => b'u',
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[plain_from..index]);
        out.extend_from_slice(&[b'\\', letter]);
        if letter == b'u' {
            write!(out, "{byte:04x}").expect("a vector takes all that is written");
        }
        plain_from = index + 1;
    }
    out.extend_from_slice(&text.as_bytes()[plain_from..]);
    out.push(b'"');
}
