//! Bodies that were meant as JSON and are something else: in another encoding, of another format, or several texts at once.
//!
//! Promises: where the body shows its nature, INVALID_JSON names it and what to do instead. Leaves everything else to the parser
//! that refused the body.

use lepton_domain::reason::{ApiError, Reason};
use serde::de::IgnoredAny;

/// The nature of a body that was meant as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Mistake {
    #[error("the body begins with a byte order mark, which JSON does not have; save it as UTF-8 without one")]
    ByteOrderMark,
    #[error("the body is UTF-16 or UTF-32; JSON is UTF-8: save it, or send it, as that")]
    WideText,
    #[error("the body is compressed by gzip; say so with the header `content-encoding: gzip`")]
    Gzip,
    #[error(
        "the body is several JSON texts, one a line (NDJSON); put them into one list, as `jq -s` does: \
         {{\"data\":[{{\"a\":1}},{{\"a\":2}}]}}"
    )]
    Lines,
    #[error(
        "the body is CSV; send rows as JSON, {{\"data\":[{{\"a\":1,\"b\":2}}]}}, as `lepton analyze FILE.csv` does, or upload \
         the file at /api/v1/blobs and name it in a task"
    )]
    Csv,
}

/// The error of a body that begins like this, with its cause if that can be seen.
pub fn explained(error: ApiError, beginning: &[u8]) -> ApiError {
    // The first of several texts may be JSON, and not what is taken.
    let may_be_lines = [Reason::UnknownField, Reason::NoRows].contains(&error.reason);
    if error.reason != Reason::InvalidJson && !may_be_lines {
        return error;
    }
    match recognised(beginning) {
        Some(Mistake::Lines) => invalid(Mistake::Lines, "2", "1"),
        Some(mistake) if !may_be_lines => {
            let place = |key: &str| error.metadata.get(key).map_or("1", String::as_str);
            invalid(mistake, place("line"), place("column"))
        }
        _ => error,
    }
}

fn invalid(mistake: Mistake, line: &str, column: &str) -> ApiError {
    let message = format!("line {line}, column {column}: {mistake}");
    let error = ApiError::new(Reason::InvalidJson, message).with("line", line);
    error.with("column", column)
}

fn recognised(beginning: &[u8]) -> Option<Mistake> {
    match beginning {
        [0xef, 0xbb, 0xbf, ..] => return Some(Mistake::ByteOrderMark),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Some(Mistake::WideText),
        [0x1f, 0x8b, ..] => return Some(Mistake::Gzip),
        // UTF-8 has a zero only where somebody means one, and JSON has none.
        [_, 0, ..] | [0, _, ..] => return Some(Mistake::WideText),
        _ => {}
    }
    let mut lines = beginning.split(|byte| *byte == b'\n');
    let (first, second) = (
        lines.next()?.trim_ascii(),
        lines.next().unwrap_or_default().trim_ascii(),
    );
    let is_json = |line: &[u8]| serde_json::from_slice::<IgnoredAny>(line).is_ok();
    if first.starts_with(b"{") && second.starts_with(b"{") && is_json(first) {
        return Some(Mistake::Lines);
    }
    (is_csv(first) && !is_json(first) && second.len() > 1 && is_csv(second)).then_some(Mistake::Csv)
}

/// Recognises a line of several cells without any of JSON's brackets.
fn is_csv(line: &[u8]) -> bool {
    let separators = [b',', b';', b'\t'];
    let cells = separators
        .iter()
        .map(|separator| line.split(|byte| byte == separator).count());
    cells.max().is_some_and(|cells| cells > 1) && !line.iter().any(|byte| b"{}[]".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_body_is_is_recognised() {
        let utf16: Vec<u8> = "{\"data\":[]}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "{\"data\":[]}".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let cases: [(&[u8], Mistake); 9] = [
            (b"\xef\xbb\xbf{}", Mistake::ByteOrderMark),
            (b"\xff\xfe{\0}\0", Mistake::WideText),
            (b"\xfe\xff\0{\0}", Mistake::WideText),
            (&utf16, Mistake::WideText),
            (&big, Mistake::WideText),
            (b"\x1f\x8b\x08\0", Mistake::Gzip),
            (b"{\"a\":1}\n{\"a\":2}\n", Mistake::Lines),
            (b"a,b,label\r\n1,2,3\r\n", Mistake::Csv),
            (b"1;2;3\n4;5;6", Mistake::Csv),
        ];
        for (body, mistake) in cases {
            assert_eq!(recognised(body), Some(mistake), "{:?}", String::from_utf8_lossy(body));
        }
        for other in [
            &b""[..],
            b"data=1",
            b"{\"data\":[{\"a\":1}\n",
            b"{\"kind\":\"echo\",\n\"input\":{]}",
            b"hello, world",
            b"[1,\n2",
            b"\n\n",
        ] {
            assert_eq!(recognised(other), None, "{:?}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn only_what_is_no_json_is_explained() {
        let error = ApiError::new(Reason::InvalidJson, "line 1, column 7: no").with("line", "1");
        let wide = explained(error.clone().with("column", "7"), b"{\0}\0");
        assert!(
            wide.message.starts_with("line 1, column 7: the body is UTF-16"),
            "{wide}"
        );
        assert_eq!(explained(error.clone(), b"{}x"), error);
        for reason in [Reason::InvalidJson, Reason::UnknownField, Reason::NoRows] {
            let lines = explained(ApiError::new(reason, "no"), b"{\"a\":1}\n{\"a\":2}");
            assert_eq!(
                (lines.reason, lines.metadata["line"].as_str()),
                (Reason::InvalidJson, "2"),
                "{lines}"
            );
        }
        let unknown = ApiError::new(Reason::UnknownField, "no");
        assert_eq!(explained(unknown.clone(), b"{\"a\":1}"), unknown);
        let other = ApiError::new(Reason::FieldInvalid, "no");
        assert_eq!(explained(other.clone(), b"\xef\xbb\xbf"), other);
    }
}
