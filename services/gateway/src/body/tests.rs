//! Bodies packed, cut and too large.

use std::convert::Infallible;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::*;

fn incoming(pieces: Vec<Vec<u8>>, headers: &[(&'static str, &str)], limit: usize) -> (Incoming, HeaderMap) {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, value.parse().expect("a header value"));
    }
    let pieces = pieces.into_iter().map(|piece| Ok::<_, Infallible>(Bytes::from(piece)));
    (
        Incoming::new(&map, Body::from_stream(futures::stream::iter(pieces)), limit),
        map,
    )
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).expect("memory");
    encoder.finish().expect("memory")
}

fn deflate(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).expect("memory");
    encoder.finish().expect("memory")
}

#[tokio::test]
async fn plain_and_packed_bodies_are_the_same() {
    let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let (mut plain, _) = incoming(content.chunks(7_000).map(<[u8]>::to_vec).collect(), &[], 1 << 20);
    assert_eq!(plain.all().await.expect("good"), content);
    for (name, packed) in [
        ("gzip", gzip(&content)),
        ("X-Gzip", gzip(&content)),
        ("Deflate", deflate(&content)),
        ("Identity", content.clone()),
    ] {
        let pieces = packed.chunks(999).map(<[u8]>::to_vec).collect();
        let (mut unpacked, headers) = incoming(pieces, &[("content-encoding", name)], 1 << 20);
        unpacked.check(&headers).expect("known");
        assert_eq!(unpacked.all().await.expect("good"), content, "{name}");
    }
}

#[tokio::test]
async fn the_limit_counts_unpacked_bytes() {
    let large = vec![b' '; 8 << 20];
    for (name, bomb) in [("gzip", gzip(&large)), ("deflate", deflate(&large))] {
        assert!(bomb.len() < 20_000);
        let (mut body, headers) = incoming(vec![bomb], &[("content-encoding", name)], 1 << 20);
        body.check(&headers).expect("small on the wire");
        assert_eq!(body.all().await.expect_err("large").reason, Reason::RequestTooLarge);
    }
    let (mut exact, _) = incoming(vec![vec![0; 1 << 20]], &[], 1 << 20);
    assert_eq!(exact.all().await.expect("just fits").len(), 1 << 20);
}

#[tokio::test]
async fn unpacked_bytes_take_room_until_the_body_is_dropped() {
    let room = Room::new(1 << 20);
    let bomb = || {
        incoming(
            vec![gzip(&vec![b' '; 1 << 20])],
            &[("content-encoding", "gzip")],
            2 << 20,
        )
        .0
    };
    let mut first = bomb().within(&room);
    first.all().await.expect("room");
    let mut second = bomb().within(&room);
    assert_eq!(second.all().await.expect_err("no room").reason, Reason::Overloaded);
    drop(first);
    second.discard().await;
    bomb().within(&room).all().await.expect("room again");
}

#[tokio::test]
async fn headers_alone_can_refuse() {
    let (body, headers) = incoming(Vec::new(), &[("content-length", "11")], 10);
    assert_eq!(
        body.check(&headers).expect_err("too long").reason,
        Reason::RequestTooLarge
    );
    let (body, headers) = incoming(Vec::new(), &[("content-encoding", "br")], 10);
    assert_eq!(
        body.check(&headers).expect_err("unknown").reason,
        Reason::ContentTypeUnsupported
    );
}

#[tokio::test]
async fn broken_packing_is_refused() {
    for (name, whole) in [
        ("gzip", gzip(b"hello hello hello")),
        ("deflate", deflate(b"hello hello hello")),
    ] {
        let cut = whole[..whole.len() - 6].to_vec();
        let more = [&whole[..], b"more"].concat();
        for broken in [b"not packed at all".to_vec(), cut, more] {
            let (mut body, _) = incoming(vec![broken], &[("content-encoding", name)], 1 << 20);
            assert_eq!(
                body.all().await.expect_err("broken").reason,
                Reason::FieldInvalid,
                "{name}"
            );
        }
    }
}
