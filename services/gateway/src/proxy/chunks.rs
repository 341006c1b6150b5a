//! Chunks of a body that is made of many pieces.
//!
//! Promises: small pieces are gathered, large ones are passed on as they are, and a column is encoded only when its turn
//! comes. Each chunk becomes a DATA frame, and a connection takes only so many small ones that wait to be read: beyond,
//! h2 ends it with ENHANCE_YOUR_CALM, as it would for a peer that floods it (CVE-2019-9517 and its like).

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use lepton_proto::analysis::v1::TableColumn;

use super::request::encode_column;

/// Bytes of a piece that is not copied.
const LARGE_BYTES: usize = 16 * 1024;
/// Bytes of a chunk of gathered pieces, from which on it is passed on.
const CHUNK_BYTES: usize = 64 * 1024;

/// Pieces, and columns behind them, as chunks.
#[derive(Debug)]
pub struct Chunks {
    pieces: VecDeque<Bytes>,
    columns: VecDeque<TableColumn>,
}

impl Chunks {
    /// The chunks of these pieces.
    pub fn of(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        Self::with_columns(pieces, Vec::new())
    }

    /// The chunks of these pieces and of the columns behind them.
    pub fn with_columns(pieces: impl IntoIterator<Item = Bytes>, columns: Vec<TableColumn>) -> Self {
        Self {
            pieces: pieces.into_iter().filter(|piece| !piece.is_empty()).collect(),
            columns: columns.into(),
        }
    }
}

impl Iterator for Chunks {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut gathered = BytesMut::new();
        while gathered.len() < CHUNK_BYTES {
            match self.pieces.front() {
                Some(large) if large.len() >= LARGE_BYTES => {
                    if gathered.is_empty() {
                        return self.pieces.pop_front();
                    }
                    break;
                }
                Some(small) => {
                    gathered.extend_from_slice(small);
                    self.pieces.pop_front();
                }
                None => match self.columns.pop_front() {
                    Some(column) => encode_column(&column, &mut gathered),
                    None => break,
                },
            }
        }
        (!gathered.is_empty()).then(|| gathered.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_are_gathered_and_large_ones_passed_on() {
        let large = Bytes::from(vec![7; LARGE_BYTES]);
        let small = Bytes::from_static(b"small");
        let pieces = [small.clone(), Bytes::new(), small.clone(), large.clone(), small.clone()];
        let chunks: Vec<Bytes> = Chunks::of(pieces).collect();
        assert_eq!(chunks, [Bytes::from_static(b"smallsmall"), large.clone(), small]);
        assert_eq!(chunks[1].as_ptr(), large.as_ptr(), "a copy");
        assert_eq!(Chunks::of([]).count(), 0);
    }

    #[test]
    fn many_small_pieces_make_few_chunks() {
        let pieces = (0..40_000).map(|_| Bytes::from_static(b"a column of one number, no more"));
        let lengths: Vec<usize> = Chunks::of(pieces).map(|chunk| chunk.len()).collect();
        let (last, others) = lengths.split_last().expect("chunks");
        assert!(others.iter().all(|length| *length >= CHUNK_BYTES), "{others:?}");
        assert!(*last > 0 && others.len() < 20);
    }
}
