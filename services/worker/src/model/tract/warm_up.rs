//! First run of a model, on made-up inputs.
//!
//! Promises: open dimensions get lengths until the model runs or the lengths are used up. Leaves time and memory to
//! the caller.

use lepton_domain::model::{DataType, Tensor as TensorSpec};
use tract_onnx::tract_hir::internal::*;

use super::plans::PlanSet;
use super::run::{Halt, RunBounds};
use super::value;
use crate::panics::catch_panic;

/// Lengths to try for open dimensions but the first, which is usually the batch: convolutions over neighbours
/// need some.
const LENGTHS: [usize; 5] = [1, 2, 16, 64, 224];
/// The most elements of a made-up input.
const ELEMENTS_MAX: usize = 1 << 22;

/// Runs the model and returns its outputs. The error is that of the first try.
pub(super) fn run(plans: &PlanSet, inputs: &[TensorSpec], bounds: RunBounds<'_>) -> TractResult<TVec<TValue>> {
    let mut first = None;
    let open = inputs.iter().any(|input| input.shape.contains(&-1));
    let lengths = if open { &LENGTHS[..] } else { &LENGTHS[..1] };
    for &length in lengths {
        // Zeros are indexes that exist, ones are numbers by which one may divide.
        for number in [0, 1] {
            match attempt(plans, inputs, length, number, bounds) {
                Ok(outputs) => return Ok(outputs),
                Err(error) if Halt::of(&error) == Some(&Halt::Stopped) => return Err(error),
                Err(error) => _ = first.get_or_insert(error),
            }
        }
    }
    Err(first.unwrap_or_else(|| format_err!("it could not be tried")))
}

fn attempt(
    plans: &PlanSet,
    inputs: &[TensorSpec],
    length: usize,
    number: u8,
    bounds: RunBounds<'_>,
) -> TractResult<TVec<TValue>> {
    let made = inputs.iter().map(|input| made_up(input, length, number));
    let made = made.collect::<TractResult<TVec<_>>>()?;
    catch_panic(|| plans.run(made, bounds)).unwrap_or_else(|panic| Err(format_err!(panic)))
}

/// An input of one value throughout.
fn made_up(input: &TensorSpec, length: usize, number: u8) -> TractResult<TValue> {
    let dimension = |(axis, wanted): (usize, &i64)| match usize::try_from(*wanted) {
        Ok(wanted) => wanted,
        Err(_) if axis == 0 => 1,
        Err(_) => length,
    };
    let shape: TVec<usize> = input.shape.iter().enumerate().map(dimension).collect();
    let elements = shape.iter().try_fold(1_usize, |count, next| count.checked_mul(*next));
    if elements.is_none_or(|elements| elements > ELEMENTS_MAX) {
        bail!("input {:?} of shape {shape:?} is too large to be tried", input.name);
    }
    if input.datatype == DataType::Bytes {
        let texts = tract_ndarray::ArrayD::from_elem(&*shape, String::new());
        return Ok(Tensor::from(texts).into_tvalue());
    }
    let datum_type = value::datum_type(input.datatype).context("BF16 is not supported")?;
    let scalar = tensor0(number);
    let scalar = if datum_type == DatumType::Bool {
        tensor0(number == 1)
    } else {
        scalar.cast_to_dt(datum_type)?.into_owned()
    };
    Ok(scalar.broadcast_scalar_to_shape(&shape)?.into_tvalue())
}
