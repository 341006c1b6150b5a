//! Decompression of gRPC messages: of gzip, and of deflate, which the gRPC library here leaves out.
//!
//! Promises: an uncompressed message is passed on untouched; the limit and the [`MemoryBudget`] count decompressed bytes, which
//! the library does not report. Leaves other encodings to the library, which refuses them, and bodies of HTTP to
//! [`super::body`].

use axum::body::Body;
use bytes::{Buf as _, Bytes};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Request};
use lepton_mesh::memory_budget::MemoryBudget;

use super::body::Incoming;
use super::grpc_framing::{self, PREFIX_BYTES};
use crate::request::error::EdgeError;

pub(super) mod decoder;

/// The header that names the encoding of messages.
const GRPC_ENCODING: &str = "grpc-encoding";
/// The encodings that are decompressed here.
const ENCODINGS: [&str; 2] = ["gzip", "deflate"];

/// Recognises a request whose message may be compressed by one of [`ENCODINGS`].
pub fn is_compressed<B>(request: &Request<B>) -> bool {
    let encoding = request.headers().get(GRPC_ENCODING);
    encoding.is_some_and(|name| ENCODINGS.iter().any(|known| name == known))
}

/// A compressed request with its message decompressed, and the holder of its memory: keep that until the request is answered.
pub async fn decompressed(
    request: Request<Body>,
    bytes_max: usize,
    budget: &MemoryBudget,
) -> Result<(Request<Body>, Incoming), EdgeError> {
    let (mut head, body) = request.into_parts();
    let encoding = head.headers.remove(GRPC_ENCODING);
    let mut framed = Incoming::new(&HeaderMap::new(), body, bytes_max + PREFIX_BYTES).within(budget);
    let (compressed, message) = unframed(framed.all().await?)?;
    let headers = encoding.filter(|_| compressed).map(|name| (CONTENT_ENCODING, name));
    let mut incoming = Incoming::new(&headers.into_iter().collect(), Body::from(message), bytes_max).within(budget);
    let message = incoming.all().await?;
    Ok((
        Request::from_parts(head, Body::from(grpc_framing::frame(&message))),
        incoming,
    ))
}

/// The only message of a body, and whether it is compressed.
fn unframed(mut framed: Bytes) -> Result<(bool, Bytes), EdgeError> {
    let whole = framed.len() >= PREFIX_BYTES
        && framed[0] <= 1
        && (&framed[1..PREFIX_BYTES]).get_u32() as usize == framed.len() - PREFIX_BYTES;
    if !whole {
        return Err(EdgeError::MessageIncomplete);
    }
    let prefix = framed.split_to(PREFIX_BYTES);
    Ok((prefix[0] == 1, framed))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use lepton_domain::reason::{ApiError, Reason};

    use super::*;

    fn request(flag: u8, message: &[u8]) -> Request<Body> {
        encoded("deflate", flag, message)
    }

    fn encoded(encoding: &str, flag: u8, message: &[u8]) -> Request<Body> {
        let mut framed = grpc_framing::frame(message).to_vec();
        framed[0] = flag;
        let request = Request::post("/x").header(GRPC_ENCODING, encoding);
        request.body(Body::from(framed)).expect("well formed")
    }

    fn compressed(message: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(message).expect("memory");
        encoder.finish().expect("memory")
    }

    async fn message(request: Request<Body>) -> Result<Bytes, ApiError> {
        assert!(is_compressed(&request));
        let (request, _held) = decompressed(request, 1 << 20, &MemoryBudget::new(4 << 20)).await?;
        assert!(!request.headers().contains_key(GRPC_ENCODING));
        let framed = Incoming::new(&HeaderMap::new(), request.into_body(), 2 << 20)
            .all()
            .await?;
        assert_eq!(
            framed[..PREFIX_BYTES],
            grpc_framing::prefix(framed.len() - PREFIX_BYTES)
        );
        Ok(framed.slice(PREFIX_BYTES..))
    }

    #[tokio::test]
    async fn compressed_and_plain_messages_come_out_alike() {
        let content: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        let plain = message(request(1, &compressed(&content))).await.expect("good");
        assert_eq!(plain, content);
        assert_eq!(message(request(0, &content)).await.expect("good"), content);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&content).expect("memory");
        let gzip = encoded("gzip", 1, &gzip.finish().expect("memory"));
        assert_eq!(message(gzip).await.expect("good"), content);
        assert!(!is_compressed(&encoded("zstd", 1, b"")));
    }

    #[tokio::test]
    async fn decompressed_messages_take_memory_while_they_are_kept() {
        let budget = MemoryBudget::new(1 << 20);
        let bomb = || request(1, &compressed(&[0; 700 << 10]));
        let kept = decompressed(bomb(), 1 << 20, &budget).await.expect("room");
        let refused = decompressed(bomb(), 1 << 20, &budget).await.map(drop);
        let error = ApiError::from(refused.expect_err("no room"));
        assert_eq!(error.reason, Reason::Overloaded);
        drop(kept);
        decompressed(bomb(), 1 << 20, &budget).await.expect("room again");
    }

    #[tokio::test]
    async fn what_is_broken_or_too_large_is_refused() {
        let whole = compressed(&[7; 1_000]);
        for broken in [
            &b"not compressed"[..],
            &whole[..whole.len() / 2],
            &[&whole[..], b"more"].concat(),
        ] {
            let error = message(request(1, broken)).await.expect_err("refused");
            assert_eq!(error.reason, Reason::FieldInvalid, "{error}");
        }
        let error = message(request(2, &whole)).await.expect_err("refused");
        assert_eq!(error.reason, Reason::FieldInvalid, "{error}");
        let bomb = compressed(&vec![0; 8 << 20]);
        let error = message(request(1, &bomb)).await.expect_err("refused");
        assert_eq!(error.reason, Reason::RequestTooLarge, "{error}");
    }
}
