//! Source of a task's rows: its own input, or an upload that it names.
//!
//! An upload is CSV with a header line, a JSON array of rows, or an object with the array in `data`; its first letter
//! decides. Promises: one pass and no tree of values, as in `analyze`; an error names the row, from 0, and the column.

use bytes::Bytes;
use lepton_analysis::Table;
use lepton_core::blob::Area;
use lepton_mesh::memory_budget::Reservation;
use lepton_proto::convert::task::sha256;
use lepton_proto::convert::value::read::Reader;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{fields, rows};
use crate::active_time::ActiveTimer;
use crate::error::{Error, InputError, KindError};
use crate::model::access::ModelAccess;

mod csv;
#[cfg(test)]
mod tests;

/// Byte order mark, which some editors put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Rows of a task, or the name of their upload.
#[derive(Debug)]
pub(super) enum Source {
    /// Rows in the task's input.
    Rows(Table),
    /// Rows in the upload of this name.
    Blob(String),
}

impl Source {
    /// The source of an input: rows in `data`, or an upload's name in `blob`.
    pub(super) fn new(rows: Option<Table>, blob: Option<String>) -> Result<Self, InputError> {
        match (rows, blob) {
            (Some(rows), None) => Ok(Self::Rows(rows)),
            (None, Some(blob)) => Ok(Self::Blob(blob)),
            (None, None) => Err(InputError::NoRows(
                "there are no rows: give them in `data`, or name an upload in `blob`",
            )),
            (Some(_), Some(_)) => Err(InputError::field(
                "blob",
                "rows are given twice, in `data` and as an upload; give one",
            )),
        }
    }

    /// The table; `upload` is the content of the upload, where the source is one.
    pub(super) fn table(self, upload: Option<Bytes>, cancelled: &dyn Fn() -> bool) -> Result<Table, Error> {
        match self {
            Self::Rows(table) => Ok(table),
            Self::Blob(_) => read(&upload.unwrap_or_default(), cancelled),
        }
    }
}

/// The most bytes of an upload: those of the largest body that gateways take by default.
pub(super) const UPLOAD_BYTES_MAX: u64 = 64 << 20;

/// Fetches the upload of a source, where it is one. The caller holds [`UPLOAD_BYTES_MAX`] of the models' memory.
pub(super) async fn upload(models: &ModelAccess, source: &Source) -> Result<Option<Bytes>, Error> {
    match source {
        Source::Rows(_) => Ok(None),
        Source::Blob(blob) => {
            let blobs = models.blobs().await.ok_or(KindError::BlobStoreClosed)?;
            Ok(Some(blobs.get_object(Area::Uploads, blob).await?))
        }
    }
}

/// Waits until there is memory for this many bytes that have to be fetched; none is taken for none.
pub(super) async fn reserve(models: &ModelAccess, bytes: u64, timer: &ActiveTimer) -> Option<Reservation> {
    if bytes == 0 {
        return None;
    }
    let _pause = timer.pause();
    Some(models.memory.reserve(bytes).await)
}

/// Decodes the rows of an upload.
fn read(content: &[u8], cancelled: &dyn Fn() -> bool) -> Result<Table, Error> {
    let text = content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content);
    match text.trim_ascii_start().first() {
        None => Err(InputError::NoRows("the upload is empty").into()),
        Some(b'[') => {
            let mut reader = Reader::new(text)?;
            let table = rows::decode(&mut reader, cancelled)?;
            reader.end()?;
            Ok(table)
        }
        Some(b'{') => object(text, cancelled),
        Some(_) => csv::read(text, cancelled),
    }
}

fn object(text: &[u8], cancelled: &dyn Fn() -> bool) -> Result<Table, Error> {
    let mut reader = Reader::new(text)?;
    reader.peek()?;
    reader.open(0)?;
    let mut table = None;
    while reader.element(b'}')? {
        match &*reader.key()? {
            "data" if table.is_none() => table = Some(rows::decode(&mut reader, cancelled)?),
            "data" => return Err(fields::twice("data")),
            unknown => return Err(fields::unknown(unknown)),
        }
    }
    reader.end()?;
    Ok(table.ok_or(InputError::NoRows("the upload has no rows: give them in `data`"))?)
}

/// SHA-256 of the rows' text: of an upload, or of `data` as the task keeps it.
pub(super) fn digest(input: &[u8], upload: Option<&Bytes>) -> Result<String, InputError> {
    #[derive(Deserialize)]
    struct Rows<'a> {
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }
    if let Some(upload) = upload {
        return Ok(sha256(upload).to_string());
    }
    let rows: Rows<'_> = serde_json::from_slice(input)
        .map_err(|error| InputError::NotJson(format!("the input cannot be read: {error}")))?;
    Ok(sha256(rows.data.map_or("", RawValue::get).as_bytes()).to_string())
}
