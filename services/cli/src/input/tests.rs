//! Contents as users have them, whatever the file is called.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn read(bytes: &[u8]) -> Result<Content, ApiError> {
    let name = "input".to_owned();
    let text = text::decode(bytes.to_vec()).map_err(|why| unreadable(&name, &why))?;
    recognise(name, text)
}

/// The rows in this content, as JSON.
#[track_caller]
fn rows(bytes: impl AsRef<[u8]>) -> String {
    let rows = match read(bytes.as_ref()).expect("it is read") {
        Content::Delimited(table) => table.rows().expect("it is a table"),
        Content::Rows(rows) => rows,
        Content::Object(object) => panic!("one object: {object:?}"),
    };
    String::from(Box::<str>::from(rows))
}

/// The refusal of this content.
#[track_caller]
fn refusal(bytes: impl AsRef<[u8]>) -> ApiError {
    match read(bytes.as_ref()) {
        Err(error) => error,
        Ok(Content::Delimited(table)) => table.rows().expect_err("no table"),
        Ok(content) => panic!("it is read: {content:?}"),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

const ROWS: &str = r#"[{"a":1,"b":"x"},{"a":2,"b":"y"}]"#;

#[test]
fn formats_are_known_by_their_content() {
    for text in [
        "a,b\n1,x\n2,y\n",
        "a\tb\n1\tx\n2\ty\n",
        "a;b\r\n1;x\r\n2;y\r\n",
        "a|b\n1|x\n2|y",
        "a,b\r1,x\r2,y\r",
        "a, b\n1, x\n2, y\n",
        "sep=;\r\na;b\r\n1;x\r\n2;y\r\n",
        "\n\n\"a\",\"b\"\n1,\"x\"\n\n2,y\n",
        "{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":\"y\"}\n",
        "{\"a\":1,\"b\":\"x\"}\r\n\r\n{\"a\":2,\"b\":\"y\"}",
        ROWS,
    ] {
        assert_eq!(rows(text), ROWS, "{text:?}");
        assert_eq!(
            rows(format!("\u{feff}{text}")),
            ROWS,
            "after a byte order mark: {text:?}"
        );
        assert_eq!(rows(gzip(text.as_bytes())), ROWS, "gzipped: {text:?}");
        let little: Vec<u8> = format!("\u{feff}{text}")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(rows(little), ROWS, "little-endian UTF-16: {text:?}");
        let big: Vec<u8> = format!("\u{feff}{text}")
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect();
        assert_eq!(rows(big), ROWS, "big-endian UTF-16: {text:?}");
    }
}

#[test]
fn separators_within_cells_and_names_do_not_mislead() {
    assert_eq!(
        rows("a;b\n1,5;x\n2,5;y\n"),
        r#"[{"a":"1,5","b":"x"},{"a":"2,5","b":"y"}]"#
    );
    assert_eq!(rows("\"a,1\"\tb\n1\tx\n"), r#"[{"a,1":1,"b":"x"}]"#);
    assert_eq!(rows("a,\"b;c|d\"\n1,\"x\ty;z\"\n"), r#"[{"a":1,"b;c|d":"x\ty;z"}]"#);
    assert_eq!(rows("a\n1\n2\n"), r#"[{"a":1},{"a":2}]"#);
    assert_eq!(rows("ORCID,PAR1\n1,2\n"), r#"[{"ORCID":1,"PAR1":2}]"#);
    assert_eq!(rows("<TICKER>,<CLOSE>\nX,2\n"), r#"[{"<TICKER>":"X","<CLOSE>":2}]"#);
}

#[test]
fn columns_have_one_type_each() {
    assert_eq!(
        rows("n,b,t,m\n1.50,true,x,1\n+2,FALSE,\"a,b\",x\n,NA,,\n"),
        r#"[{"n":1.50,"b":true,"t":"x","m":"1"},{"n":2,"b":false,"t":"a,b","m":"x"},{"n":null,"b":null,"t":null,"m":null}]"#
    );
}

#[test]
fn concatenated_gzip_is_read_to_its_end() {
    let twice = [gzip(b"a,b\n1,x\n"), gzip(b"2,y\n")].concat();
    assert_eq!(rows(twice), ROWS);
}

#[test]
fn one_object_is_a_row_or_a_request() {
    assert_eq!(rows(r#"{"a":1,"b":null}"#), r#"[{"a":1,"b":null}]"#);
    for text in [r#"{"data":[{"a":1}]}"#, r#"{"inputs":[]}"#, "{}"] {
        let Ok(Content::Object(object)) = read(text.as_bytes()) else {
            panic!("{text} is one object");
        };
        assert_eq!(object.text, text);
    }
}

#[test]
fn what_is_not_read_is_named() {
    let binary = |magic: &[u8]| [magic, &[0, 1, 2, 0xff]].concat();
    for (bytes, words) in [
        (binary(b"PAR1"), "Parquet"),
        (binary(b"PK\x03\x04"), "Excel"),
        (binary(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "Excel"),
        (binary(b"ARROW1"), "Arrow"),
        (binary(b"\x28\xb5\x2f\xfd"), "zstd"),
        (binary(b"BZh9"), "bzip2"),
        (gzip(&gzip(b"a,b\n1,2\n")), "gzip twice"),
        (gzip(b"a,b\n1,2\n")[..15].to_vec(), "ends too early"),
        (b"\x1f\x8bno gzip data".to_vec(), "gzip data is damaged"),
        (b"\xff\xfea\0,".to_vec(), "middle of a character"),
        (b"a\0,\0b\0\n\0".to_vec(), "UTF-16"),
        (b"a,b\n1,caf\xe9\n".to_vec(), "line 2 is not UTF-8 (byte 0xe9)"),
        (b"<!DOCTYPE html><html>".to_vec(), "HTML"),
        (b"a,b\n1,2\n3\n".to_vec(), "line 3 has 1 cells and the header line 2"),
        (b"a\tb\n1\t2\n3\n".to_vec(), "separated by '\\t'"),
        (b"sep=;\na;b\n1;2\n3\n".to_vec(), "line 4 has"),
        (b"a,a\n1,2\n".to_vec(), "names column \"a\" twice"),
    ] {
        let error = refusal(&bytes);
        assert_eq!(error.reason, Reason::FileUnreadable, "{words}: {error:?}");
        assert!(error.message.contains(words), "{words}: {}", error.message);
    }
    for (text, reason) in [
        ("", Reason::NoRows),
        (" \n", Reason::NoRows),
        ("[{\"a\":NaN}]", Reason::InvalidJson),
        ("[1,2]\n[3]", Reason::InvalidJson),
        ("{\"a\":1}\n{\"a\":}", Reason::InvalidJson),
        ("{\"a\":1},{\"a\":2}", Reason::InvalidJson),
    ] {
        let error = refusal(text);
        assert_eq!(error.reason, reason, "{text:?}: {error:?}");
        assert!(error.message.starts_with("input: "), "{error:?}");
    }
    assert!(refusal("{\"a\":1}\n{\"a\":}").message.contains("line 2"));
}

#[test]
fn other_separators_become_commas_for_an_upload() {
    let csv = |text: &str| match read(text.as_bytes()).expect("a table") {
        Content::Delimited(table) => table.into_csv().expect("it is written"),
        content => panic!("{content:?}"),
    };
    assert_eq!(csv("a,b\n1,x\n"), "a,b\n1,x\n");
    assert_eq!(csv("sep=;\na;b\n1,5;\"x;y\"\n"), "a,b\n\"1,5\",x;y\n");
}

#[test]
fn an_input_has_a_limit() {
    let limit = 1 << 20;
    assert_eq!(
        bounded(io::repeat(b'x').take(limit), limit).expect("it fits").len(),
        1 << 20
    );
    let endless = bounded(io::repeat(b'x'), limit).expect_err("too large");
    assert!(endless.to_string().contains("more than 1 MiB"), "{endless}");
}
