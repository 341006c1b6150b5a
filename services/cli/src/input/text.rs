//! From bytes to text: gzip, encodings, and formats that are no text.
//!
//! Promises: concatenated gzip data is read to its end; what is refused is named, with a command that converts it where
//! there is one.

use std::io::ErrorKind;

use flate2::read::MultiGzDecoder;

use super::{INPUT_BYTES_MAX, bounded};

const GZIP: &[u8] = b"\x1f\x8b";
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF16_LITTLE_ENDIAN_MARK: &[u8] = b"\xff\xfe";
const UTF16_BIG_ENDIAN_MARK: &[u8] = b"\xfe\xff";
const EXPORT: &str = "export it as CSV or JSON";
const DECOMPRESS: &str = "decompress it first, or use gzip";
const FROM_UTF32: &str = "convert it by `iconv -f UTF-32 -t UTF-8`";

/// First bytes of binary formats, their names, and what to do. Some are letters with which a text may begin as well, so
/// they count only for what is no text.
const BINARY: &[(&[u8], &str, &str)] = &[
    (GZIP, "compressed with gzip twice", "decompress it once"),
    (b"PAR1", "a Parquet file", EXPORT),
    (b"ARROW1", "an Arrow file", EXPORT),
    (b"FEA1", "a Feather file", EXPORT),
    (b"ORC", "an ORC file", EXPORT),
    (b"Obj\x01", "an Avro file", EXPORT),
    (b"\x89HDF\r\n", "an HDF5 file", EXPORT),
    (b"\x93NUMPY", "a NumPy array", EXPORT),
    (b"SQLite format 3\0", "an SQLite database", EXPORT),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)", EXPORT),
    (
        b"PK\x03\x04",
        "an Excel workbook (.xlsx) or another ZIP archive",
        EXPORT,
    ),
    (b"%PDF-", "a PDF", EXPORT),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", DECOMPRESS),
    (b"BZh", "compressed with bzip2", DECOMPRESS),
    (b"\xfd7zXZ\0", "compressed with xz", DECOMPRESS),
    (b"\x04\x22\x4d\x18", "compressed with lz4", DECOMPRESS),
    (b"\xff\xfe\0\0", "text in UTF-32", FROM_UTF32),
    (b"\0\0\xfe\xff", "text in UTF-32", FROM_UTF32),
];

/// Beginnings of markup, in lower case.
const MARKUP: [&str; 3] = ["<!doctype", "<html", "<?xml"];

/// The text of an input, or why there is none.
pub(super) fn decode(bytes: Vec<u8>) -> Result<String, String> {
    let bytes = match bytes.starts_with(GZIP) {
        true => decompress(&bytes)?,
        false => bytes,
    };
    let text = utf8(bytes)?;
    let start: String = text.trim_start().chars().take(10).collect::<String>().to_lowercase();
    match MARKUP.iter().any(|markup| start.starts_with(markup)) {
        true => Err("it is HTML or XML, perhaps a page with an error instead of the file".to_owned()),
        false => Ok(text),
    }
}

fn decompress(bytes: &[u8]) -> Result<Vec<u8>, String> {
    bounded(MultiGzDecoder::new(bytes), INPUT_BYTES_MAX).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => "its gzip data ends too early: part of it is missing".to_owned(),
        ErrorKind::Other => error.to_string(),
        _ => format!("its gzip data is damaged: {error}"),
    })
}

fn utf8(mut bytes: Vec<u8>) -> Result<String, String> {
    if bytes.starts_with(UTF8_MARK) {
        bytes.drain(..UTF8_MARK.len());
    }
    let nul = bytes.iter().position(|byte| *byte == 0);
    match (nul, String::from_utf8(bytes)) {
        (None, Ok(text)) => Ok(text),
        (Some(at), Ok(text)) => other(text.as_bytes(), at),
        (_, Err(error)) => other(error.as_bytes(), error.utf8_error().valid_up_to()),
    }
}

/// Text in another encoding, or why there is none in `bytes`, of which the one at `at` is not what UTF-8 text holds.
fn other(bytes: &[u8], at: usize) -> Result<String, String> {
    if let Some((_, what, advice)) = BINARY.iter().find(|(magic, ..)| bytes.starts_with(magic)) {
        return Err(format!("it is {what}, which is not read; {advice}"));
    }
    if let Some(rest) = bytes.strip_prefix(UTF16_LITTLE_ENDIAN_MARK) {
        return utf16(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(UTF16_BIG_ENDIAN_MARK) {
        return utf16(rest, u16::from_be_bytes);
    }
    let line = bytes.iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
    Err(match bytes.get(at) {
        Some(0) => format!(
            "line {line} holds a NUL byte: it is a binary file, or text in UTF-16 (`iconv -f UTF-16 -t UTF-8` converts it)"
        ),
        byte => format!(
            "line {line} is not UTF-8 (byte 0x{:02x}); text of older Windows programs is converted by \
             `iconv -f WINDOWS-1252 -t UTF-8`",
            byte.copied().unwrap_or_default()
        ),
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, String> {
    let (units, []) = bytes.as_chunks::<2>() else {
        return Err("its text in UTF-16 ends in the middle of a character".to_owned());
    };
    char::decode_utf16(units.iter().map(|pair| unit(*pair)))
        .collect::<Result<String, _>>()
        .map_err(|error| format!("its text in UTF-16 is damaged: {error}"))
}
