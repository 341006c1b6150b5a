//! An `AnalyzeRequest` as it is sent to a worker: bytes that nobody decodes on the way.
//!
//! Promises: columns are encoded one at a time while they are sent, and dropped, so that a table lies in memory once.
//! Leaves the framing to `frames`.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use lepton_proto::analysis::v1::{AnalyzeRequest, Table, TableColumn};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::rows::Decoded;
use crate::frames;

#[cfg(test)]
mod tests;

/// Number of the field `table` of a request.
const TABLE_FIELD: u32 = 5;
/// Number of the field `columns` of a table.
const COLUMNS_FIELD: u32 = 1;

/// A request, ready to be sent.
#[derive(Debug)]
pub struct Message {
    /// Everything but the columns, encoded; their place is at its end.
    head: Bytes,
    columns: Vec<TableColumn>,
    /// Length of the columns in the encoded table.
    columns_bytes: usize,
}

impl Message {
    /// A request that came encoded.
    pub fn encoded(bytes: Bytes) -> Self {
        Self {
            head: bytes,
            columns: Vec::new(),
            columns_bytes: 0,
        }
    }

    /// A request whose rows were decoded.
    pub fn of(decoded: Decoded) -> Self {
        let Decoded { request, table } = decoded;
        let mut head = BytesMut::from(request.encode_to_vec().as_slice());
        let Some(Table { columns, row_count }) = table else {
            return Self::encoded(head.freeze());
        };
        let columns_bytes = columns.iter().map(|column| column_len(column).0).sum();
        let rest = Table {
            columns: Vec::new(),
            row_count,
        }
        .encode_to_vec();
        encode_key(TABLE_FIELD, WireType::LengthDelimited, &mut head);
        encode_varint((rest.len() + columns_bytes) as u64, &mut head);
        head.extend_from_slice(&rest);
        Self {
            head: head.freeze(),
            columns,
            columns_bytes,
        }
    }

    /// Its encoded length.
    pub fn len(&self) -> usize {
        self.head.len() + self.columns_bytes
    }

    /// All of it in one piece, for a request that may have to be sent again.
    pub fn into_whole(self) -> Bytes {
        if self.columns.is_empty() {
            return self.head;
        }
        let mut whole = BytesMut::with_capacity(self.len());
        whole.extend_from_slice(&self.head);
        self.columns.iter().for_each(|column| encode_column(column, &mut whole));
        whole.freeze()
    }

    /// The body of the call.
    pub fn into_body(self) -> Body {
        let prefix = Bytes::copy_from_slice(&frames::prefix(self.len()));
        let columns = VecDeque::from(self.columns);
        let columns = futures::stream::unfold(columns, |mut columns| async {
            let column = columns.pop_front()?;
            let mut bytes = BytesMut::with_capacity(column_len(&column).0);
            encode_column(&column, &mut bytes);
            Some((bytes.freeze(), columns))
        });
        let pieces = futures::stream::iter([prefix, self.head]).chain(columns);
        Body::from_stream(pieces.map(Ok::<_, Infallible>))
    }
}

/// The length of a column as a field of its table, and of the column alone.
fn column_len(column: &TableColumn) -> (usize, usize) {
    let alone = column.encoded_len();
    (key_len(COLUMNS_FIELD) + encoded_len_varint(alone as u64) + alone, alone)
}

fn encode_column(column: &TableColumn, out: &mut BytesMut) {
    encode_key(COLUMNS_FIELD, WireType::LengthDelimited, out);
    encode_varint(column_len(column).1 as u64, out);
    column.encode_raw(out);
}

/// The fields of an encoded request that the gateway decides by; the rows are skipped, not decoded.
pub fn peek(mut bytes: &[u8]) -> Result<AnalyzeRequest, prost::DecodeError> {
    let mut kept = BytesMut::new();
    while !bytes.is_empty() {
        let field = bytes;
        let (tag, wire_type) = prost::encoding::decode_key(&mut bytes)?;
        prost::encoding::skip_field(wire_type, tag, &mut bytes, Default::default())?;
        // 1 is `data`, 5 is `table`.
        if !matches!(tag, 1 | TABLE_FIELD) {
            kept.extend_from_slice(&field[..field.len() - bytes.len()]);
        }
    }
    AnalyzeRequest::decode(kept.freeze())
}
