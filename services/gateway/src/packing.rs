//! Messages that a gRPC client packed: with gzip, or with deflate, which the gRPC library here leaves out.
//!
//! Promises: what the client sends unpacked is passed on untouched; the limit and the room count unpacked bytes. Leaves
//! other encodings to the library, which refuses them.

use axum::body::Body;
use bytes::{Buf as _, Bytes};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Request};
use lepton_domain::reason::Fault;

use crate::body::Incoming;
use crate::frames::{self, PREFIX_BYTES};
use crate::room::Room;

/// The header that names the encoding of messages.
const GRPC_ENCODING: &str = "grpc-encoding";
/// The encodings that are unpacked here.
const ENCODINGS: [&str; 2] = ["gzip", "deflate"];

/// Whether the message of a request may be packed in a way that is known here.
pub fn is_packed<B>(request: &Request<B>) -> bool {
    let encoding = request.headers().get(GRPC_ENCODING);
    encoding.is_some_and(|name| ENCODINGS.iter().any(|known| name == known))
}

/// A packed request with its message unpacked, and what takes room for it: keep that until the request is answered.
pub async fn unpacked(
    request: Request<Body>,
    bytes_max: usize,
    room: &Room,
) -> Result<(Request<Body>, Incoming), Fault> {
    let (mut head, body) = request.into_parts();
    let encoding = head.headers.remove(GRPC_ENCODING);
    let mut framed = Incoming::new(&HeaderMap::new(), body, bytes_max + PREFIX_BYTES).within(room);
    let (packed, message) = unframed(framed.all().await?)?;
    let headers = encoding.filter(|_| packed).map(|name| (CONTENT_ENCODING, name));
    let mut incoming = Incoming::new(&headers.into_iter().collect(), Body::from(message), bytes_max).within(room);
    let message = incoming.all().await?;
    Ok((Request::from_parts(head, Body::from(frames::frame(&message))), incoming))
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
    use flate2::write::{GzEncoder, ZlibEncoder};
    use lepton_domain::reason::Reason;

    use super::*;

    fn request(flag: u8, message: &[u8]) -> Request<Body> {
        encoded("deflate", flag, message)
    }

    fn encoded(encoding: &str, flag: u8, message: &[u8]) -> Request<Body> {
        let mut framed = frames::frame(message).to_vec();
        framed[0] = flag;
        let request = Request::post("/x").header(GRPC_ENCODING, encoding);
        request.body(Body::from(framed)).expect("well formed")
    }

    fn packed(message: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(message).expect("memory");
        encoder.finish().expect("memory")
    }

    async fn message(request: Request<Body>) -> Result<Bytes, Fault> {
        assert!(is_packed(&request));
        let (request, _held) = unpacked(request, 1 << 20, &Room::new(4 << 20)).await?;
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
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&content).expect("memory");
        let gzip = encoded("gzip", 1, &gzip.finish().expect("memory"));
        assert_eq!(message(gzip).await.expect("good"), content);
        assert!(!is_packed(&encoded("zstd", 1, b"")));
    }

    #[tokio::test]
    async fn unpacked_messages_take_room_while_they_are_kept() {
        let room = Room::new(1 << 20);
        let bomb = || request(1, &packed(&[0; 700 << 10]));
        let kept = unpacked(bomb(), 1 << 20, &room).await.expect("room");
        let fault = unpacked(bomb(), 1 << 20, &room).await.map(drop).expect_err("no room");
        assert_eq!(fault.reason, Reason::Overloaded);
        drop(kept);
        unpacked(bomb(), 1 << 20, &room).await.expect("room again");
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
