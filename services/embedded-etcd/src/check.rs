//! Checks that need only the request, made before it reaches the state: the same ones, in the same order, as etcd's gRPC layer.

use crate::{
    keyrange::KeyRange,
    rpc_error::RpcError,
    wire::{Operation, PutRequest, RangeRequest, RequestOp, SortOrder, SortTarget, TxnRequest},
};
use bytes::Bytes;
use prost::Message;
use std::collections::HashSet;

#[cfg(test)]
mod tests;

/// The largest write request in bytes (etcd's default `--max-request-bytes`).
pub(crate) const REQUEST_BYTES_MAX: usize = 3 * 512 * 1024;

/// The most operations in a branch, or comparisons, of one transaction (etcd's default `--max-txn-ops`).
pub(crate) const TXN_OPERATIONS_MAX: usize = 128;

/// Bytes that etcd adds to a request before it measures it: an id, a tag and a length.
const ENVELOPE_BYTES: usize = 18;

/// Refuses a write above [`REQUEST_BYTES_MAX`].
pub(crate) fn size(request: &impl Message) -> Result<(), RpcError> {
    if request.encoded_len() + ENVELOPE_BYTES > REQUEST_BYTES_MAX {
        Err(RpcError::TooLarge)
    } else {
        Ok(())
    }
}

/// Refuses a request without a key.
pub(crate) fn key(key: &Bytes) -> Result<(), RpcError> {
    if key.is_empty() {
        Err(RpcError::EmptyKey)
    } else {
        Ok(())
    }
}

/// Checks a range on its own.
pub(crate) fn range(request: &RangeRequest) -> Result<(), RpcError> {
    key(&request.key)?;
    if SortOrder::try_from(request.sort_order).is_err() || SortTarget::try_from(request.sort_target).is_err() {
        return Err(RpcError::InvalidSort);
    }
    Ok(())
}

/// Checks a put on its own.
pub(crate) fn put(request: &PutRequest) -> Result<(), RpcError> {
    key(&request.key)?;
    if request.ignore_value && !request.value.is_empty() {
        return Err(RpcError::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(RpcError::LeaseProvided);
    }
    Ok(())
}

/// Checks a whole transaction, both branches.
pub(crate) fn txn(request: &TxnRequest) -> Result<(), RpcError> {
    let operations = request
        .compare
        .len()
        .max(request.success.len())
        .max(request.failure.len());
    if operations > TXN_OPERATIONS_MAX {
        return Err(RpcError::TooManyOperations);
    }
    request.compare.iter().try_for_each(|compare| key(&compare.key))?;
    request.success.iter().chain(&request.failure).try_for_each(operation)?;
    unique(&request.success)?;
    unique(&request.failure)
}

/// Returns true if no branch of the transaction can change anything.
pub(crate) fn is_read_only(request: &TxnRequest) -> bool {
    let reads = |op: &RequestOp| matches!(op.request, Some(Operation::Range(_)));
    request.success.iter().all(reads) && request.failure.iter().all(reads)
}

fn operation(op: &RequestOp) -> Result<(), RpcError> {
    match &op.request {
        Some(Operation::Range(request)) => range(request),
        Some(Operation::Put(request)) => put(request),
        Some(Operation::Delete(request)) => key(&request.key),
        Some(Operation::Txn(_)) => Err(RpcError::Unsupported("nested transactions are not supported")),
        None => Err(RpcError::KeyNotFound),
    }
}

/// A branch may write a key only once: neither two puts, nor a put and a delete, in whatever order.
fn unique(branch: &[RequestOp]) -> Result<(), RpcError> {
    let deleted: Vec<KeyRange> = branch.iter().filter_map(deletes).collect();
    let mut written = HashSet::new();
    for op in branch {
        let Some(Operation::Put(put)) = &op.request else {
            continue;
        };
        if !written.insert(&put.key) || deleted.iter().any(|range| range.contains(&put.key)) {
            return Err(RpcError::DuplicateKey);
        }
    }
    Ok(())
}

fn deletes(op: &RequestOp) -> Option<KeyRange> {
    match &op.request {
        Some(Operation::Delete(delete)) => Some(KeyRange::new(&delete.key, &delete.range_end)),
        _ => None,
    }
}
