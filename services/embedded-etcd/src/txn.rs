//! Transactions: comparisons, the checks before a branch runs, and its operations.
//!
//! Promises that a branch that starts also ends: everything that could refuse it is checked first, so nothing is ever undone.

use crate::{
    keyrange::KeyRange,
    kv::Store,
    lease::Leases,
    revision::Version,
    rpc_error::RpcError,
    wire::{
        Compare, CompareResult, CompareTarget, DeleteRangeRequest, DeleteRangeResponse, Expected, Operation,
        OperationResponse, PutRequest, PutResponse, RequestOp, ResponseOp,
    },
};
use std::cmp::Ordering;

/// Returns true if a comparison holds for every living key that it names.
///
/// A missing key compares as zeros, except by value, where it never holds: an empty value and no value look alike on the wire.
pub(crate) fn holds(store: &Store, compare: &Compare) -> bool {
    let range = KeyRange::new(&compare.key, &compare.range_end);
    let mut found = false;
    for version in store.live_in(&range) {
        found = true;
        if !compares(compare, Some(version)) {
            return false;
        }
    }
    found || (compare.target() != CompareTarget::Value && compares(compare, None))
}

fn compares(compare: &Compare, version: Option<&Version>) -> bool {
    let number = |of: fn(&Version) -> i64| version.map_or(0, of);
    let ordering = match (compare.target(), &compare.expected) {
        (CompareTarget::Value, expected) => {
            let wanted: &[u8] = if let Some(Expected::Value(value)) = expected {
                value
            } else {
                &[]
            };
            version.map_or(&[] as &[u8], |version| &version.value).cmp(wanted)
        }
        (CompareTarget::Version, Some(Expected::Version(wanted))) => number(|version| version.version).cmp(wanted),
        (CompareTarget::Create, Some(Expected::Create(wanted))) => number(|version| version.created).cmp(wanted),
        (CompareTarget::Mod, Some(Expected::Mod(wanted))) => number(|version| version.modified.main).cmp(wanted),
        (CompareTarget::Lease, Some(Expected::Lease(wanted))) => number(|version| version.lease).cmp(wanted),
        // An operand of another kind than the target counts as zero.
        (CompareTarget::Version, _) => number(|version| version.version).cmp(&0),
        (CompareTarget::Create, _) => number(|version| version.created).cmp(&0),
        (CompareTarget::Mod, _) => number(|version| version.modified.main).cmp(&0),
        (CompareTarget::Lease, _) => number(|version| version.lease).cmp(&0),
    };
    match compare.result() {
        CompareResult::Equal => ordering == Ordering::Equal,
        CompareResult::Greater => ordering == Ordering::Greater,
        CompareResult::Less => ordering == Ordering::Less,
        CompareResult::NotEqual => ordering != Ordering::Equal,
    }
}

/// Refuses a branch that could not run to its end: puts first, then reads, as etcd does.
pub(crate) fn admit(store: &Store, leases: &Leases, branch: &[RequestOp]) -> Result<(), RpcError> {
    for op in branch {
        if let Some(Operation::Put(put)) = &op.request {
            admit_put(store, leases, put)?;
        }
    }
    for op in branch {
        if let Some(Operation::Range(range)) = &op.request {
            store.readable(range.revision)?;
        }
    }
    Ok(())
}

/// Refuses a put with an absent lease ([`RpcError::LeaseNotFound`]), or one that keeps parts of an absent key.
pub(crate) fn admit_put(store: &Store, leases: &Leases, put: &PutRequest) -> Result<(), RpcError> {
    if (put.ignore_value || put.ignore_lease) && store.live(&put.key).is_none() {
        return Err(RpcError::KeyNotFound);
    }
    if put.lease != 0 && !leases.exists(put.lease) {
        return Err(RpcError::LeaseNotFound);
    }
    Ok(())
}

/// Runs one operation of an admitted branch.
pub(crate) fn run(store: &mut Store, leases: &mut Leases, op: &RequestOp) -> Result<ResponseOp, RpcError> {
    let outcome = match &op.request {
        Some(Operation::Range(range)) => OperationResponse::Range(store.range(range)?),
        Some(Operation::Put(request)) => OperationResponse::Put(put(store, leases, request)),
        Some(Operation::Delete(request)) => OperationResponse::Delete(delete(store, leases, request)),
        // Both were refused with the request.
        Some(Operation::Txn(_)) | None => return Err(RpcError::KeyNotFound),
    };
    Ok(ResponseOp {
        response: Some(outcome),
    })
}

/// Runs an admitted put.
pub(crate) fn put(store: &mut Store, leases: &mut Leases, request: &PutRequest) -> PutResponse {
    let old = store.live(&request.key).cloned();
    let old_lease = old.as_ref().map_or(0, |version| version.lease);
    let value = match &old {
        Some(version) if request.ignore_value => version.value.clone(),
        _ => request.value.clone(),
    };
    let lease = if request.ignore_lease { old_lease } else { request.lease };
    let written = store.put(&request.key, &value, lease);
    leases.reattach(&written.key, old_lease, lease);
    let prev_kv = old.filter(|_| request.prev_kv).map(|version| version.to_kv(true));
    PutResponse {
        header: Some(store.header()),
        prev_kv,
    }
}

/// Runs a delete.
pub(crate) fn delete(store: &mut Store, leases: &mut Leases, request: &DeleteRangeRequest) -> DeleteRangeResponse {
    let doomed = store.delete(&KeyRange::new(&request.key, &request.range_end));
    for version in &doomed {
        leases.reattach(&version.key, version.lease, 0);
    }
    let deleted = doomed.len() as i64;
    let prev_kvs = if request.prev_kv {
        doomed.iter().map(|version| version.to_kv(true)).collect()
    } else {
        Vec::new()
    };
    DeleteRangeResponse {
        header: Some(store.header()),
        deleted,
        prev_kvs,
    }
}
