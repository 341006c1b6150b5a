//! Requests that are refused for their shape or size.

use super::subject::{Bench, Outcome, refusal};
use etcd_client::{Compare, CompareOp, PutOptions, Txn, TxnOp};
use tonic::Code;

pub(super) async fn refuses_empty_keys(mut bench: Bench) -> Outcome {
    let empty = (Code::InvalidArgument, "etcdserver: key is not provided".to_owned());
    assert_eq!(refusal(bench.client.put("", "v", None).await), empty);
    assert_eq!(refusal(bench.client.get("", None).await), empty);
    assert_eq!(refusal(bench.client.delete("", None).await), empty);
    let operations = [TxnOp::put("", "v", None), TxnOp::get("", None), TxnOp::delete("", None)];
    for operation in operations {
        assert_eq!(refusal(bench.client.txn(Txn::new().or_else([operation])).await), empty);
    }
    let compare = Txn::new().when([Compare::version("", CompareOp::Equal, 0)]);
    assert_eq!(refusal(bench.client.txn(compare).await), empty);
    Ok(())
}

pub(super) async fn refuses_contradictions(mut bench: Bench) -> Outcome {
    bench.put("a", "1").await?;
    let value = PutOptions::new().with_ignore_value();
    let refused = refusal(bench.client.put(bench.key("a"), "2", Some(value)).await);
    assert_eq!(refused, (Code::InvalidArgument, "etcdserver: value is provided".into()));
    let lease = PutOptions::new().with_ignore_lease().with_lease(1);
    let refused = refusal(bench.client.put(bench.key("a"), "2", Some(lease)).await);
    assert_eq!(refused, (Code::InvalidArgument, "etcdserver: lease is provided".into()));
    Ok(())
}

pub(super) async fn refuses_large_requests(mut bench: Bench) -> Outcome {
    let large = (Code::InvalidArgument, "etcdserver: request is too large".to_owned());
    let mebibyte = 1024 * 1024;
    bench
        .client
        .put(bench.key("a"), vec![7; mebibyte * 3 / 2 - 512], None)
        .await?;
    assert_eq!(
        refusal(bench.client.put(bench.key("a"), vec![7; mebibyte * 3 / 2], None).await),
        large
    );
    let half = |name: &str| TxnOp::put(bench.key(name), vec![7; mebibyte * 3 / 4], None);
    assert_eq!(
        refusal(bench.client.txn(Txn::new().and_then([half("a"), half("b")])).await),
        large
    );
    let read = bench.client.get(bench.key("a"), None).await?;
    assert_eq!(read.kvs()[0].value().len(), mebibyte * 3 / 2 - 512);
    Ok(())
}

pub(super) async fn refuses_many_operations(bench: Bench) -> Outcome {
    let many = (
        Code::InvalidArgument,
        "etcdserver: too many operations in txn request".to_owned(),
    );
    let mut client = bench.client.clone();
    let get = || TxnOp::get(bench.key("a"), None);
    client.txn(Txn::new().and_then(vec![get(); 128])).await?;
    assert_eq!(refusal(client.txn(Txn::new().and_then(vec![get(); 129])).await), many);
    assert_eq!(refusal(client.txn(Txn::new().or_else(vec![get(); 129])).await), many);
    let compare = Compare::version(bench.key("a"), CompareOp::Equal, 0);
    assert_eq!(refusal(client.txn(Txn::new().when(vec![compare; 129])).await), many);
    Ok(())
}

pub(super) async fn refuses_huge_messages(mut bench: Bench) -> Outcome {
    let (code, message) = refusal(bench.client.put(bench.key("a"), vec![7; 3 * 1024 * 1024], None).await);
    assert_eq!(code, Code::ResourceExhausted);
    assert!(
        message.starts_with("grpc: received message larger than max"),
        "{message}"
    );
    Ok(())
}
