//! Bodies that are compressed, cut and too large.

use std::convert::Infallible;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use lepton_core::error::from_status;
use lepton_domain::reason::{ApiError, Reason};
use tonic::Status;

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

fn reason(error: EdgeError) -> Reason {
    ApiError::from(error).reason
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
async fn plain_and_compressed_bodies_are_the_same() {
    let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let (mut plain, _) = incoming(content.chunks(7_000).map(<[u8]>::to_vec).collect(), &[], 1 << 20);
    assert_eq!(plain.all().await.expect("good"), content);
    for (name, compressed) in [
        ("gzip", gzip(&content)),
        ("X-Gzip", gzip(&content)),
        ("Deflate", deflate(&content)),
        ("Identity", content.clone()),
    ] {
        let pieces = compressed.chunks(999).map(<[u8]>::to_vec).collect();
        let (mut decoded, headers) = incoming(pieces, &[("content-encoding", name)], 1 << 20);
        decoded.check(&headers).expect("known");
        assert_eq!(decoded.all().await.expect("good"), content, "{name}");
    }
}

#[tokio::test]
async fn the_limit_counts_decompressed_bytes() {
    let large = vec![b' '; 8 << 20];
    for (name, bomb) in [("gzip", gzip(&large)), ("deflate", deflate(&large))] {
        assert!(bomb.len() < 20_000);
        let (mut body, headers) = incoming(vec![bomb], &[("content-encoding", name)], 1 << 20);
        body.check(&headers).expect("small on the wire");
        assert_eq!(reason(body.all().await.expect_err("large")), Reason::RequestTooLarge);
    }
    let (mut exact, _) = incoming(vec![vec![0; 1 << 20]], &[], 1 << 20);
    assert_eq!(exact.all().await.expect("just fits").len(), 1 << 20);
}

#[tokio::test]
async fn decompressed_bytes_take_memory_until_the_body_is_dropped() {
    let budget = MemoryBudget::new(1 << 20);
    let bomb = || {
        incoming(
            vec![gzip(&vec![b' '; 1 << 20])],
            &[("content-encoding", "gzip")],
            2 << 20,
        )
        .0
    };
    let mut first = bomb().within(&budget);
    first.all().await.expect("room");
    let mut second = bomb().within(&budget);
    assert_eq!(reason(second.all().await.expect_err("no room")), Reason::Overloaded);
    drop(first);
    second.discard().await;
    bomb().within(&budget).all().await.expect("room again");
}

#[tokio::test]
async fn headers_alone_can_refuse() {
    let (body, headers) = incoming(Vec::new(), &[("content-length", "11")], 10);
    assert_eq!(
        reason(body.check(&headers).expect_err("too long")),
        Reason::RequestTooLarge
    );
    let (body, headers) = incoming(Vec::new(), &[("content-encoding", "br")], 10);
    assert_eq!(
        reason(body.check(&headers).expect_err("unknown")),
        Reason::ContentTypeUnsupported
    );
}

#[tokio::test]
async fn broken_compression_is_refused() {
    for (name, whole) in [
        ("gzip", gzip(b"hello hello hello")),
        ("deflate", deflate(b"hello hello hello")),
    ] {
        let cut = whole[..whole.len() - 6].to_vec();
        let more = [&whole[..], b"more"].concat();
        for broken in [b"not compressed at all".to_vec(), cut, more] {
            let (mut body, _) = incoming(vec![broken], &[("content-encoding", name)], 1 << 20);
            assert_eq!(
                reason(body.all().await.expect_err("broken")),
                Reason::FieldInvalid,
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn what_the_transport_cannot_read_is_the_clients_error_and_a_reset_is_not() {
    let cases = [
        (io::ErrorKind::InvalidInput, Reason::FieldInvalid),
        (io::ErrorKind::UnexpectedEof, Reason::FieldInvalid),
        (io::ErrorKind::ConnectionReset, Reason::Cancelled),
    ];
    for (kind, expected) in cases {
        let pieces = [
            Ok(Bytes::from_static(b"{")),
            Err(io::Error::new(kind, "as hyper says it")),
        ];
        let body = Body::from_stream(futures::stream::iter(pieces));
        let error = Incoming::new(&HeaderMap::new(), body, 10)
            .all()
            .await
            .expect_err("broken");
        assert!(error.to_string().contains("as hyper says it"), "{error}");
        assert_eq!(reason(error), expected, "{kind:?}");
    }
}

#[tokio::test]
async fn a_metered_body_ends_where_the_budget_does() {
    let budget = MemoryBudget::new(64 << 10).with_free_bytes(16 << 10);
    let body = |pieces: usize| {
        let pieces = (0..pieces).map(|_| Ok::<_, Infallible>(Bytes::from(vec![7; 8 << 10])));
        Body::from_stream(futures::stream::iter(pieces))
    };
    let (whole, held) = metered(body(8), &budget);
    assert_eq!(whole.collect().await.expect("room").to_bytes().len(), 64 << 10);
    let (refused, _none) = metered(body(8), &budget);
    let failed = refused.collect().await.expect_err("no room");
    let status = Status::from_error(Box::new(failed));
    let refused = from_status(&status);
    assert_eq!(refused.reason, Reason::Overloaded, "{status}");
    assert!(refused.retry_after.is_some());
    drop(held);
    let (whole, _held) = metered(body(8), &budget);
    whole.collect().await.expect("room again");
}
