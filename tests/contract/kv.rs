//! Puts, ranges and deletes.

use super::subject::{Bench, Outcome, refusal};
use etcd_client::{DeleteOptions, GetOptions, PutOptions, SortOrder, SortTarget};
use tonic::Code;

pub(super) async fn put_counts_versions(mut bench: Bench) -> Outcome {
    let first = bench.put("a", "1").await?;
    let second = bench.put("a", "2").await?;
    assert_eq!(second, first + 1);
    let options = PutOptions::new().with_prev_key();
    let response = bench.client.put(bench.key("a"), "3", Some(options)).await?;
    let previous = response.prev_key().expect("it was asked for");
    assert_eq!(
        (previous.value(), previous.version(), previous.mod_revision()),
        (&b"2"[..], 2, second)
    );
    let response = bench.client.get(bench.key("a"), None).await?;
    let kv = &response.kvs()[0];
    assert_eq!(
        (kv.create_revision(), kv.mod_revision(), kv.version(), kv.lease()),
        (first, first + 2, 3, 0)
    );
    bench.delete("a").await?;
    let again = bench.put("a", "4").await?;
    let response = bench.client.get(bench.key("a"), None).await?;
    let kv = &response.kvs()[0];
    assert_eq!((kv.create_revision(), kv.version()), (again, 1));
    let header = response.header().expect("every answer has a header");
    assert!(header.cluster_id() != 0 && header.member_id() != 0 && header.raft_term() > 0);
    Ok(())
}

pub(super) async fn put_keeps_parts(mut bench: Bench) -> Outcome {
    let lease = bench.client.lease_grant(60, None).await?.id();
    bench
        .client
        .put(bench.key("a"), "1", Some(PutOptions::new().with_lease(lease)))
        .await?;
    bench
        .client
        .put(bench.key("a"), "", Some(PutOptions::new().with_ignore_value()))
        .await?;
    let kv = bench.client.get(bench.key("a"), None).await?.take_kvs().remove(0);
    assert_eq!((kv.value(), kv.lease(), kv.version()), (&b"1"[..], 0, 2));
    bench
        .client
        .put(bench.key("a"), "2", Some(PutOptions::new().with_lease(lease)))
        .await?;
    bench
        .client
        .put(bench.key("a"), "3", Some(PutOptions::new().with_ignore_lease()))
        .await?;
    let kv = bench.client.get(bench.key("a"), None).await?.take_kvs().remove(0);
    assert_eq!((kv.value(), kv.lease(), kv.version()), (&b"3"[..], lease, 4));
    let missing = bench
        .client
        .put(bench.key("b"), "", Some(PutOptions::new().with_ignore_value()))
        .await;
    assert_eq!(
        refusal(missing),
        (Code::InvalidArgument, "etcdserver: key not found".into())
    );
    let missing = bench
        .client
        .put(bench.key("b"), "", Some(PutOptions::new().with_ignore_lease()))
        .await;
    assert_eq!(
        refusal(missing),
        (Code::InvalidArgument, "etcdserver: key not found".into())
    );
    Ok(())
}

pub(super) async fn ranges_select_keys(mut bench: Bench) -> Outcome {
    for name in ["a", "b", "b/1", "b/2", "c"] {
        bench.put(name, "v").await?;
    }
    let get = async |bench: &mut Bench, from: &str, options: GetOptions| {
        let response = bench.client.get(bench.key(from), Some(options)).await?;
        let names: Vec<String> = response.kvs().iter().map(|kv| bench.word(kv.key(), b"")).collect();
        Ok::<_, etcd_client::Error>(names.join(" "))
    };
    let end = bench.key("c");
    assert_eq!(get(&mut bench, "b", GetOptions::new()).await?, "b");
    assert_eq!(
        get(&mut bench, "b", GetOptions::new().with_prefix()).await?,
        "b b/1 b/2"
    );
    assert_eq!(
        get(&mut bench, "b/1", GetOptions::new().with_range(end.clone())).await?,
        "b/1 b/2"
    );
    assert_eq!(
        get(&mut bench, "d", GetOptions::new().with_range(end.clone())).await?,
        ""
    );
    assert_eq!(get(&mut bench, "c", GetOptions::new().with_range(end)).await?, "");
    let all = bench
        .client
        .get("", Some(GetOptions::new().with_all_keys().with_count_only()))
        .await?;
    let above = bench
        .client
        .get("a", Some(GetOptions::new().with_from_key().with_count_only()))
        .await?;
    assert!(
        all.count() >= 5 && above.count() == 0,
        "every key of the suite begins with a slash"
    );
    Ok(())
}

pub(super) async fn limits_and_counts(mut bench: Bench) -> Outcome {
    for name in ["a", "b", "c", "d"] {
        bench.put(name, "v").await?;
    }
    let prefix = bench.key("");
    let mut get = async |options: GetOptions| bench.client.get(prefix.clone(), Some(options.with_prefix())).await;
    let limited = get(GetOptions::new().with_limit(3)).await?;
    assert_eq!((limited.kvs().len(), limited.count(), limited.more()), (3, 4, true));
    let exact = get(GetOptions::new().with_limit(4)).await?;
    assert_eq!((exact.kvs().len(), exact.count(), exact.more()), (4, 4, false));
    let counted = get(GetOptions::new().with_count_only().with_limit(1)).await?;
    assert_eq!((counted.kvs().len(), counted.count(), counted.more()), (0, 4, false));
    let keys = get(GetOptions::new().with_keys_only()).await?;
    assert_eq!(keys.kvs().iter().map(|kv| kv.value().len()).sum::<usize>(), 0);
    assert_eq!(keys.kvs()[0].version(), 1);
    Ok(())
}

