//! Rows of a CSV file as JSON.
//!
//! Promises: a column whose every value is a number becomes numbers, written as in the file where that is JSON, so that
//! no digit is lost; one of only true and false becomes booleans; any other stays text. Empty and `NA`, `NaN`, `null`
//! are missing.

use std::path::Path;

use serde_json::value::RawValue;

/// Cells that stand for a missing value.
const MISSING: &[&str] = &["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Boolean,
    Text,
}

/// The rows as a JSON array.
pub(in crate::command) fn of_csv(file: &Path) -> Result<Box<RawValue>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .from_path(file)
        .map_err(|error| error.to_string())?;
    let names: Vec<String> = reader
        .headers()
        .map_err(|error| error.to_string())?
        .iter()
        .map(str::to_owned)
        .collect();
    let records = reader
        .records()
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    let kinds: Vec<Kind> = (0..names.len())
        .map(|column| kind(records.iter().filter_map(|record| record.get(column))))
        .collect();
    let keys = names.iter().map(quoted).collect::<Result<Vec<_>, _>>()?;
    let mut out = String::from("[");
    for (number, record) in records.iter().enumerate() {
        out.push_str(if number == 0 { "{" } else { ",{" });
        for (column, cell) in record.iter().enumerate() {
            out.push_str(if column == 0 { "" } else { "," });
            out.push_str(&keys[column]);
            out.push(':');
            out.push_str(&value(cell.trim(), kinds[column])?);
        }
        out.push('}');
    }
    out.push(']');
    RawValue::from_string(out).map_err(|error| error.to_string())
}

fn kind<'a>(cells: impl Iterator<Item = &'a str>) -> Kind {
    let mut found = None;
    for cell in cells.map(str::trim).filter(|cell| !MISSING.contains(cell)) {
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

fn value(cell: &str, kind: Kind) -> Result<String, String> {
    if MISSING.contains(&cell) {
        return Ok("null".to_owned());
    }
    match kind {
        Kind::Boolean => Ok(cell.to_ascii_lowercase()),
        Kind::Text => quoted(&cell.to_owned()),
        Kind::Number if serde_json::from_str::<serde_json::Number>(cell).is_ok() => Ok(cell.to_owned()),
        // As `+1` or `.5`, which JSON does not know.
        Kind::Number => Ok(cell.parse::<f64>().map_err(|error| error.to_string())?.to_string()),
    }
}

fn quoted(text: &String) -> Result<String, String> {
    serde_json::to_string(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_one_type_each() {
        let file = std::env::temp_dir().join(format!("lepton-rows-{}.csv", std::process::id()));
        std::fs::write(&file, "n,b,t,m\n1.50,true,x,1\n+2,FALSE,\"a,b\",x\n,NA,,\n").expect("a file");
        let rows = of_csv(&file).expect("rows");
        assert_eq!(
            rows.get(),
            r#"[{"n":1.50,"b":true,"t":"x","m":"1"},{"n":2,"b":false,"t":"a,b","m":"x"},{"n":null,"b":null,"t":null,"m":null}]"#
        );
        std::fs::remove_file(file).expect("it can be removed");
    }
}
