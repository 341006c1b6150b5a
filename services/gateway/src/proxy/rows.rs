//! The body of an Analyze call over REST, decoded while it arrives.
//!
//! Promises: rows go straight into columns in one pass; never a tree of values, never the whole body in memory; every
//! error carries line and column. Leaves what the figures mean to the workers.

use bytes::{Buf as _, BytesMut};
use lepton_domain::reason::ApiError;
use lepton_proto::analysis::v1::{AnalyzeRequest, Table};
use lepton_proto::convert::analysis::TableBuilder;
use lepton_proto::convert::value::JsonError;
use lepton_proto::convert::value::read::Reader;
use lepton_proto::descriptors::pool;
use prost_reflect::{DynamicMessage, ReflectMessage as _};

use self::row::BadRow;
use self::scan::Scan;
use super::error::ProxyError;
use crate::transcode::json_error::{JsonBodyError, Position};
use crate::transcode::request;

mod packed;
mod row;
mod scan;
#[cfg(test)]
mod tests;

/// A decoded body.
#[derive(Debug)]
pub struct Decoded {
    /// Everything but the rows.
    pub request: AnalyzeRequest,
    /// The rows, of `data` or of `table`.
    pub table: Option<Table>,
}

/// A decoder: feed it the body piece by piece, then finish.
#[derive(Debug)]
pub struct Decoder {
    pending: BytesMut,
    /// Position of the first pending byte.
    position: Position,
    scan: Scan,
    next: Next,
    place: ListPosition,
    table: Option<TableBuilder>,
    /// The rows where they came packed.
    packed: Option<Table>,
    request: DynamicMessage,
}

/// The token that is expected next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The brace that opens the body.
    Open,
    /// A field of the body, or its end.
    Field,
    /// The value of the field whose key is pending.
    Value {
        /// Index at which the value may begin.
        start: usize,
        /// The field.
        field: Field,
    },
    /// A row, or the end of the rows.
    Row,
    /// Nothing but space.
    End,
}

/// A field of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// `data`.
    Rows,
    /// `table`.
    Packed,
    /// A small one.
    Other,
}

/// Position in a list, between its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListPosition {
    /// Before the first element.
    First,
    /// Behind an element.
    Behind,
    /// Behind a comma.
    Comma,
}

/// Result of a step on the bytes that have arrived.
enum Step {
    Done,
    Starved,
}

impl Decoder {
    /// A decoder at the start of a body.
    pub fn new() -> Result<Self, ApiError> {
        let descriptor = pool().get_message_by_name("lepton.analysis.v1.AnalyzeRequest");
        let descriptor = descriptor.ok_or(ProxyError::ContractIncomplete("AnalyzeRequest"))?;
        Ok(Self {
            pending: BytesMut::new(),
            position: Position::START,
            scan: Scan::default(),
            next: Next::Open,
            place: ListPosition::First,
            table: None,
            packed: None,
            request: DynamicMessage::new(descriptor),
        })
    }