pub(super) async fn sorts_by_every_field(mut bench: Bench) -> Outcome {
    // Created b, c, a; last changed c, b, a; versions b 3, c 1, a 2; values c < a < b.
    for (name, value) in [("b", "1"), ("c", "1"), ("a", "1"), ("b", "2"), ("b", "3"), ("a", "2")] {
        bench.put(name, value).await?;
    }
    let ascending = [
        (SortTarget::Key, "a=2 b=3 c=1"),
        (SortTarget::Version, "c=1 a=2 b=3"),
        (SortTarget::Create, "b=3 c=1 a=2"),
        (SortTarget::Mod, "c=1 b=3 a=2"),
        (SortTarget::Value, "c=1 a=2 b=3"),
    ];
    for (target, expected) in ascending {
        assert_eq!(
            bench
                .list(GetOptions::new().with_sort(target, SortOrder::Ascend))
                .await?,
            expected,
            "{target:?}"
        );
        let reversed: Vec<&str> = expected.split(' ').rev().collect();
        let found = bench
            .list(GetOptions::new().with_sort(target, SortOrder::Descend))
            .await?;
        assert_eq!(found, reversed.join(" "), "{target:?} descending");
    }
    let newest = GetOptions::new()
        .with_sort(SortTarget::Mod, SortOrder::Descend)
        .with_limit(1);
    assert_eq!(bench.list(newest).await?, "a=2");
    // Without a direction the limit comes first and the sorting after it.
    let unordered = GetOptions::new()
        .with_sort(SortTarget::Create, SortOrder::None)
        .with_limit(2);
    assert_eq!(bench.list(unordered).await?, "b=3 c=1");
    Ok(())
}

pub(super) async fn filters_by_revision(mut bench: Bench) -> Outcome {
    let start = bench.put("a", "1").await?;
    bench.put("b", "1").await?;
    bench.put("c", "1").await?;
    bench.put("a", "2").await?;
    assert_eq!(
        bench.list(GetOptions::new().with_min_mod_revision(start + 2)).await?,
        "a=2 c=1"
    );
    assert_eq!(
        bench.list(GetOptions::new().with_max_mod_revision(start + 2)).await?,
        "b=1 c=1"
    );
    assert_eq!(
        bench
            .list(GetOptions::new().with_min_create_revision(start + 1))
            .await?,
        "b=1 c=1"
    );
    assert_eq!(
        bench
            .list(GetOptions::new().with_max_create_revision(start + 1))
            .await?,
        "a=2 b=1"
    );
    let prefix = bench.key("");
    let options = GetOptions::new()
        .with_prefix()
        .with_min_mod_revision(start + 2)
        .with_limit(1);
    let response = bench.client.get(prefix, Some(options)).await?;
    assert_eq!((response.kvs().len(), response.count(), response.more()), (1, 3, true));
    Ok(())
}

pub(super) async fn reads_the_past(mut bench: Bench) -> Outcome {
    let start = bench.put("a", "1").await?;
    bench.put("b", "1").await?;
    bench.put("a", "2").await?;
    let last = bench.delete("b").await?;
    assert_eq!(bench.list(GetOptions::new().with_revision(start)).await?, "a=1");
    assert_eq!(bench.list(GetOptions::new().with_revision(start + 1)).await?, "a=1 b=1");
    assert_eq!(bench.list(GetOptions::new().with_revision(start + 2)).await?, "a=2 b=1");
    assert_eq!(bench.list(GetOptions::new()).await?, "a=2");
    assert_eq!(bench.list(GetOptions::new().with_serializable()).await?, "a=2");
    let response = bench
        .client
        .get(bench.key("a"), Some(GetOptions::new().with_revision(start)))
        .await?;
    assert_eq!(response.header().expect("every answer has a header").revision(), last);
    let future = bench
        .client
        .get(bench.key("a"), Some(GetOptions::new().with_revision(last + 1)))
        .await;
    let message = "etcdserver: mvcc: required revision is a future revision";
    assert_eq!(refusal(future), (Code::OutOfRange, message.into()));
    Ok(())
}

pub(super) async fn deletes_ranges(mut bench: Bench) -> Outcome {
    for name in ["a", "b/1", "b/2", "c"] {
        bench.put(name, name).await?;
    }
    let before = bench.revision().await?;
    let options = DeleteOptions::new().with_prefix().with_prev_key();
    let response = bench.client.delete(bench.key("b/"), Some(options)).await?;
    let previous: Vec<_> = response
        .prev_kvs()
        .iter()
        .map(|kv| bench.word(kv.key(), kv.value()))
        .collect();
    assert_eq!((response.deleted(), previous.join(" ")), (2, "b/1=b/1 b/2=b/2".into()));
    assert_eq!(
        response.header().expect("every answer has a header").revision(),
        before + 1
    );
    assert_eq!(bench.list(GetOptions::new()).await?, "a=a c=c");
    assert_eq!(
        bench.list(GetOptions::new().with_revision(before)).await?,
        "a=a b/1=b/1 b/2=b/2 c=c"
    );
    Ok(())
}

pub(super) async fn deletes_nothing(mut bench: Bench) -> Outcome {
    let before = bench.put("a", "1").await?;
    let response = bench
        .client
        .delete(bench.key("b"), Some(DeleteOptions::new().with_prefix()))
        .await?;
    assert_eq!(response.deleted(), 0);
    assert_eq!(response.header().expect("every answer has a header").revision(), before);
    assert_eq!(bench.revision().await?, before);
    Ok(())
}
