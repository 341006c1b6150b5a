//! Outputs of kinds, in the form in which tasks keep them.

use lepton_domain::task::Encoding;
use lepton_proto::convert::value::compact;
use lepton_proto::proto_json;

use crate::error::{Error, KindError, OutputError};
use crate::kind::Output;

/// Writes a report as JSON.
pub(super) fn from_report(report: &impl serde::Serialize) -> Result<Output, Error> {
    json(serde_json::to_vec(report).map_err(OutputError::Json))
}

/// Writes a message of the contract, whose full name is given, as JSON.
pub(super) fn from_message(name: &str, message: &impl prost::Message) -> Result<Output, Error> {
    json(proto_json::encode(name, message).map_err(OutputError::Message))
}

fn json(text: Result<Vec<u8>, OutputError>) -> Result<Output, Error> {
    let content = text.and_then(|text| Ok(compact(&text)?)).map_err(KindError::Output)?;
    Ok(Output {
        encoding: Encoding::Json,
        content,
    })
}
