//! Whether what a caller gives is what a model takes.
//!
//! Promises: every refusal names the tensor, what was expected and what came; nothing is allocated for what a caller
//! only claims. Leaves contents to `tensor`.

use std::collections::BTreeMap;

use lepton_domain::model::{DataType, Signature, Tensor as Expected};
use lepton_domain::reason::{Fault, Reason};

use super::tensor::Tensor;

#[cfg(test)]
mod tests;

/// The most elements that an empty tensor's other dimensions may make: a model may well turn `[1000000, 0]` into
/// something that is not empty.
const EMPTY_ELEMENTS_MAX: i64 = 1 << 24;

/// The longest part of a caller's own words that comes back.
const SHOWN_CHARS_MAX: usize = 64;

/// The input of this name. Fails with TENSOR_UNKNOWN.
pub fn input<'a>(signature: &'a Signature, name: &str) -> Result<&'a Expected, Fault> {
    let known = |expected: &&Expected| expected.name == name;
    signature.inputs.iter().find(known).ok_or_else(|| {
        let message = format!(
            "the model has no input {:?}; it takes {}",
            shown(name),
            listed(&signature.inputs)
        );
        Fault::new(Reason::TensorUnknown, message).with("tensor", shown(name))
    })
}

/// The place of the output of this name. Fails with TENSOR_UNKNOWN.
pub fn output(signature: &Signature, name: &str) -> Result<usize, Fault> {
    let found = signature.outputs.iter().position(|output| output.name == name);
    found.ok_or_else(|| {
        let message = format!(
            "the model has no output {:?}; it gives {}",
            shown(name),
            listed(&signature.outputs)
        );
        Fault::new(Reason::TensorUnknown, message).with("tensor", shown(name))
    })
}

/// The type that a caller names, if it is the expected one. Fails with TENSOR_TYPE.
pub fn datatype(expected: &Expected, given: &str) -> Result<DataType, Fault> {
    if given == expected.datatype.as_str() {
        return Ok(expected.datatype);
    }
    let (name, wanted) = (&expected.name, expected.datatype);
    let message = format!("input {name:?} takes {wanted}; {:?} came", shown(given));
    Err(tensor_fault(Reason::TensorType, name, message)
        .with("expected", wanted.as_str())
        .with("given", shown(given)))
}

/// The shape that a caller names, if the model takes it. Fails with TENSOR_SHAPE.
pub fn shape(expected: &Expected, given: &[i64]) -> Result<Vec<usize>, Fault> {
    let fits = |(wanted, given): (&i64, &i64)| *given >= 0 && (*wanted < 0 || wanted == given);
    let all = given.len() == expected.shape.len() && expected.shape.iter().zip(given).all(fits);
    if !all {
        return Err(shape_fault(expected, given, "came"));
    }
    if given.contains(&0) {
        let others = given.iter().filter(|dimension| **dimension > 0);
        let count = others.copied().try_fold(1_i64, |count, next| count.checked_mul(next));
        if count.is_none_or(|count| count > EMPTY_ELEMENTS_MAX) {
            return Err(shape_fault(
                expected,
                given,
                "came, which is empty and too large at once",
            ));
        }
    }
    let usable: Option<Vec<usize>> = given.iter().map(|dimension| usize::try_from(*dimension).ok()).collect();
    usable.ok_or_else(|| shape_fault(expected, given, "came"))
}

/// The given tensors in the order of the model's inputs. Fails with TENSOR_MISSING, TENSOR_UNKNOWN, TENSOR_TYPE,
/// TENSOR_SHAPE, or FIELD_INVALID for a tensor that is given twice.
pub fn inputs(signature: &Signature, given: Vec<Tensor>) -> Result<Vec<Tensor>, Fault> {
    let mut places: Vec<Option<Tensor>> = signature.inputs.iter().map(|_| None).collect();
    for tensor in given {
        let expected = input(signature, tensor.name())?;
        datatype(expected, tensor.datatype().as_str())?;
        let dimensions: Vec<i64> = tensor
            .shape()
            .iter()
            .map(|it| i64::try_from(*it).unwrap_or(-1))
            .collect();
        shape(expected, &dimensions)?;
        let place = signature
            .inputs
            .iter()
            .zip(&mut places)
            .find(|(it, _)| it.name == expected.name);
        let (_, place) = place.expect("the expected tensor is one of the signature's");
        if place.is_some() {
            return Err(Fault::field("inputs", format!("{:?} is given twice", expected.name)));
        }
        *place = Some(tensor);
    }
    let missing = |expected: &Expected| {
        let message = format!("input {} is missing", described(expected));
        tensor_fault(Reason::TensorMissing, &expected.name, message)
    };
    let ordered = signature.inputs.iter().zip(places);
    ordered
        .map(|(expected, place)| place.ok_or_else(|| missing(expected)))
        .collect()
}

/// Whether what shares a name has one length; `names` are those of the inputs' dimensions, in the model's order, empty
/// where one has none. Fails with TENSOR_SHAPE.
pub fn shared(names: &[Vec<String>], inputs: &[Tensor]) -> Result<(), Fault> {
    let mut lengths: BTreeMap<&str, (usize, &Tensor)> = BTreeMap::new();
    for (names, input) in names.iter().zip(inputs) {
        let named = names.iter().zip(input.shape()).filter(|(name, _)| !name.is_empty());
        for (name, &length) in named {
            let (expected, first) = *lengths.entry(name).or_insert((length, input));
            if expected != length {
                return Err(unequal(name, (first, expected), (input, length)));
            }
        }
    }
    Ok(())
}

fn unequal(dimension: &str, (first, expected): (&Tensor, usize), (second, given): (&Tensor, usize)) -> Fault {
    let message = format!(
        "inputs {:?} and {:?} share the dimension {:?}: {expected} of it came in {:?}, {given} in {:?}",
        first.name(),
        second.name(),
        shown(dimension),
        first.shape(),
        second.shape()
    );
    tensor_fault(Reason::TensorShape, second.name(), message)
        .with("expected", expected.to_string())
        .with("given", given.to_string())
}

/// Tensors in words, as `"x" FP32 [-1, 4]`.
pub fn listed(tensors: &[Expected]) -> String {
    /// More do not help anybody.
    const LISTED_MAX: usize = 16;
    let mut words: Vec<String> = tensors.iter().take(LISTED_MAX).map(described).collect();
    if tensors.len() > LISTED_MAX {
        words.push(format!("{} more", tensors.len() - LISTED_MAX));
    }
    if words.is_empty() {
        return "none".to_owned();
    }
    words.join(", ")
}

fn described(tensor: &Expected) -> String {
    format!("{:?} {} {:?}", tensor.name, tensor.datatype, tensor.shape)
}

fn shape_fault(expected: &Expected, given: &[i64], what: &str) -> Fault {
    let shown = format!("{:?}", &given[..given.len().min(SHOWN_CHARS_MAX)]);
    let wanted = format!("{:?}", expected.shape);
    let any = if expected.shape.contains(&-1) {
        " (-1 for any)"
    } else {
        ""
    };
    let message = format!("input {:?} takes shape {wanted}{any}; {shown} {what}", expected.name);
    tensor_fault(Reason::TensorShape, &expected.name, message)
        .with("expected", wanted)
        .with("given", shown)
}

fn tensor_fault(reason: Reason, name: &str, message: String) -> Fault {
    Fault::new(reason, message).with("tensor", name)
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}
