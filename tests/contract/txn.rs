//! Transactions.

use super::subject::{Bench, Outcome, refusal};
use etcd_client::{Compare, CompareOp, DeleteOptions, Error, GetOptions, PutOptions, Txn, TxnOp, TxnOpResponse};
use tonic::Code;

const OPERATORS: [CompareOp; 4] = [
    CompareOp::Equal,
    CompareOp::Greater,
    CompareOp::Less,
    CompareOp::NotEqual,
];

/// Which operators hold, as `=><!` without those that do not.
async fn holds(bench: &mut Bench, compare: impl Fn(CompareOp) -> Compare) -> Result<String, Error> {
    let mut found = String::new();
    for (operator, sign) in OPERATORS.into_iter().zip("=><!".chars()) {
        if bench
            .client
            .txn(Txn::new().when([compare(operator)]))
            .await?
            .succeeded()
        {
            found.push(sign);
        }
    }
    Ok(found)
}

pub(super) async fn compares_every_target(mut bench: Bench) -> Outcome {
    let lease = bench.client.lease_grant(60, None).await?.id();
    let created = bench.put("a", "m").await?;
    bench
        .client
        .put(bench.key("a"), "m", Some(PutOptions::new().with_lease(lease)))
        .await?;
    let key = bench.key("a");
    let at = || key.clone();
    for (shift, expected) in [(0, "="), (-1, ">!"), (1, "<!")] {
        assert_eq!(
            holds(&mut bench, |op| Compare::version(at(), op, 2 + shift)).await?,
            expected
        );
        assert_eq!(
            holds(&mut bench, |op| Compare::create_revision(at(), op, created + shift)).await?,
            expected
        );
        assert_eq!(
            holds(&mut bench, |op| Compare::mod_revision(at(), op, created + 1 + shift)).await?,
            expected
        );
        assert_eq!(
            holds(&mut bench, |op| Compare::lease(at(), op, lease + shift)).await?,
            expected
        );
    }
    for (value, expected) in [("m", "="), ("a", ">!"), ("z", "<!"), ("", ">!"), ("mm", "<!")] {
        assert_eq!(
            holds(&mut bench, |op| Compare::value(at(), op, value)).await?,
            expected,
            "{value:?}"
        );
    }
    let key = bench.key("missing");
    let at = || key.clone();
    assert_eq!(holds(&mut bench, |op| Compare::version(at(), op, 0)).await?, "=");
    assert_eq!(
        holds(&mut bench, |op| Compare::create_revision(at(), op, 0)).await?,
        "="
    );
    assert_eq!(holds(&mut bench, |op| Compare::mod_revision(at(), op, 1)).await?, "<!");
    assert_eq!(holds(&mut bench, |op| Compare::lease(at(), op, 0)).await?, "=");
    assert_eq!(holds(&mut bench, |op| Compare::value(at(), op, "")).await?, "");
    Ok(())
}

pub(super) async fn compares_ranges(mut bench: Bench) -> Outcome {
    bench.put("a/1", "1").await?;
    bench.put("a/2", "2").await?;
    let prefix = bench.key("a/");
    let all = |op| Compare::version(prefix.clone(), op, 1).with_prefix();
    assert_eq!(holds(&mut bench, all).await?, "=");
    let values = |op| Compare::value(prefix.clone(), op, "1").with_prefix();
    assert_eq!(holds(&mut bench, values).await?, "");
    let none = bench.key("b/");
    assert_eq!(
        holds(&mut bench, |op| Compare::version(none.clone(), op, 0).with_prefix()).await?,
        "="
    );
    Ok(())
}

pub(super) async fn takes_the_other_branch(mut bench: Bench) -> Outcome {
    let start = bench.put("a", "1").await?;
    let (a, b) = (bench.key("a"), bench.key("b"));
    let txn = |value: &str| {
        Txn::new()
            .when([
                Compare::value(a.clone(), CompareOp::Equal, "1"),
                Compare::version(b.clone(), CompareOp::Equal, 0),
            ])
            .and_then([TxnOp::put(b.clone(), value, None)])
            .or_else([TxnOp::get(b.clone(), None), TxnOp::delete(b.clone(), None)])
    };
    let first = bench.client.txn(txn("x")).await?;
    assert!(first.succeeded());
    assert_eq!(first.header().expect("every answer has a header").revision(), start + 1);
    let second = bench.client.txn(txn("y")).await?;
    assert!(!second.succeeded());
    assert_eq!(
        second.header().expect("every answer has a header").revision(),
        start + 2
    );
    match &second.op_responses()[..] {
        [TxnOpResponse::Get(get), TxnOpResponse::Delete(delete)] => {
            assert_eq!((get.kvs()[0].value(), delete.deleted()), (&b"x"[..], 1));
        }
        other => panic!("a read and a deletion were asked for: {other:?}"),
    }
    Ok(())
}

pub(super) async fn is_one_revision(mut bench: Bench) -> Outcome {
    let start = bench.put("c", "1").await?;
    let put = |name: &str| TxnOp::put(bench.key(name), "v", None);
    let txn = Txn::new().and_then([put("b"), put("a"), TxnOp::delete(bench.key("c"), None)]);
    let response = bench.client.txn(txn).await?;
    assert_eq!(
        response.header().expect("every answer has a header").revision(),
        start + 1
    );
    let listed = bench
        .client
        .get(bench.key(""), Some(GetOptions::new().with_prefix()))
        .await?;
    let revisions: Vec<i64> = listed.kvs().iter().map(|kv| kv.mod_revision()).collect();
    assert_eq!(revisions, [start + 1, start + 1]);
    assert_eq!(bench.revision().await?, start + 1);
    let empty = Txn::new().and_then([TxnOp::delete(bench.key("none"), None)]);
    let response = bench.client.txn(empty).await?;
    assert_eq!(
        response.header().expect("every answer has a header").revision(),
        start + 1
    );
    Ok(())
}

