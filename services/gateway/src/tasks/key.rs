//! The header `Idempotency-Key` of submits over REST (draft-ietf-httpapi-idempotency-key-header): the request id of a
//! submit that has none.
//!
//! Promises: a proxy that sends a submit again to another gateway, because the first one died over it, makes no second
//! task, although its client gave no request id. Leaves what a known request id means to the leader.

use http::HeaderMap;
use lepton_domain::reason::Fault;

use super::Submit;

/// The header.
const HEADER: &str = "idempotency-key";
/// Bytes of a key: a request id has 128, and the place in a batch needs some of them.
const KEY_BYTES_MAX: usize = 120;

/// The key that a request carries.
pub fn of(headers: &HeaderMap) -> Result<Option<&str>, Fault> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(None);
    };
    let key = value.to_str().map(unquoted).unwrap_or_default();
    // Spaces and tabs are what proxies trim and fold: the same key must not become two.
    match key.len() {
        1..=KEY_BYTES_MAX if key.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Some(key)),
        _ => Err(Fault::field(
            "Idempotency-Key",
            format!("{value:?} is no key; give 1 to {KEY_BYTES_MAX} visible ASCII characters, or leave it out"),
        )),
    }
}

/// The draft writes keys as quoted strings; most clients do not.
fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    inner.unwrap_or(value)
}

/// Names one submit by the key, unless it has a name of its own.
pub fn name(submit: &mut Submit, key: Option<&str>) {
    if let Some(key) = key.filter(|_| submit.request.request_id.is_empty()) {
        key.clone_into(&mut submit.request.request_id);
    }
}

/// Names each submit of a batch by the key and its place.
pub fn name_all(submits: &mut [Result<Submit, Fault>], key: Option<&str>) {
    let Some(key) = key else { return };
    for (place, submit) in submits.iter_mut().enumerate() {
        if let Ok(submit) = submit {
            name(submit, Some(&format!("{key}/{place}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::tasks::submit;

    fn read(value: &'static str) -> Result<Option<String>, Fault> {
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static(HEADER), HeaderValue::from_static(value))]);
        of(&headers).map(|key| key.map(str::to_owned))
    }

    #[test]
    fn a_key_is_taken_with_and_without_quotes() {
        assert_eq!(of(&HeaderMap::new()), Ok(None));
        assert_eq!(read("0f-1"), Ok(Some("0f-1".to_owned())));
        assert_eq!(read("\"0f-1\""), Ok(Some("0f-1".to_owned())));
    }

    #[test]
    fn a_key_that_names_nothing_is_refused() {
        let long: &'static str = "k".repeat(KEY_BYTES_MAX + 1).leak();
        for value in ["", "\"\"", long, "a b", "\"a\tb\"", "\" \""] {
            let fault = read(value).expect_err(value);
            assert!(fault.message.contains("Idempotency-Key"), "{fault}");
        }
    }

    #[test]
    fn a_submit_keeps_the_name_that_it_has() {
        let body = br#"{"requests":[{"kind":"echo"},{"kind":"echo","requestId":"mine"},{"kind":"echo"}]}"#;
        let mut submits = submit::batch(body).expect("a batch");
        name_all(&mut submits, Some("key"));
        let names = submits
            .into_iter()
            .map(|submit| submit.expect("a submit").request.request_id);
        assert_eq!(names.collect::<Vec<_>>(), ["key/0", "mine", "key/2"]);
    }
}
