//! Check of a request against a model's signature.
//!
//! Promises: every refusal names the tensor, the expectation and what came; nothing is allocated for what a caller only
//! claims. Leaves contents to [`tensor`](super::tensor).

use std::collections::BTreeMap;

use lepton_domain::model::{Signature, Tensor as TensorSpec};
use lepton_domain::text::excerpt;

use super::tensor::{SharedDimension, Tensor, TensorError};

#[cfg(test)]
mod tests;

/// The most elements that an empty tensor's other dimensions may make: a model may well turn `[1000000, 0]` into
/// something that is not empty.
const EMPTY_ELEMENTS_MAX: i64 = 1 << 24;

/// Dimensions of a given shape that an error repeats.
const SHOWN_DIMENSIONS_MAX: usize = 64;

/// Finds the input of this name, or fails with [`TensorError::UnknownInput`].
pub(crate) fn find_input<'a>(signature: &'a Signature, name: &str) -> Result<&'a TensorSpec, TensorError> {
    let found = signature.inputs.iter().find(|input| input.name == name);
    found.ok_or_else(|| TensorError::UnknownInput {
        name: excerpt(name).into_owned(),
        known: describe_all(&signature.inputs),
    })
}

/// Finds the position of the output of this name, or fails with [`TensorError::UnknownOutput`].
pub(crate) fn find_output(signature: &Signature, name: &str) -> Result<usize, TensorError> {
    let found = signature.outputs.iter().position(|output| output.name == name);
    found.ok_or_else(|| TensorError::UnknownOutput {
        name: excerpt(name).into_owned(),
        known: describe_all(&signature.outputs),
    })
}

/// Checks the type that a caller names; fails with [`TensorError::Type`].
pub(crate) fn check_datatype(expected: &TensorSpec, given: &str) -> Result<(), TensorError> {
    if given == expected.datatype.as_str() {
        return Ok(());
    }
    Err(TensorError::Type {
        name: expected.name.clone(),
        expected: expected.datatype,
        given: excerpt(given).into_owned(),
    })
}

/// Checks the shape that a caller names, and returns it as lengths; fails with [`TensorError::Shape`].
pub(crate) fn check_shape(expected: &TensorSpec, given: &[i64]) -> Result<Vec<usize>, TensorError> {
    let fits = |(wanted, given): (&i64, &i64)| *given >= 0 && (*wanted < 0 || wanted == given);
    let all = given.len() == expected.shape.len() && expected.shape.iter().zip(given).all(fits);
    if !all {
        return Err(wrong_shape(expected, given, "came"));
    }
    if given.contains(&0) {
        let others = given.iter().filter(|dimension| **dimension > 0);
        let count = others.copied().try_fold(1_i64, |count, next| count.checked_mul(next));
        if count.is_none_or(|count| count > EMPTY_ELEMENTS_MAX) {
            return Err(wrong_shape(
                expected,
                given,
                "came, which is empty and too large at once",
            ));
        }
    }
    let usable: Option<Vec<usize>> = given.iter().map(|dimension| usize::try_from(*dimension).ok()).collect();
    usable.ok_or_else(|| wrong_shape(expected, given, "came"))
}

/// Checks the given tensors and returns them in the order of the model's inputs.
pub(crate) fn order_inputs(signature: &Signature, given: Vec<Tensor>) -> Result<Vec<Tensor>, TensorError> {
    let mut slots: Vec<Option<Tensor>> = signature.inputs.iter().map(|_| None).collect();
    for tensor in given {
        let expected = find_input(signature, tensor.name())?;
        check_datatype(expected, tensor.datatype().as_str())?;
        let dimensions: Vec<i64> = tensor
            .shape()
            .iter()
            .map(|it| i64::try_from(*it).unwrap_or(-1))
            .collect();
        check_shape(expected, &dimensions)?;
        let slot = signature
            .inputs
            .iter()
            .zip(&mut slots)
            .find(|(it, _)| it.name == expected.name);
        let (_, slot) = slot.expect("the expected tensor is one of the signature's");
        if slot.is_some() {
            return Err(TensorError::Twice {
                name: expected.name.clone(),
            });
        }
        *slot = Some(tensor);
    }
    let missing = |expected: &TensorSpec| TensorError::Missing {
        name: expected.name.clone(),
        described: describe(expected),
    };
    let ordered = signature.inputs.iter().zip(slots);
    ordered
        .map(|(expected, slot)| slot.ok_or_else(|| missing(expected)))
        .collect()
}

/// Checks that dimensions of one name have one length; `names` are those of the inputs' dimensions, in the model's order,
/// empty where one has none.
pub(crate) fn check_shared_dimensions(names: &[Vec<String>], inputs: &[Tensor]) -> Result<(), TensorError> {
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

fn unequal(dimension: &str, (first, expected): (&Tensor, usize), (second, given): (&Tensor, usize)) -> TensorError {
    TensorError::SharedDimension(Box::new(SharedDimension {
        first: first.name().to_owned(),
        first_shape: first.shape().to_vec(),
        name: second.name().to_owned(),
        shape: second.shape().to_vec(),
        dimension: excerpt(dimension).into_owned(),
        expected,
        given,
    }))
}

/// Describes tensors for people, as `"x" FP32 [-1, 4]`.
pub(crate) fn describe_all(tensors: &[TensorSpec]) -> String {
    /// More do not help anybody.
    const LISTED_MAX: usize = 16;
    let mut words: Vec<String> = tensors.iter().take(LISTED_MAX).map(describe).collect();
    if tensors.len() > LISTED_MAX {
        words.push(format!("{} more", tensors.len() - LISTED_MAX));
    }
    if words.is_empty() {
        return "none".to_owned();
    }
    words.join(", ")
}

fn describe(tensor: &TensorSpec) -> String {
    format!("{:?} {} {:?}", tensor.name, tensor.datatype, tensor.shape)
}

fn wrong_shape(expected: &TensorSpec, given: &[i64], problem: &'static str) -> TensorError {
    TensorError::Shape {
        name: expected.name.clone(),
        expected: expected.shape.clone(),
        given: format!("{:?}", &given[..given.len().min(SHOWN_DIMENSIONS_MAX)]),
        problem,
    }
}
