//! What is wrong with a JSON text, in words that help.
//!
//! Promises: every fault carries line and column. Leaves the wire form of faults to `mesh::error`.

use lepton_domain::reason::{Fault, Reason};
use serde_json::error::Category;

#[cfg(test)]
mod tests;

/// What to do about words that many programs write and JSON does not have.
const NOT_FINITE_ADVICE: &str = "JSON has no NaN or Infinity; write null for a missing value";

/// A position in a text; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in bytes.
    pub column: usize,
}

impl Position {
    /// Where a text begins.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The position behind this text, which begins here.
    pub fn behind(self, text: &[u8]) -> Self {
        match text.iter().rposition(|byte| *byte == b'\n') {
            None => Self {
                column: self.column + text.len(),
                ..self
            },
            Some(last) => {
                let lines = text[..=last].iter().filter(|byte| **byte == b'\n').count();
                Self {
                    line: self.line + lines,
                    column: text.len() - last,
                }
            }
        }
    }

    /// The position in the whole of a position in a text that begins here.
    pub fn plus(self, inner: Self) -> Self {
        let column = if inner.line == 1 {
            self.column + inner.column - 1
        } else {
            inner.column
        };
        Self {
            line: self.line + inner.line - 1,
            column,
        }
    }
}

/// Adds line and column to a fault.
pub fn at(fault: Fault, position: Position) -> Fault {
    fault
        .with("line", position.line.to_string())
        .with("column", position.column.to_string())
}

/// Text that is not JSON. `rest` is the text from the position on.
pub fn invalid_json(why: &str, position: Position, rest: &[u8]) -> Fault {
    let word = rest.strip_prefix(b"-").unwrap_or(rest);
    let known = [&b"NaN"[..], b"nan", b"Infinity", b"inf"]
        .iter()
        .any(|known| word.starts_with(known));
    let Position { line, column } = position;
    let message = match known {
        true => format!("line {line}, column {column}: {NOT_FINITE_ADVICE}"),
        false => format!("line {line}, column {column}: the body is not JSON: {why}"),
    };
    at(Fault::new(Reason::InvalidJson, message), position)
}

/// The fault of an error that serde_json met in `text`, which begins at `base`.
pub fn json_fault(error: &serde_json::Error, text: &[u8], base: Position) -> Fault {
    let inner = Position {
        line: error.line().max(1),
        column: error.column().max(1),
    };
    let position = base.plus(inner);
    let full = error.to_string();
    let why = full.split(" at line ").next().unwrap_or(&full);
    match error.classify() {
        Category::Data => data_fault(why, position),
        Category::Syntax | Category::Eof | Category::Io => invalid_json(why, position, from_position(text, inner)),
    }
}

/// JSON that does not fit its message.
fn data_fault(why: &str, position: Position) -> Fault {
    let Position { line, column } = position;
    let quoted = |prefix: &str| {
        why.strip_prefix(prefix)
            .map(|rest| rest.trim_matches(['\'', '`']).to_owned())
    };
    // The first is prost-reflect's wording, the second serde's.
    let unknown = quoted("unrecognized field name ")
        .or_else(|| quoted("unknown field ").map(|rest| rest.split('`').next().unwrap_or_default().to_owned()));
    let fault = match unknown {
        Some(field) => {
            let message = format!("line {line}, column {column}: there is no field {field:?}");
            Fault::new(Reason::UnknownField, message).with("field", field)
        }
        None => Fault::new(Reason::FieldInvalid, format!("line {line}, column {column}: {why}")),
    };
    at(fault, position)
}

/// The text from a position on, back to the sign or the start of the word: serde_json points at or behind its first byte.
fn from_position(text: &[u8], position: Position) -> &[u8] {
    let mut start = 0;
    for _ in 1..position.line {
        start += text[start..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(text.len() - start, |at| at + 1);
    }
    let mut start = (start + position.column - 1).min(text.len());
    while start > 0 && text[start - 1].is_ascii_alphabetic() {
        start -= 1;
    }
    &text[start..]
}