pub(super) async fn reads_its_own_writes(mut bench: Bench) -> Outcome {
    let start = bench.put("a", "1").await?;
    let (a, b) = (bench.key("a"), bench.key("b"));
    let prefix = Some(GetOptions::new().with_prefix());
    let txn = Txn::new().and_then([
        TxnOp::get(a.clone(), None),
        TxnOp::put(a.clone(), "2", Some(PutOptions::new().with_prev_key())),
        TxnOp::put(b, "2", None),
        TxnOp::get(bench.key(""), prefix),
        TxnOp::get(a, Some(GetOptions::new().with_revision(start))),
        TxnOp::delete(bench.key("none"), Some(DeleteOptions::new().with_prefix())),
    ]);
    let response = bench.client.txn(txn).await?;
    let responses = response.op_responses();
    let [before, put, _, after, past, none] = &responses[..] else {
        panic!("six operations: {responses:?}")
    };
    let (TxnOpResponse::Get(before), TxnOpResponse::Get(after), TxnOpResponse::Get(past)) = (before, after, past)
    else {
        panic!("three reads: {responses:?}")
    };
    let (TxnOpResponse::Put(put), TxnOpResponse::Delete(none)) = (put, none) else {
        panic!("{responses:?}")
    };
    assert_eq!(before.kvs()[0].value(), b"1");
    assert_eq!(put.prev_key().expect("it was asked for").value(), b"1");
    let seen: Vec<_> = after.kvs().iter().map(|kv| bench.word(kv.key(), kv.value())).collect();
    assert_eq!(seen.join(" "), "a=2 b=2");
    assert_eq!((past.kvs()[0].value(), none.deleted()), (&b"1"[..], 0));
    let inner = [
        before.header(),
        put.header(),
        after.header(),
        past.header(),
        none.header(),
    ];
    let revisions: Vec<i64> = inner
        .iter()
        .map(|header| header.map_or(0, |header| header.revision()))
        .collect();
    assert_eq!(revisions, [start, start + 1, start + 1, start + 1, start + 1]);
    Ok(())
}

pub(super) async fn reads_only(mut bench: Bench) -> Outcome {
    let start = bench.put("a", "1").await?;
    let key = bench.key("a");
    let response = bench
        .client
        .txn(Txn::new().and_then([TxnOp::get(key.clone(), None)]))
        .await?;
    assert_eq!(response.header().expect("every answer has a header").revision(), start);
    let future = TxnOp::get(key, Some(GetOptions::new().with_revision(start + 1)));
    let refused = refusal(bench.client.txn(Txn::new().and_then([future])).await);
    assert_eq!(
        refused,
        (
            Code::OutOfRange,
            "etcdserver: mvcc: required revision is a future revision".into()
        )
    );
    let nothing = bench.client.txn(Txn::new()).await?;
    assert!(nothing.succeeded() && nothing.op_responses().is_empty());
    Ok(())
}

pub(super) async fn refuses_duplicates(bench: Bench) -> Outcome {
    let duplicate = (
        Code::InvalidArgument,
        "etcdserver: duplicate key given in txn request".to_owned(),
    );
    let mut client = bench.client.clone();
    let put = |name: &str| TxnOp::put(bench.key(name), "v", None);
    let delete = |name: &str| TxnOp::delete(bench.key(name), Some(DeleteOptions::new().with_prefix()));
    let refused = [
        vec![put("a"), put("a")],
        vec![put("a/1"), delete("a")],
        vec![delete("a"), put("a/1")],
    ];
    let allowed = [
        vec![put("a"), put("b")],
        vec![delete("a"), delete("a")],
        vec![delete("b"), put("a")],
    ];
    for branch in refused {
        let found = client.txn(Txn::new().and_then(branch.clone())).await;
        assert_eq!(refusal(found), duplicate);
        // The branch that is not taken is checked as well.
        assert_eq!(refusal(client.txn(Txn::new().or_else(branch)).await), duplicate);
    }
    for branch in allowed {
        client.txn(Txn::new().and_then(branch)).await?;
    }
    client.txn(Txn::new().and_then([put("c")]).or_else([put("c")])).await?;
    Ok(())
}

pub(super) async fn refuses_before_it_changes(mut bench: Bench) -> Outcome {
    let start = bench.put("a", "1").await?;
    let good = TxnOp::put(bench.key("b"), "1", None);
    let no_lease = TxnOp::put(bench.key("c"), "1", Some(PutOptions::new().with_lease(4711)));
    let found = refusal(bench.client.txn(Txn::new().and_then([good.clone(), no_lease])).await);
    assert_eq!(found, (Code::NotFound, "etcdserver: requested lease not found".into()));
    let no_key = TxnOp::put(bench.key("c"), "", Some(PutOptions::new().with_ignore_value()));
    let found = refusal(bench.client.txn(Txn::new().and_then([good.clone(), no_key])).await);
    assert_eq!(found, (Code::InvalidArgument, "etcdserver: key not found".into()));
    let future = TxnOp::get(bench.key("a"), Some(GetOptions::new().with_revision(start + 1)));
    let found = refusal(bench.client.txn(Txn::new().and_then([good, future])).await);
    assert_eq!(
        found,
        (
            Code::OutOfRange,
            "etcdserver: mvcc: required revision is a future revision".into()
        )
    );
    assert_eq!(
        (bench.list(GetOptions::new()).await?, bench.revision().await?),
        ("a=1".into(), start)
    );
    Ok(())
}
