//! Decoding of the input of an `analyze` task, from its text straight into columns.
//!
//! Promises: one pass and no tree of values. Leaves rows to [`rows`].

use lepton_analysis::Table;
use lepton_domain::reason::ApiError;
use lepton_proto::analysis::v1::Consistency;
use lepton_proto::convert::analysis::packed;
use lepton_proto::convert::value::read::Reader;

use crate::analysis::{AnalyzeParams, table};
use crate::error::{Error, InputError};
use crate::kinds::{fields, rows};

/// Decodes the whole input.
pub(super) fn decode(text: &[u8], cancelled: &dyn Fn() -> bool) -> Result<(AnalyzeParams, Table), Error> {
    let mut reader = Reader::new(text)?;
    if reader.peek()? != b'{' {
        let message = "the input is not an object with rows in `data`";
        return Err(InputError::NotJson(message.to_owned()).into());
    }
    reader.open(0)?;
    let mut params = AnalyzeParams::default();
    let mut table = None;
    while reader.element(b'}')? {
        let key = reader.key()?;
        if reader.peek()? == b'n' {
            reader.word("null")?;
            continue;
        }
        match &*key {
            "data" => set_once(&mut table, rows::decode(&mut reader, cancelled)?)?,
            "table" => {
                let packed = packed::read(&mut reader).map_err(ApiError::from)?;
                set_once(&mut table, table::from_packed(packed)?)?;
            }
            "target" => params.target = Some(fields::text(&mut reader, "target")?),
            "model" => params.model = Some(fields::text(&mut reader, "model")?),
            "consistency" => params.consistency = consistency(&mut reader)?,
            unknown => return Err(fields::unknown(unknown)),
        }
    }
    reader.end()?;
    params.check()?;
    let table = table.ok_or_else(rows::none)?;
    Ok((params, table))
}

fn set_once(table: &mut Option<Table>, given: Table) -> Result<(), InputError> {
    match table.replace(given) {
        None => Ok(()),
        Some(_) => Err(InputError::field(
            "data",
            "rows are given twice; give `data` or `table` once",
        )),
    }
}

fn consistency(reader: &mut Reader<'_>) -> Result<Consistency, Error> {
    let unknown = |given: &dyn std::fmt::Display| {
        let problem = format!("{given} is not CONSISTENCY_ONE or CONSISTENCY_QUORUM");
        Error::from(InputError::field("consistency", problem))
    };
    if reader.peek()? == b'"' {
        let name = reader.text()?;
        return Consistency::from_str_name(&name).ok_or_else(|| unknown(&name));
    }
    let number = reader.number()?;
    let known = (0..=i32::from(u8::MAX)).find(|it| f64::from(*it) == number);
    known
        .and_then(|it| Consistency::try_from(it).ok())
        .ok_or_else(|| unknown(&number))
}
