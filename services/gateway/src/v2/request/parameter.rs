//! Parameters of requests and tensors: named single values.
//!
//! Promises: what is asked for and not built is refused, not ignored. Leaves those that it does not know to the models.

use std::collections::BTreeMap;

use lepton_proto::convert::value::read::Reader;
use lepton_proto::inference::InferParameter;
use lepton_proto::inference::infer_parameter::ParameterChoice;

use super::object;
use crate::v2::error::RequestError;

/// The most parameters in one place.
const PARAMETERS_MAX: usize = 64;

/// Named parameters.
pub type Parameters = BTreeMap<String, InferParameter>;

/// Reads the parameters that begin here and lie within `depth` arrays and objects.
pub fn read(reader: &mut Reader<'_>, depth: usize, what: &str) -> Result<Parameters, RequestError> {
    let mut parameters = Parameters::new();
    object(reader, depth, &format!("the parameters of {what}"), |reader, name| {
        if parameters.len() == PARAMETERS_MAX {
            let why = format!("{what} has more than {PARAMETERS_MAX}");
            return Err(RequestError::field("parameters", why));
        }
        let choice = value(reader, name)?;
        let parameter = InferParameter {
            parameter_choice: Some(choice),
        };
        parameters.insert(name.to_owned(), parameter);
        Ok(())
    })?;
    Ok(parameters)
}

fn value(reader: &mut Reader<'_>, name: &str) -> Result<ParameterChoice, RequestError> {
    Ok(match reader.peek()? {
        b'"' => ParameterChoice::StringParam(reader.text()?.into_owned()),
        b't' => reader.word("true").map(|()| ParameterChoice::BoolParam(true))?,
        b'f' => reader.word("false").map(|()| ParameterChoice::BoolParam(false))?,
        b'{' | b'[' => {
            let why = format!("parameter {name:?} must be a text, a number, true or false");
            return Err(reader.refuse(&why).into());
        }
        _ => {
            let literal = reader.literal()?;
            if let Ok(number) = literal.parse() {
                ParameterChoice::Int64Param(number)
            } else if let Ok(number) = literal.parse() {
                ParameterChoice::Uint64Param(number)
            } else {
                let number: Option<f64> = literal.parse().ok().filter(|number: &f64| number.is_finite());
                let beyond = || RequestError::field(name, "is beyond the largest number");
                ParameterChoice::DoubleParam(number.ok_or_else(beyond)?)
            }
        }
    })
}

/// Takes a parameter that is true or false.
pub fn flag(parameters: &mut Parameters, name: &str) -> Result<Option<bool>, RequestError> {
    match take(parameters, name) {
        None => Ok(None),
        Some(ParameterChoice::BoolParam(flag)) => Ok(Some(flag)),
        Some(_) => Err(RequestError::field(name, "must be true or false")),
    }
}

/// Takes a parameter that is a number of bytes.
pub fn bytes(parameters: &mut Parameters, name: &str) -> Result<Option<usize>, RequestError> {
    let number = match take(parameters, name) {
        None => return Ok(None),
        Some(ParameterChoice::Int64Param(number)) => usize::try_from(number).ok(),
        Some(_) => None,
    };
    let refused = || RequestError::field(name, "must be a number of bytes, 0 or more");
    number.map(Some).ok_or_else(refused)
}

fn take(parameters: &mut Parameters, name: &str) -> Option<ParameterChoice> {
    parameters.remove(name)?.parameter_choice
}

/// Refuses parameters of a tensor whose meaning is known and not built.
pub fn refuse_unbuilt(parameters: &Parameters, tensor: &str) -> Result<(), RequestError> {
    let unbuilt = parameters.keys().find_map(|name| match name.as_str() {
        "classification" => Some("classification is not built; take the output itself"),
        name if name.starts_with("shared_memory") => Some("shared memory is not built; send and take tensors as data"),
        _ => None,
    });
    match unbuilt {
        Some(why) => Err(RequestError::NotBuilt {
            tensor: tensor.to_owned(),
            why,
        }),
        None => Ok(()),
    }
}
