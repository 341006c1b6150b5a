//! Cuts keep characters whole, and no credential is left.

use super::*;

#[test]
fn a_text_is_cut_between_characters() {
    for (text, expected) in [
        ("abcdefgh", "abcdefgh"),
        ("abcdefghi", "abcde..."),
        ("abc\u{1f600}def", "abc..."),
        ("", ""),
    ] {
        assert_eq!(cut(text, 8), expected);
    }
    assert_eq!(cut("abcdef", 2), "ab");
    assert_eq!(cut_with("\u{e9}\u{e9}\u{e9}", 5, "\u{2026}"), "\u{e9}\u{2026}");
    assert_eq!(head("\u{e9}\u{e9}", 3), "\u{e9}");
    let long = "\u{e9}".repeat(EXCERPT_BYTES_MAX);
    assert!(excerpt(&long).len() <= EXCERPT_BYTES_MAX && excerpt(&long).ends_with("..."));
}

#[test]
fn no_credential_is_left_in_a_message() {
    for (message, expected) in [
        ("nothing to hide", "nothing to hide"),
        ("write to a@b.example", "write to a@b.example"),
        (
            "etcd: \"http://root:s3cret@h:2379\" is no URL",
            "etcd: \"http://***@h:2379\" is no URL",
        ),
        (
            "etcd = [\"http://root:s3/cr@et@h:2379\", 'https://s3cret@h']",
            "etcd = [\"http://***@h:2379\", 'https://***@h']",
        ),
        ("http://u:s3cret@a,http://b", "http://***@a,http://b"),
        ("unexpected 'root:s3cret@h:2379'", "unexpected '***@h:2379'"),
        ("s3://bucket/p?secret_key=s3cret is", "s3://bucket/p?*** is"),
        ("is it so? yes", "is it so? yes"),
        ("--etcd=http://root:s3cret@h", "--etcd=http://***@h"),
    ] {
        assert_eq!(redacted(message), expected);
    }
}

#[test]
fn no_credential_is_left_of_an_address() {
    for (address, expected) in [
        ("http://127.0.0.1:2379", "http://127.0.0.1:2379"),
        ("[::1]:2379", "[::1]:2379"),
        ("http://[::1]", "http://[::1]"),
        ("127.0.0.1:99999", "127.0.0.1:99999"),
        ("root:s3cret@h:2379", "***@h:2379"),
        ("s3cret@h", "***@h"),
        ("http://root:s3,cr", "http://root:***"),
        ("root:s3cret", "root:***"),
        ("http://root:s3/cr@h", "http://***@h"),
        ("http://h:2379/?token=s3cret", "http://h:2379/?***"),
    ] {
        assert_eq!(redacted_address(address), expected);
    }
}
