//! Decoders of compressed bodies: gzip, and deflate, which HTTP and gRPC mean as zlib's format (RFC 1950).
//!
//! Promises: a body that ends too early is not taken for a whole one. Leaves limits to its caller, who gives small pieces.

use std::io::{self, Write as _};

use flate2::write::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

/// Bytes that come out in one go.
const OUT_BYTES: usize = 32 * 1024;

/// Decompresses a body piece by piece.
#[derive(Debug)]
pub enum Decoder {
    /// gzip. Boxed, as it is much larger than the other.
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    /// zlib.
    Deflate(Inflater),
}

/// Decompresses zlib's format.
#[derive(Debug)]
pub struct Inflater {
    state: Decompress,
    out: Vec<u8>,
    ended: bool,
}

impl Decoder {
    /// The decoder of a `content-encoding` of this name, in any case, if it is known.
    pub fn named(name: &[u8]) -> Option<Self> {
        match name.to_ascii_lowercase().as_slice() {
            b"gzip" | b"x-gzip" => Some(Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new())))),
            b"deflate" => Some(Self::Deflate(Inflater {
                state: Decompress::new(true),
                out: Vec::new(),
                ended: false,
            })),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Gzip(_) => "gzip",
            Self::Deflate(_) => "deflate",
        }
    }

    /// Decompresses a piece.
    pub fn decode(&mut self, piece: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(gzip) => {
                gzip.write_all(piece)?;
                Ok(std::mem::take(gzip.get_mut()))
            }
            Self::Deflate(inflater) => {
                inflater.decode(piece)?;
                Ok(std::mem::take(&mut inflater.out))
            }
        }
    }

    /// The rest at the end.
    pub fn finish(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(gzip) => {
                gzip.try_finish()?;
                Ok(std::mem::take(gzip.get_mut()))
            }
            Self::Deflate(inflater) if inflater.ended => Ok(Vec::new()),
            Self::Deflate(_) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends too early")),
        }
    }
}

impl Inflater {
    fn decode(&mut self, mut piece: &[u8]) -> io::Result<()> {
        while !self.ended {
            self.out.reserve(OUT_BYTES);
            let before = self.state.total_in();
            let status = self.state.decompress_vec(piece, &mut self.out, FlushDecompress::None)?;
            let taken = self.state.total_in() - before;
            piece = &piece[usize::try_from(taken).expect("a piece lies in memory")..];
            self.ended = matches!(status, Status::StreamEnd);
            // Space that is left shows that nothing waits for more of it.
            if piece.is_empty() && self.out.len() < self.out.capacity() {
                return Ok(());
            }
        }
        match piece.is_empty() {
            true => Ok(()),
            false => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "there is more after its end",
            )),
        }
    }
}
