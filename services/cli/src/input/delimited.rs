//! Delimited text with a header line: CSV (RFC 4180), TSV, and the same with semicolons or pipes.
//!
//! Promises: a column whose every value is a number becomes numbers, written as in the file where that is JSON, so that
//! no digit is lost; one of only true and false becomes booleans; any other stays text. Empty and `NA`, `NaN`, `null`
//! are missing.

use std::collections::HashSet;

use csv::{ByteRecord, ErrorKind, ReaderBuilder, StringRecord, Trim, WriterBuilder};
use lepton_domain::reason::{ApiError, Reason};
use serde_json::value::RawValue;

use super::unreadable;

/// Separators, the likelier one first.
const SEPARATORS: [u8; 4] = *b",\t;|";
/// Records from which the separator is recognised.
const SAMPLE_RECORDS: usize = 100;
/// Cells that stand for a missing value.
const MISSING: &[&str] = &["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"];

/// A table as text.
#[derive(Debug)]
pub(crate) struct Delimited {
    name: String,
    text: String,
    /// Offset of the header line: after a line `sep=;`, by which Excel names the separator.
    begin: usize,
    separator: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Boolean,
    Text,
}

impl Delimited {
    /// Recognises the separator of `text` among [`SEPARATORS`]; `name` is that of its input.
    pub(super) fn new(name: String, text: String) -> Self {
        let (begin, separator) = match declared(&text) {
            Some(declared) => declared,
            None => (0, sniff(&text)),
        };
        Self {
            name,
            text,
            begin,
            separator,
        }
    }

    /// The rows as a JSON array, each a [`row`].
    pub fn rows(&self) -> Result<Box<RawValue>, ApiError> {
        let mut reader = self.reader();
        let names = reader.headers().map_err(|error| self.broken(&error))?.clone();
        self.check_names(&names)?;
        let records: Vec<StringRecord> = reader
            .records()
            .collect::<Result<_, _>>()
            .map_err(|error| self.broken(&error))?;
        let kinds: Vec<Kind> = (0..names.len())
            .map(|column| kind(records.iter().filter_map(|record| record.get(column))))
            .collect();
        let keys: Vec<String> = names.iter().map(quoted).collect();
        let rows: Vec<String> = records.iter().map(|record| row(record, &keys, &kinds)).collect();
        RawValue::from_string(format!("[{}]", rows.join(","))).map_err(|error| unreadable(&self.name, &error))
    }

    /// The same table with commas, for a receiver that reads CSV only.
    pub fn into_csv(self) -> Result<String, ApiError> {
        if self.separator == b',' && self.begin == 0 {
            return Ok(self.text);
        }
        let mut writer = WriterBuilder::new().from_writer(Vec::new());
        let mut reader = builder(self.separator)
            .has_headers(false)
            .from_reader(self.table().as_bytes());
        let mut record = ByteRecord::new();
        while reader
            .read_byte_record(&mut record)
            .map_err(|error| self.broken(&error))?
        {
            writer.write_byte_record(&record).map_err(|error| self.broken(&error))?;
        }
        let written = writer.into_inner().map_err(|error| unreadable(&self.name, &error))?;
        String::from_utf8(written).map_err(|error| unreadable(&self.name, &error))
    }

    fn table(&self) -> &str {
        self.text.get(self.begin..).unwrap_or_default()
    }

    fn reader(&self) -> csv::Reader<&[u8]> {
        builder(self.separator).from_reader(self.table().as_bytes())
    }

    /// A name that appears twice would silently lose a column.
    fn check_names(&self, names: &StringRecord) -> Result<(), ApiError> {
        let mut seen = HashSet::new();
        match names.iter().find(|name| !seen.insert(*name)) {
            Some(name) => Err(unreadable(
                &self.name,
                &format!("the header line names column {name:?} twice"),
            )),
            None => Ok(()),
        }
    }

    fn broken(&self, error: &csv::Error) -> ApiError {
        let message = match error.kind() {
            ErrorKind::UnequalLengths {
                pos, expected_len, len, ..
            } => {
                let skipped = u64::from(self.begin > 0);
                let line = pos.as_ref().map_or(0, |position| position.line() + skipped);
                let separator = char::from(self.separator);
                format!("line {line} has {len} cells and the header line {expected_len} (separated by {separator:?})")
            }
            _ => error.to_string(),
        };
        ApiError::new(Reason::FileUnreadable, format!("{}: {message}", self.name))
    }
}

fn builder(separator: u8) -> ReaderBuilder {
    let mut builder = ReaderBuilder::new();
    builder.delimiter(separator).trim(Trim::All);
    builder
}

/// The separator that a first line `sep=;` names, and the offset after that line.
fn declared(text: &str) -> Option<(usize, u8)> {
    let (line, _) = text.split_once('\n')?;
    let separator = line.trim_end_matches('\r').strip_prefix("sep=")?;
    match separator.as_bytes() {
        [separator] if separator.is_ascii() => Some((line.len() + 1, *separator)),
        _ => None,
    }
}

/// The first separator that makes records of one length, and more than one cell; else that of most cells in the header.
fn sniff(text: &str) -> u8 {
    let lengths = SEPARATORS.map(|separator| lengths(text, separator));
    let even = |lengths: &[usize]| lengths.iter().all(|length| *length == lengths[0]);
    let split = |lengths: &[usize]| lengths.first().is_some_and(|length| *length > 1);
    let found = lengths.iter().position(|lengths| split(lengths) && even(lengths));
    let widest = || {
        let widths = lengths.iter().map(|lengths| lengths.first().copied().unwrap_or(0));
        // The last of equal ones is taken, hence the reversal.
        widths
            .enumerate()
            .rev()
            .max_by_key(|(_, width)| *width)
            .map(|(index, _)| index)
    };
    found.or_else(widest).map_or(b',', |index| SEPARATORS[index])
}

/// Cells of the first records, if they are separated like this.
fn lengths(text: &str, separator: u8) -> Vec<usize> {
    let mut reader = builder(separator)
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let records = reader.byte_records().take(SAMPLE_RECORDS);
    records.map_while(|record| Some(record.ok()?.len())).collect()
}

fn kind<'a>(cells: impl Iterator<Item = &'a str>) -> Kind {
    let mut found = None;
    for cell in cells.filter(|cell| !MISSING.contains(cell)) {
        let one = match cell {
            "true" | "false" | "True" | "False" | "TRUE" | "FALSE" => Kind::Boolean,
            _ if cell.parse::<f64>().is_ok_and(f64::is_finite) => Kind::Number,
            _ => return Kind::Text,
        };
        if *found.get_or_insert(one) != one {
            return Kind::Text;
        }
    }
    found.unwrap_or(Kind::Text)
}

fn row(record: &StringRecord, keys: &[String], kinds: &[Kind]) -> String {
    let cells = record.iter().zip(keys).zip(kinds);
    let cells: Vec<String> = cells
        .map(|((cell, key), kind)| format!("{key}:{}", value(cell, *kind)))
        .collect();
    format!("{{{}}}", cells.join(","))
}

fn value(cell: &str, kind: Kind) -> String {
    if MISSING.contains(&cell) {
        return "null".to_owned();
    }
    match kind {
        Kind::Boolean => cell.to_ascii_lowercase(),
        Kind::Text => quoted(cell),
        Kind::Number if serde_json::from_str::<serde_json::Number>(cell).is_ok() => cell.to_owned(),
        // As `+1` or `.5`, which JSON does not know.
        Kind::Number => cell
            .parse::<f64>()
            .map_or_else(|_| quoted(cell), |number| number.to_string()),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
