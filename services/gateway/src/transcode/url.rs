//! Percent-encoding in the paths and queries of requests (RFC 3986; `+` in queries: WHATWG's URL standard).
//!
//! Promises: a broken escape, or one that does not give UTF-8, is `None` and never taken as it stands.

use percent_encoding::percent_decode_str;

/// A decoded path segment.
pub fn decode(text: &str) -> Option<String> {
    // The library passes what is no escape through.
    let mut escapes = text.split('%').skip(1);
    let well_formed =
        escapes.all(|rest| matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()));
    let decoded = percent_decode_str(text).decode_utf8().ok();
    decoded.filter(|_| well_formed).map(Into::into)
}

/// The decoded (name, value) pairs of a query, in their order.
pub fn query_pairs(query: &str) -> Option<Vec<(String, String)>> {
    let decode = |text: &str| decode(&text.replace('+', " "));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_broken_ones_refused() {
        assert_eq!(decode("a%20b+c").as_deref(), Some("a b+c"));
        assert_eq!(
            query_pairs("a%20b+c=%2B"),
            Some(vec![("a b c".to_owned(), "+".to_owned())])
        );
        for broken in ["%", "%4", "%zz", "%+1", "%ff", "%4%41"] {
            assert_eq!(decode(broken), None, "{broken}");
            assert_eq!(query_pairs(broken), None, "{broken}");
        }
    }

    #[test]
    fn queries_keep_their_order() {
        let pairs = query_pairs("a=1&b=%26&&c").expect("well formed");
        let expected = [("a", "1"), ("b", "&"), ("c", "")];
        let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        assert!(pairs.eq(expected));
    }
}
