//! Requests that cannot be made with an ordinary client.

use super::*;

#[test]
fn refuses_unknown_sort_options() {
    let key = Bytes::from("k");
    let wrong_order = RangeRequest {
        key: key.clone(),
        sort_order: 3,
        ..RangeRequest::default()
    };
    assert_eq!(range(&wrong_order), Err(RpcError::InvalidSort));
    let wrong_target = RangeRequest {
        key: key.clone(),
        sort_target: 5,
        ..RangeRequest::default()
    };
    assert_eq!(range(&wrong_target), Err(RpcError::InvalidSort));
    assert_eq!(
        range(&RangeRequest {
            key,
            sort_order: 2,
            sort_target: 4,
            ..RangeRequest::default()
        }),
        Ok(())
    );
}

#[test]
fn refuses_an_empty_operation() {
    let request = TxnRequest {
        success: vec![RequestOp { request: None }],
        ..TxnRequest::default()
    };
    assert_eq!(txn(&request), Err(RpcError::KeyNotFound));
}

#[test]
fn knows_transactions_that_only_read() {
    let range = RangeRequest {
        key: Bytes::from("k"),
        ..RangeRequest::default()
    };
    let read = RequestOp {
        request: Some(Operation::Range(range)),
    };
    let put = PutRequest {
        key: Bytes::from("k"),
        ..PutRequest::default()
    };
    let write = RequestOp {
        request: Some(Operation::Put(put)),
    };
    let reads = TxnRequest {
        success: vec![read.clone()],
        ..TxnRequest::default()
    };
    assert!(is_read_only(&reads));
    assert!(!is_read_only(&TxnRequest {
        failure: vec![write],
        ..reads
    }));
}
