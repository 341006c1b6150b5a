//! The header `Idempotency-Key` of submits over REST (draft-ietf-httpapi-idempotency-key-header): the request id of a
//! submit that has none. A proxy gives its own in `Lepton-Retry-Key`, which counts where the client has given neither.
//!
//! Promises: a proxy that sends a submit again to another gateway, because the first one died over it, makes no second
//! task, although its client gave no request id; a proxy's key never stands against its client's. Leaves what a known request
//! id means to the leader, and batches to their reader.

use http::HeaderMap;
use lepton_domain::reason::ApiError;
use lepton_domain::text::excerpt;

/// Header of a client's key.
const HEADER: &str = "Idempotency-Key";
/// Header of a proxy's key.
const PROXY_HEADER: &str = "Lepton-Retry-Key";
/// Bytes of a key: a request id has 128, and the index in a batch needs some of them.
const KEY_BYTES_MAX: usize = 120;

/// Key of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey<'a> {
    text: &'a str,
    /// Set where the client chose it, and not a proxy.
    of_client: bool,
}

/// The key of a request: the client's, or else its proxy's. Fails with FIELD_INVALID on a key that is none, or that is given
/// more than once.
pub fn from_headers(headers: &HeaderMap) -> Result<Option<IdempotencyKey<'_>>, ApiError> {
    for (name, of_client) in [(HEADER, true), (PROXY_HEADER, false)] {
        if let Some(text) = read(headers, name)? {
            return Ok(Some(IdempotencyKey { text, of_client }));
        }
    }
    Ok(None)
}

fn read<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(ApiError::field(name, "is given more than once; give one key"));
    }
    let key = value.to_str().map(unquoted).unwrap_or_default();
    // Spaces and tabs are what proxies trim and fold: the same key must not become two.
    match key.len() {
        1..=KEY_BYTES_MAX if key.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Some(key)),
        _ => {
            let shown = String::from_utf8_lossy(value.as_bytes());
            let message = format!(
                "{:?} is no key; give 1 to {KEY_BYTES_MAX} visible ASCII characters, or leave it out",
                excerpt(&shown)
            );
            Err(ApiError::field(name, message))
        }
    }
}

/// The key without the quotes that the draft has around it and most clients do not.
fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    inner.unwrap_or(value)
}

impl IdempotencyKey<'_> {
    /// The request id of the submit at this place of a batch.
    pub fn of_place(self, index: usize) -> String {
        format!("{}/{index}", self.text)
    }
}

/// Makes the key the request id of a submit or of a retry that has none. Fails with FIELD_INVALID where it has another and the
/// client has given both.
pub fn apply(request_id: &mut String, key: Option<IdempotencyKey<'_>>) -> Result<(), ApiError> {
    let Some(IdempotencyKey { text: key, of_client }) = key else {
        return Ok(());
    };
    if request_id.is_empty() {
        key.clone_into(request_id);
    }
    if request_id.as_str() == key || !of_client {
        return Ok(());
    }
    let message = format!(
        "is {key:?}, and requestId is {:?}; give one of them",
        excerpt(request_id)
    );
    Err(ApiError::field(HEADER, message))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(value: &'static str) -> Result<Option<String>, ApiError> {
        let mut headers = HeaderMap::new();
        headers.append(HEADER, HeaderValue::from_static(value));
        from_headers(&headers).map(|key| key.map(|key| key.text.to_owned()))
    }

    fn by(of_client: bool, text: &str) -> Option<IdempotencyKey<'_>> {
        Some(IdempotencyKey { text, of_client })
    }

    #[test]
    fn a_key_is_taken_with_and_without_quotes() {
        assert_eq!(from_headers(&HeaderMap::new()), Ok(None));
        assert_eq!(read("0f-1"), Ok(Some("0f-1".to_owned())));
        assert_eq!(read("\"0f-1\""), Ok(Some("0f-1".to_owned())));
    }

    #[test]
    fn a_key_that_names_nothing_is_refused() {
        let long: &'static str = "k".repeat(KEY_BYTES_MAX + 1).leak();
        for value in ["", "\"\"", long, "a b", "\"a\tb\"", "\" \""] {
            let error = read(value).expect_err(value);
            assert!(error.message.contains("Idempotency-Key"), "{error}");
        }
    }

    #[test]
    fn two_keys_are_refused() {
        let mut headers = HeaderMap::new();
        headers.append(HEADER, HeaderValue::from_static("a"));
        headers.append(HEADER, HeaderValue::from_static("b"));
        assert!(from_headers(&headers).is_err_and(|error| error.message.contains("more than once")));
    }

    #[test]
    fn a_key_of_a_proxy_yields_to_what_the_client_gave() {
        let mut headers = HeaderMap::new();
        headers.append(PROXY_HEADER, HeaderValue::from_static("proxy"));
        assert_eq!(from_headers(&headers), Ok(by(false, "proxy")));
        let mut own = "own".to_owned();
        assert_eq!(apply(&mut own, by(false, "proxy")), Ok(()));
        assert_eq!(own, "own");
        let mut none = String::new();
        assert_eq!(apply(&mut none, by(false, "proxy")), Ok(()));
        assert_eq!(none, "proxy");
        headers.append(HEADER, HeaderValue::from_static("client"));
        assert_eq!(from_headers(&headers), Ok(by(true, "client")));
    }

    #[test]
    fn a_key_that_contradicts_the_request_id_is_refused() {
        let mut mine = "mine".to_owned();
        let error = apply(&mut mine, by(true, "other")).expect_err("they differ");
        assert!(
            error.message.contains("\"other\", and requestId is \"mine\""),
            "{error}"
        );
        assert_eq!(apply(&mut mine, by(true, "mine")), Ok(()));
        assert_eq!(apply(&mut mine, None), Ok(()));
        let mut none = String::new();
        assert_eq!(apply(&mut none, by(true, "key")), Ok(()));
        assert_eq!(none, "key");
    }
}
