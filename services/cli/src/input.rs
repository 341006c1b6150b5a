//! Files and standard input with rows or requests, recognised by their content.
//!
//! Promises: the name of a file decides nothing; what is not understood is refused with what it is and what to do, and no
//! input is held beyond [`INPUT_BYTES_MAX`]. Leaves the checks of rows and requests to the mesh.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use lepton_domain::reason::{ApiError, Reason};
use serde_json::value::RawValue;

mod delimited;
mod json;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use delimited::Delimited;
pub(crate) use json::Object;

/// Largest input, also after decompression: a small gzip file may unpack to any size.
const INPUT_BYTES_MAX: u64 = 1 << 30;
/// Name of standard input on the command line.
const STDIN: &str = "-";

/// Rows or a request, in the format that the content shows.
#[derive(Debug)]
pub(crate) enum Content {
    /// Comma-, tab-, semicolon- or pipe-separated text with a header line.
    Delimited(Delimited),
    /// An array of rows: a JSON array, or JSON objects one after another (JSON Lines).
    Rows(Box<RawValue>),
    /// One JSON object that is more than a row, such as a whole request.
    Object(Object),
}

/// Reads `path`, or standard input for `-`, and recognises the [`Content`].
pub(crate) fn content(path: &Path) -> Result<Content, ApiError> {
    recognise(name(path), text(path)?)
}

/// Returns the text of `path`, or of standard input for `-`: UTF-8 or UTF-16, gzipped or not, without a byte order mark.
pub(crate) fn text(path: &Path) -> Result<String, ApiError> {
    text::decode(bytes(path)?).map_err(|why| unreadable(&name(path), &why))
}

/// Returns the bytes of `path`, or of standard input for `-`.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, ApiError> {
    let read = match path == Path::new(STDIN) {
        true => {
            let stdin = io::stdin();
            if stdin.is_terminal() {
                eprintln!("Reading standard input; Ctrl-D ends it.");
            }
            bounded(stdin.lock(), INPUT_BYTES_MAX)
        }
        false => File::open(path).and_then(|file| bounded(file, INPUT_BYTES_MAX)),
    };
    read.map_err(|error| unreadable(&name(path), &error))
}

/// Reads to the end, unless that is further than `bytes_max`.
fn bounded(reader: impl Read, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        let message = format!("it holds more than {} MiB; send it in parts", bytes_max >> 20);
        return Err(io::Error::other(message));
    }
    Ok(bytes)
}

fn recognise(name: String, text: String) -> Result<Content, ApiError> {
    match text.trim_start().chars().next() {
        None => Err(ApiError::new(Reason::NoRows, format!("{name}: it is empty"))),
        Some('[') => json::array(&text).map(Content::Rows).map_err(|error| {
            let message = format!("{name}: it begins with `[`, but is no array of rows in JSON: {error}");
            ApiError::new(Reason::InvalidJson, message)
        }),
        Some('{') => json::objects(&name, text),
        Some(_) => Ok(Content::Delimited(Delimited::new(name, text))),
    }
}

/// Name of an input in messages.
fn name(path: &Path) -> String {
    match path == Path::new(STDIN) {
        true => "standard input".to_owned(),
        false => path.display().to_string(),
    }
}

fn unreadable(name: &str, why: &dyn std::fmt::Display) -> ApiError {
    ApiError::new(Reason::FileUnreadable, format!("{name}: {why}"))
}
