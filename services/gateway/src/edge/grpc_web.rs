//! gRPC-Web: what browsers can send and read of gRPC.
//!
//! Promises: text is taken however it was cut: each chunk of base64 may be padded, as the protocol allows; errors have the
//! content type that the caller asked for. Leaves trailers in bodies to `tonic_web`, which takes no padding inside and answers
//! what it refuses as plain gRPC.
//!
//! The protocol: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md>.

use axum::body::Body;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use lepton_core::error;
use lepton_domain::reason::ApiError;
use lepton_mesh::memory_budget::MemoryBudget;

use crate::request::body::Incoming;
use crate::request::error::EdgeError;

const BINARY: HeaderValue = HeaderValue::from_static("application/grpc-web+proto");
const TEXT: HeaderValue = HeaderValue::from_static("application/grpc-web-text+proto");

/// Padding may be left out at the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An error for callers of binary gRPC-Web: as over gRPC, the status stands in the headers.
pub fn binary_form(error: &ApiError) -> Response<Body> {
    form(error, BINARY)
}

/// An error for callers of gRPC-Web in text.
pub fn text_form(error: &ApiError) -> Response<Body> {
    form(error, TEXT)
}

fn form(error: &ApiError, kind: HeaderValue) -> Response<Body> {
    let mut response = error::status(error).into_http();
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// Refuses what `tonic_web` would answer without a word, and names the type as it knows it.
pub fn check<B>(request: &mut Request<B>) -> Result<(), EdgeError> {
    if request.method() != Method::POST {
        return Err(EdgeError::GrpcWebMethod(request.method().clone()));
    }
    let kind = request.headers().get(CONTENT_TYPE);
    let text = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let known = match essence {
        "application/grpc-web" | "application/grpc-web+proto" => BINARY,
        "application/grpc-web-text" | "application/grpc-web-text+proto" => TEXT,
        _ => return Err(EdgeError::GrpcWebUnknown(text.to_owned())),
    };
    request.headers_mut().insert(CONTENT_TYPE, known);
    Ok(())
}

/// A call in text as one in binary, whose answer is text unless the caller accepts binary by name. What holds memory for its
/// body comes with it: keep that until the request is answered.
pub async fn decoded(
    request: Request<Body>,
    bytes_max: usize,
    budget: &MemoryBudget,
) -> Result<(Request<Body>, Incoming), EdgeError> {
    let (mut head, body) = request.into_parts();
    // Four characters for three bytes, and three paddings at most for each chunk of one byte.
    let text_bytes_max = bytes_max.saturating_mul(4);
    let mut text = Incoming::new(&HeaderMap::new(), body, text_bytes_max).within(budget);
    let message = decode(&text.all().await?)?;
    if message.len() > bytes_max {
        return Err(EdgeError::BodyTooLarge { limit: bytes_max });
    }
    head.headers.insert(CONTENT_TYPE, BINARY);
    head.headers.remove(CONTENT_LENGTH);
    let binary = |accept: &HeaderValue| accept.as_bytes().starts_with(b"application/grpc-web+");
    if !head.headers.get(ACCEPT).is_some_and(binary) {
        head.headers.insert(ACCEPT, TEXT);
    }
    Ok((Request::from_parts(head, Body::from(message)), text))
}

/// Decodes chunks of base64, one behind the other, each of which ends with its padding.
fn decode(text: &[u8]) -> Result<Vec<u8>, base64::DecodeError> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let mut rest = text;
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(chunk_len(rest));
        BASE64.decode_vec(chunk, &mut bytes)?;
        rest = behind;
    }
    Ok(bytes)
}

/// The length of the first chunk: to the end of its padding, or all of a text without any.
fn chunk_len(text: &[u8]) -> usize {
    let Some(padding) = text.iter().position(|byte| *byte == b'=') else {
        return text.len();
    };
    let behind = text[padding..].iter().position(|byte| *byte != b'=');
    behind.map_or(text.len(), |length| padding + length)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose;
    use lepton_domain::reason::Reason;
    use proptest::prelude::*;

    use super::*;

    fn text(body: String) -> Request<Body> {
        let request = Request::post("/x.Y/Z").header(CONTENT_TYPE, TEXT);
        request.body(Body::from(body)).expect("a request")
    }

    async fn message(request: Request<Body>) -> Result<Vec<u8>, EdgeError> {
        let (request, _held) = decoded(request, 1 << 20, &MemoryBudget::new(8 << 20)).await?;
        assert_eq!(request.headers()[CONTENT_TYPE], BINARY);
        assert_eq!(request.headers()[ACCEPT], TEXT);
        let mut body = Incoming::new(&HeaderMap::new(), request.into_body(), 1 << 20);
        Ok(body.all().await?.to_vec())
    }

    #[tokio::test]
    async fn padding_inside_and_none_at_the_end_are_taken() {
        assert_eq!(
            message(text("AAAAAAA=AQ==".into())).await.expect("taken"),
            [0, 0, 0, 0, 0, 1]
        );
        assert_eq!(message(text("AAAAAAA".into())).await.expect("taken"), [0; 5]);
        assert_eq!(message(text(String::new())).await.expect("taken"), [0; 0]);
    }

    #[tokio::test]
    async fn what_is_no_base64_is_the_callers_error() {
        for broken in ["A", "====", "AA=A", "AA==A", "A A=", "\u{e9}\u{e9}"] {
            let error = message(text(broken.into())).await.expect_err(broken);
            assert_eq!(ApiError::from(error).reason, Reason::FieldInvalid, "{broken}");
        }
        let large = general_purpose::STANDARD.encode(vec![0; (1 << 20) + 1]);
        let error = message(text(large)).await.expect_err("too large");
        assert_eq!(ApiError::from(error).reason, Reason::RequestTooLarge);
    }

    #[test]
    fn only_what_is_spoken_here_passes() {
        let checked = |method: Method, kind: &str| {
            let request = Request::builder().method(method).header(CONTENT_TYPE, kind);
            let mut request = request.body(()).expect("a request");
            check(&mut request).map(|()| request.headers()[CONTENT_TYPE].clone())
        };
        let text = checked(Method::POST, "application/grpc-web-text; charset=utf-8");
        assert_eq!(text.expect("taken"), TEXT);
        assert_eq!(checked(Method::POST, "application/grpc-web").expect("taken"), BINARY);
        let json = checked(Method::POST, "application/grpc-web+json").map_err(ApiError::from);
        assert_eq!(json.expect_err("refused").reason, Reason::ContentTypeUnsupported);
        let get = checked(Method::GET, "application/grpc-web").map_err(ApiError::from);
        assert_eq!(get.expect_err("refused").reason, Reason::MethodNotAllowed);
    }

    #[test]
    fn errors_are_of_the_callers_type() {
        let error = ApiError::new(Reason::FieldInvalid, "no");
        for (response, kind) in [(binary_form(&error), BINARY), (text_form(&error), TEXT)] {
            assert_eq!(response.headers()[CONTENT_TYPE], kind);
            assert_eq!(response.headers()["grpc-status"], "3");
        }
    }

    proptest! {
        #[test]
        fn chunks_come_back_however_they_were_cut(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 1_usize..9) {
            let text: String = bytes.chunks(cut).map(|chunk| general_purpose::STANDARD.encode(chunk)).collect();
            prop_assert_eq!(decode(text.as_bytes()), Ok(bytes));
        }
    }
}
