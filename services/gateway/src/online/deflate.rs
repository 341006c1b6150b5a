//! Requests that a gRPC client packed with deflate: gRPC names the encoding, and the gRPC library here leaves it out.
//!
//! Promises: what the client sends unpacked is passed on untouched; the limit counts unpacked bytes. Leaves gzip to the
//! library.

use axum::body::Body;
use bytes::{Buf as _, Bytes};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue, Request};
use lepton_domain::reason::Fault;

use crate::body::Incoming;
use crate::frames::{self, PREFIX_BYTES};

/// The header that names the encoding of messages.
const GRPC_ENCODING: &str = "grpc-encoding";
const DEFLATE: &str = "deflate";

/// The request, its message unpacked where it was packed with deflate.
pub async fn unpacked(request: Request<Body>, bytes_max: usize) -> Result<Request<Body>, Fault> {
    if request.headers().get(GRPC_ENCODING).is_none_or(|name| name != DEFLATE) {
        return Ok(request);
    }
    let (mut head, body) = request.into_parts();
    head.headers.remove(GRPC_ENCODING);
    let framed = Incoming::new(&HeaderMap::new(), body, bytes_max + PREFIX_BYTES)
        .all()
        .await?;
    let (packed, message) = unframed(framed)?;
    let mut encoding = HeaderMap::new();
    if packed {
        encoding.insert(CONTENT_ENCODING, HeaderValue::from_static(DEFLATE));
    }
    let message = Incoming::new(&encoding, Body::from(message), bytes_max).all().await?;
    Ok(Request::from_parts(head, Body::from(frames::frame(&message))))
}

/// The only message of a body, and whether it is packed.
fn unframed(mut framed: Bytes) -> Result<(bool, Bytes), Fault> {
    let whole = framed.len() >= PREFIX_BYTES
        && framed[0] <= 1
        && (&framed[1..PREFIX_BYTES]).get_u32() as usize == framed.len() - PREFIX_BYTES;
    if !whole {
        return Err(Fault::field("request", "the body is not one whole message"));
    }
    let prefix = framed.split_to(PREFIX_BYTES);
    Ok((prefix[0] == 1, framed))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use lepton_domain::reason::Reason;

    use super::*;

    fn request(flag: u8, message: &[u8]) -> Request<Body> {
        let mut framed = frames::frame(message).to_vec();
        framed[0] = flag;
        let request = Request::post("/x").header(GRPC_ENCODING, DEFLATE);
        request.body(Body::from(framed)).expect("well formed")
    }

    fn packed(message: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(message).expect("memory");
        encoder.finish().expect("memory")
    }

    async fn message(request: Request<Body>) -> Result<Bytes, Fault> {
        let request = unpacked(request, 1 << 20).await?;
        assert!(!request.headers().contains_key(GRPC_ENCODING));
        let framed = Incoming::new(&HeaderMap::new(), request.into_body(), 2 << 20)
            .all()
            .await?;
        assert_eq!(framed[..PREFIX_BYTES], frames::prefix(framed.len() - PREFIX_BYTES));
        Ok(framed.slice(PREFIX_BYTES..))
    }

    #[tokio::test]
    async fn packed_and_plain_messages_come_out_alike() {
        let content: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
        let unpacked = message(request(1, &packed(&content))).await.expect("good");
        assert_eq!(unpacked, content);
        assert_eq!(message(request(0, &content)).await.expect("good"), content);
    }

    #[tokio::test]
    async fn what_is_broken_or_too_large_is_refused() {
        let whole = packed(&[7; 1_000]);
        for broken in [
            &b"not packed"[..],
            &whole[..whole.len() / 2],
            &[&whole[..], b"more"].concat(),
        ] {
            let fault = message(request(1, broken)).await.expect_err("refused");
            assert_eq!(fault.reason, Reason::FieldInvalid, "{fault}");
        }
        let fault = message(request(2, &whole)).await.expect_err("refused");
        assert_eq!(fault.reason, Reason::FieldInvalid, "{fault}");
        let bomb = packed(&vec![0; 8 << 20]);
        let fault = message(request(1, &bomb)).await.expect_err("refused");
        assert_eq!(fault.reason, Reason::RequestTooLarge, "{fault}");
    }
}
