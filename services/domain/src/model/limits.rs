//! Limits of a new version.
//!
//! Leaves the limits of the whole record to its store.

use super::{DIMENSIONS_MAX, LINEAGE_BYTES_MAX, LINEAGE_PAIRS_MAX, NewVersion, Signature, TENSOR_NAME_BYTES_MAX};
use super::{TENSORS_MAX, Tensor};
use crate::reason::{ApiError, Reason};
use crate::text::excerpt;

/// Rejects a version whose description is too large for its record.
pub(super) fn check(new: &NewVersion) -> Result<(), ApiError> {
    check_signature(&new.signature)?;
    let (pairs, bytes) = (
        new.lineage.len(),
        new.lineage
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum::<usize>(),
    );
    if pairs > LINEAGE_PAIRS_MAX || bytes > LINEAGE_BYTES_MAX {
        let message = format!(
            "{pairs} pairs of {bytes} bytes in all; at most {LINEAGE_PAIRS_MAX} pairs of {LINEAGE_BYTES_MAX} bytes are kept"
        );
        return Err(ApiError::field("lineage", message));
    }
    if new.number == Some(0) || new.number == Some(u32::MAX) {
        return Err(ApiError::field(
            "version",
            "numbers of versions go from 1 to 4,294,967,294",
        ));
    }
    Ok(())
}

fn check_signature(signature: &Signature) -> Result<(), ApiError> {
    let invalid = |why: String| Err(ApiError::new(Reason::ModelInvalid, why));
    let count = signature.inputs.len() + signature.outputs.len();
    if count > TENSORS_MAX {
        return invalid(format!(
            "the model has {count} inputs and outputs; at most {TENSORS_MAX} are taken"
        ));
    }
    for Tensor { name, shape, .. } in signature.inputs.iter().chain(&signature.outputs) {
        if name.len() > TENSOR_NAME_BYTES_MAX {
            let (shown, length) = (excerpt(name), name.len());
            return invalid(format!(
                "the name of tensor {shown:?} has {length} bytes; at most {TENSOR_NAME_BYTES_MAX} are taken"
            ));
        }
        if shape.len() > DIMENSIONS_MAX {
            let length = shape.len();
            return invalid(format!(
                "tensor {name:?} has {length} dimensions; at most {DIMENSIONS_MAX} are taken"
            ));
        }
    }
    Ok(())
}
