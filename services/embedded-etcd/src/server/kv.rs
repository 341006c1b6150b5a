//! The `KV` service.

use super::call::{unary, unknown};
use crate::{
    check,
    handle::{Call, Handle},
    wire::{CompactionRequest, DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest},
};
use http::{Request, Response};
use tonic::body::Body;

/// Answers a method of `KV`.
pub(super) async fn route(handle: Handle, method: &str, request: Request<Body>) -> Response<Body> {
    let handle = &handle;
    match method {
        "Range" => {
            let range = |request: RangeRequest| async move {
                check::range(&request)?;
                handle.call(|answer| Call::Range(request, answer)).await
            };
            unary(request, range).await
        }
        "Put" => {
            let put = |request: PutRequest| async move {
                check::put(&request)?;
                check::size(&request)?;
                handle.call(|answer| Call::Put(request, answer)).await
            };
            unary(request, put).await
        }
        "DeleteRange" => {
            let delete = |request: DeleteRangeRequest| async move {
                check::key(&request.key)?;
                check::size(&request)?;
                handle.call(|answer| Call::Delete(request, answer)).await
            };
            unary(request, delete).await
        }
        "Txn" => {
            let txn = |request: TxnRequest| async move {
                check::txn(&request)?;
                // Only what goes through the log is measured, as in etcd.
                if !check::is_read_only(&request) {
                    check::size(&request)?;
                }
                handle.call(|answer| Call::Txn(request, answer)).await
            };
            unary(request, txn).await
        }
        "Compact" => {
            let compact = |request: CompactionRequest| handle.call(move |answer| Call::Compact(request, answer));
            unary(request, compact).await
        }
        _ => unknown(),
    }
}
