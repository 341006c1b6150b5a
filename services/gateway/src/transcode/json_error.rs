//! Errors of a JSON text, in words that help.
//!
//! Promises: every error has its line and column in the body. Leaves the wire form to [`lepton_core::error`].

use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::text::excerpt;
use serde_json::error::Category;

#[cfg(test)]
mod tests;

/// An error of a JSON text, at its position in the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {kind}", position.line, position.column)]
pub struct JsonBodyError {
    position: Position,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Kind {
    /// A word that many programs write and JSON does not have.
    #[error("JSON has no NaN or Infinity; write null for a missing value")]
    NotFinite,
    #[error("the body is not JSON: {0}")]
    Syntax(String),
    #[error("there is no field {0:?}")]
    UnknownField(String),
    /// JSON that does not fit its message.
    #[error("{0}")]
    Unfit(String),
}

impl From<JsonBodyError> for ApiError {
    fn from(error: JsonBodyError) -> Self {
        let message = error.to_string();
        let JsonBodyError { position, kind } = error;
        let api_error = match kind {
            Kind::NotFinite | Kind::Syntax(_) => ApiError::new(Reason::InvalidJson, message),
            Kind::UnknownField(field) => ApiError::new(Reason::UnknownField, message).with("field", field),
            Kind::Unfit(_) => ApiError::new(Reason::FieldInvalid, message),
        };
        at(api_error, position)
    }
}

impl JsonBodyError {
    /// A text that is not JSON. `rest` is the text from the position on.
    pub fn syntax(why: &str, position: Position, rest: &[u8]) -> Self {
        let word = rest.strip_prefix(b"-").unwrap_or(rest);
        let not_finite = [&b"NaN"[..], b"nan", b"Infinity", b"inf"];
        let kind = match not_finite.iter().any(|known| word.starts_with(known)) {
            true => Kind::NotFinite,
            false => Kind::Syntax(why.to_owned()),
        };
        Self { position, kind }
    }

    /// The error that serde_json met in `text`, which begins at `base` in the body.
    pub fn from_serde(error: &serde_json::Error, text: &[u8], base: Position) -> Self {
        let inner = Position {
            line: error.line().max(1),
            column: error.column().max(1),
        };
        let position = base.plus(inner);
        let full = error.to_string();
        let why = full.split(" at line ").next().unwrap_or(&full);
        match error.classify() {
            Category::Data => Self {
                position,
                kind: Kind::of_data(why),
            },
            Category::Syntax | Category::Eof | Category::Io => Self::syntax(why, position, from_position(text, inner)),
        }
    }
}

impl Kind {
    fn of_data(why: &str) -> Self {
        // The first is prost-reflect's wording, the second serde's.
        let reflected = why.strip_prefix("unrecognized field name ");
        let reflected = reflected.map(|name| name.trim_matches(['\'', '`']));
        let typed = || {
            Some(
                why.strip_prefix("unknown field `")?
                    .split('`')
                    .next()
                    .unwrap_or_default(),
            )
        };
        match reflected.or_else(typed) {
            Some(field) => Self::UnknownField(excerpt(field).into_owned()),
            None => Self::Unfit(why.to_owned()),
        }
    }
}

/// A position in a text; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in bytes.
    pub column: usize,
}

impl Position {
    /// The beginning of a text.
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

/// Adds line and column to an error.
pub fn at(error: ApiError, position: Position) -> ApiError {
    error
        .with("line", position.line.to_string())
        .with("column", position.column.to_string())
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
