//! A request as it is sent to a worker: bytes that nobody decodes on the way.
//!
//! Promises: columns are encoded one at a time while they are sent, and dropped, so that a table lies in memory once;
//! tensors are sent as the slices that came. Leaves the framing to [`grpc_framing`], and the size of the chunks to
//! [`super::chunks`].

use std::convert::Infallible;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use lepton_proto::analysis::v1::{Table, TableColumn};
use lepton_proto::inference::ModelInferRequest;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::chunks::Chunks;
use super::rows::Decoded;
use crate::request::grpc_framing;

#[cfg(test)]
mod tests;

/// Number of the field `table` of a request.
const TABLE_FIELD: u32 = 5;
/// Number of the field `columns` of a table.
const COLUMNS_FIELD: u32 = 1;
/// Number of the field `raw_input_contents` of an inference request.
const CONTENTS_FIELD: u32 = 7;

/// A request, ready to be sent.
#[derive(Debug)]
pub struct WorkerRequest {
    /// Everything but the pieces and the columns, encoded; their place is at its end.
    head: Bytes,
    /// More of the encoding, in slices of what came.
    pieces: Vec<Bytes>,
    columns: Vec<TableColumn>,
    /// Length of the columns in the encoded table.
    columns_bytes: usize,
}

impl WorkerRequest {
    /// A request that came encoded.
    pub fn encoded(bytes: Bytes) -> Self {
        Self {
            head: bytes,
            pieces: Vec::new(),
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
            pieces: Vec::new(),
            columns,
            columns_bytes,
        }
    }

    /// An inference request and the contents of its inputs.
    pub fn with_contents(request: &ModelInferRequest, contents: Vec<Bytes>) -> Self {
        let mut pieces = Vec::with_capacity(2 * contents.len());
        for content in contents {
            let mut key = BytesMut::new();
            encode_key(CONTENTS_FIELD, WireType::LengthDelimited, &mut key);
            encode_varint(content.len() as u64, &mut key);
            pieces.extend([key.freeze(), content]);
        }
        Self {
            head: request.encode_to_vec().into(),
            pieces,
            columns: Vec::new(),
            columns_bytes: 0,
        }
    }

    /// Its encoded length.
    pub fn bytes(&self) -> usize {
        self.head.len() + self.pieces.iter().map(Bytes::len).sum::<usize>() + self.columns_bytes
    }

    /// All of it in one piece, for a request that may have to be sent again.
    pub fn into_whole(self) -> Bytes {
        if self.columns.is_empty() && self.pieces.is_empty() {
            return self.head;
        }
        let mut whole = BytesMut::with_capacity(self.bytes());
        whole.extend_from_slice(&self.head);
        self.pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        self.columns.iter().for_each(|column| encode_column(column, &mut whole));
        whole.freeze()
    }

    /// The body of the call.
    pub fn into_body(self) -> Body {
        let prefix = Bytes::copy_from_slice(&grpc_framing::prefix(self.bytes()));
        let encoded = [prefix, self.head].into_iter().chain(self.pieces);
        let chunks = Chunks::with_columns(encoded, self.columns);
        Body::from_stream(futures::stream::iter(chunks.map(Ok::<_, Infallible>)))
    }
}

/// The length of a column as a field of its table, and of the column alone.
fn column_len(column: &TableColumn) -> (usize, usize) {
    let alone = column.encoded_len();
    (key_len(COLUMNS_FIELD) + encoded_len_varint(alone as u64) + alone, alone)
}

/// Appends a column as a field of its table.
pub(super) fn encode_column(column: &TableColumn, out: &mut BytesMut) {
    encode_key(COLUMNS_FIELD, WireType::LengthDelimited, out);
    encode_varint(column_len(column).1 as u64, out);
    column.encode_raw(out);
}

/// Some fields of an encoded message, by number; the others are skipped, not decoded.
pub fn peek<M: prost::Message + Default>(mut bytes: &[u8], fields: &[u32]) -> Result<M, prost::DecodeError> {
    let mut kept = BytesMut::new();
    while !bytes.is_empty() {
        let field = bytes;
        let (tag, wire_type) = prost::encoding::decode_key(&mut bytes)?;
        prost::encoding::skip_field(wire_type, tag, &mut bytes, Default::default())?;
        if fields.contains(&tag) {
            kept.extend_from_slice(&field[..field.len() - bytes.len()]);
        }
    }
    M::decode(kept.freeze())
}
