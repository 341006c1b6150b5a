//! The field `table` of a body: where in the body its errors lie.
//!
//! Leaves reading it to `convert::analysis::packed`.

use lepton_domain::reason::ApiError;
use lepton_proto::analysis::v1::Table;
use lepton_proto::convert::analysis::packed::{self, BadTable};
use lepton_proto::convert::value::JsonError;
use lepton_proto::convert::value::read::Reader;

use crate::transcode::json_error::{Position, at};

/// Reads the table that is the whole of `text`, which begins at `position` in the body.
pub fn read(text: &[u8], position: Position) -> Result<Table, ApiError> {
    whole(text).map_err(|bad| match bad {
        BadTable::Text(error) => {
            let inner = Position {
                line: error.line.max(1),
                column: error.column.max(1),
            };
            let Position { line, column } = position.plus(inner);
            ApiError::from(JsonError { line, column, ..error })
        }
        BadTable::Shape(error) => at(error, position),
    })
}

fn whole(text: &[u8]) -> Result<Table, BadTable> {
    let mut reader = Reader::new(text)?;
    let table = packed::read(&mut reader)?;
    reader.end()?;
    Ok(table)
}
