//! Where a task's rows come from: its own input, or an upload that it names.
//!
//! An upload is CSV with a header line, a JSON array of rows, or an object with the array in `data`; its first letter tells
//! which. Promises: one pass and no tree of values, as in `analyze`; a fault names the row, from 0, and the column.

use bytes::Bytes;
use lepton_analysis::Table;
use lepton_core::blob::Area;
use lepton_domain::reason::{Fault, Reason};
use lepton_proto::convert::task::sha256;
use lepton_proto::convert::value::read::Reader;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::analyze::decode;
use crate::model::library::Library;

mod csv;
#[cfg(test)]
mod tests;

/// What some editors put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A task's rows, or where they are.
#[derive(Debug)]
pub enum Source {
    /// They came with the task.
    Rows(Table),
    /// They lie in the upload of this name.
    Blob(String),
}

impl Source {
    /// Takes what an input gives: rows in `data`, or an upload's name in `blob`.
    pub fn of(rows: Option<Table>, blob: Option<String>) -> Result<Self, Fault> {
        match (rows, blob) {
            (Some(rows), None) => Ok(Self::Rows(rows)),
            (None, Some(blob)) => Ok(Self::Blob(blob)),
            (None, None) => {
                let message = "there are no rows: give them in `data`, or name an upload in `blob`";
                Err(Fault::new(Reason::NoRows, message))
            }
            (Some(_), Some(_)) => {
                let message = "rows are given twice, in `data` and as an upload; give one";
                Err(Fault::field("blob", message))
            }
        }
    }
}

/// The most bytes of an upload: those of the largest body that gateways take by default.
pub const UPLOAD_BYTES_MAX: u64 = 64 << 20;

/// An upload; who fetches one holds [`UPLOAD_BYTES_MAX`] of the library's memory. Fails with BLOB_NOT_FOUND.
pub async fn upload(library: &Library, blob: &str) -> Result<Bytes, Fault> {
    library.blobs().await?.get_object(Area::Uploads, blob).await
}

/// The rows of an upload.
pub fn read(content: &[u8], cancelled: &dyn Fn() -> bool) -> Result<Table, Fault> {
    let text = content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content);
    match text.trim_ascii_start().first() {
        None => Err(Fault::new(Reason::NoRows, "the upload is empty")),
        Some(b'[') => {
            let mut reader = Reader::new(text)?;
            let table = decode::rows(&mut reader, cancelled)?;
            reader.end()?;
            Ok(table)
        }
        Some(b'{') => object(text, cancelled),
        Some(_) => csv::read(text, cancelled),
    }
}

fn object(text: &[u8], cancelled: &dyn Fn() -> bool) -> Result<Table, Fault> {
    let mut reader = Reader::new(text)?;
    reader.peek()?;
    reader.open(0)?;
    let mut rows = None;
    while reader.element(b'}')? {
        match &*reader.key()? {
            "data" if rows.is_none() => rows = Some(decode::rows(&mut reader, cancelled)?),
            "data" => return Err(Fault::field("data", "rows are given twice")),
            unknown => return Err(decode::unknown_field(unknown)),
        }
    }
    reader.end()?;
    rows.ok_or_else(|| Fault::new(Reason::NoRows, "the upload has no rows: give them in `data`"))
}

/// SHA-256 of what the rows are made of: of an upload, or of the text of `data` as the task keeps it.
pub fn digest(input: &[u8], upload: Option<&Bytes>) -> Result<String, Fault> {
    #[derive(Deserialize)]
    struct Rows<'a> {
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }
    if let Some(upload) = upload {
        return Ok(sha256(upload).to_string());
    }
    let rows: Rows<'_> = serde_json::from_slice(input)
        .map_err(|error| Fault::new(Reason::InvalidJson, format!("the input cannot be read: {error}")))?;
    Ok(sha256(rows.data.map_or("", RawValue::get).as_bytes()).to_string())
}