    /// Takes the next piece of the body.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        self.pending.extend_from_slice(piece);
        while let Step::Done = self.step()? {}
        Ok(())
    }

    /// Ends the body. Fails with NO_ROWS where it had none.
    pub fn finish(mut self) -> Result<Decoded, ApiError> {
        if self.next != Next::End {
            return Err(self.cut_off());
        }
        let table = self.table.take().map(TableBuilder::finish).transpose()?;
        let request = self.request.transcode_to::<AnalyzeRequest>();
        let request = request.map_err(ProxyError::Untyped)?;
        match (table, self.packed) {
            (None, None) => Err(ProxyError::NoRows.into()),
            (Some(_), Some(_)) => Err(ApiError::field(
                "table",
                "the rows are given twice; give `data` or `table`",
            )),
            (table, packed) => Ok(Decoded {
                request,
                table: table.or(packed),
            }),
        }
    }

    fn step(&mut self) -> Result<Step, ApiError> {
        self.skip_space();
        let Some(&first) = self.pending.first() else {
            return Ok(Step::Starved);
        };
        match (self.next, first) {
            (Next::Open, b'{') => Ok(self.enter(Next::Field, ListPosition::First)),
            (Next::Open, _) => Err(self.syntax("the body must be an object, as {\"data\":[...]}")),
            (Next::Value { start, field }, _) => self.value(start, field),
            (Next::End, _) => Err(self.syntax("there is more after the end of the body")),
            (Next::Field | Next::Row, b',') if self.place == ListPosition::Behind => {
                Ok(self.enter(self.next, ListPosition::Comma))
            }
            (Next::Field, b'}') if self.place != ListPosition::Comma => Ok(self.enter(Next::End, ListPosition::First)),
            (Next::Row, b']') if self.place != ListPosition::Comma => Ok(self.enter(Next::Field, ListPosition::Behind)),
            (Next::Field, _) if self.place == ListPosition::Behind => Err(self.syntax("expected ',' or '}'")),
            (Next::Row, _) if self.place == ListPosition::Behind => Err(self.syntax("expected ',' or ']'")),
            (Next::Field, _) => self.key(),
            (Next::Row, _) => self.row(),
        }
    }

    /// Steps over one bracket, brace or comma.
    fn enter(&mut self, next: Next, place: ListPosition) -> Step {
        self.consume(1);
        self.next = next;
        self.place = place;
        Step::Done
    }

    fn key(&mut self) -> Result<Step, ApiError> {
        let Some(colon) = self.scan.find(&self.pending, b":") else {
            return Ok(Step::Starved);
        };
        let field = Reader::new(&self.pending[..=colon]).and_then(|mut reader| {
            Ok(match &*reader.key()? {
                "data" => Field::Rows,
                "table" => Field::Packed,
                _ => Field::Other,
            })
        });
        let field = field.map_err(|error| self.text_error(error))?;
        let start = colon + 1;
        self.next = Next::Value { start, field };
        self.scan = Scan::from(colon + 1);
        Ok(Step::Done)
    }

    fn value(&mut self, start: usize, field: Field) -> Result<Step, ApiError> {
        let space = self.pending[start..].iter().take_while(|byte| is_space(**byte)).count();
        let first = self.pending.get(start + space).copied();
        if (field, first) == (Field::Rows, Some(b'[')) {
            if self.table.is_some() {
                return Err(self.syntax("`data` is given twice"));
            }
            self.table = Some(TableBuilder::new());
            self.consume(start + space);
            return Ok(self.enter(Next::Row, ListPosition::First));
        }
        let Some(end) = self.scan.find(&self.pending, b",]}") else {
            return Ok(Step::Starved);
        };
        if (field, first) == (Field::Packed, Some(b'{')) {
            self.packed(start + space, end)?;
        } else {
            self.small(end)?;
        }
        self.consume(end);
        self.next = Next::Field;
        self.place = ListPosition::Behind;
        Ok(Step::Done)
    }

    /// Takes the packed table that is pending from `start` to `end`.
    fn packed(&mut self, start: usize, end: usize) -> Result<(), ApiError> {
        if self.packed.is_some() {
            return Err(self.syntax("`table` is given twice"));
        }
        let position = self.position.behind(&self.pending[..start]);
        let table = packed::read(&self.pending[start..end], position)?;
        self.packed = Some(table);
        Ok(())
    }

    /// Takes the small field that is pending with its key up to `end`.
    fn small(&mut self, end: usize) -> Result<(), ApiError> {
        let field = [b"{", &self.pending[..end], b"}"].concat();
        // The brace that was put in front moves the first line by one.
        let base = Position {
            column: self.position.column.saturating_sub(1),
            ..self.position
        };
        let mut message = request::parse_at(self.request.descriptor(), &field, base)?;
        for (field, value) in message.take_fields() {
            self.request.set_field(&field, value);
        }
        Ok(())
    }

    fn row(&mut self) -> Result<Step, ApiError> {
        let Some(end) = self.scan.find(&self.pending, b",]}") else {
            return Ok(Step::Starved);
        };
        if end == 0 {
            return Err(self.syntax("expected a row"));
        }
        let table = self.table.get_or_insert_default();
        row::read(&self.pending[..end], table).map_err(|bad| self.row_error(bad))?;
        self.consume(end);
        self.place = ListPosition::Behind;
        Ok(Step::Done)
    }

    fn skip_space(&mut self) {
        let space = self.pending.iter().take_while(|byte| is_space(**byte)).count();
        if space > 0 {
            self.consume(space);
        }
    }

    fn consume(&mut self, count: usize) {
        self.position = self.position.behind(&self.pending[..count]);
        self.pending.advance(count);
        self.scan = Scan::default();
    }

    /// The error of a body that ends inside something.
    fn cut_off(&mut self) -> ApiError {
        let inside = match self.next {
            Next::Row if self.place != ListPosition::Behind => match row::read(&self.pending, &mut TableBuilder::new())
            {
                Err(bad) => Some(self.row_error(bad)),
                Ok(_) => None,
            },
            Next::Field if self.place != ListPosition::Behind => {
                let key = Reader::new(&self.pending).and_then(|mut reader| reader.key().map(drop));
                key.err().map(|error| self.text_error(error))
            }
            _ => None,
        };
        self.position = self.position.behind(&self.pending);
        self.pending.clear();
        inside.unwrap_or_else(|| self.syntax("the body ends too early"))
    }

    fn syntax(&self, why: &str) -> ApiError {
        JsonBodyError::syntax(why, self.position, &self.pending).into()
    }

    /// An error of the pending text, at its place in the body.
    fn text_error(&self, error: JsonError) -> ApiError {
        let inner = Position {
            line: error.line.max(1),
            column: error.column.max(1),
        };
        let Position { line, column } = self.position.plus(inner);
        ApiError::from(JsonError { line, column, ..error })
    }

    fn row_error(&self, bad: BadRow) -> ApiError {
        let row = self.table.as_ref().map_or(0, TableBuilder::row_count);
        match bad {
            BadRow::Text(error) => self.text_error(error).with("row", row.to_string()),
            BadRow::Shape(mut error) => {
                let Position { line, column } = self.position;
                error.message = format!("{} (the row begins at line {line}, column {column})", error.message);
                error
            }
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
