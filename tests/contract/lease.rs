//! Leases.

use super::subject::{Bench, Outcome, refusal, soon};
use etcd_client::{GetOptions, LeaseGrantOptions, LeaseTimeToLiveOptions, PutOptions};
use std::time::Duration;
use tokio::time::sleep;
use tonic::Code;

pub(super) async fn grants_and_lists(mut bench: Bench) -> Outcome {
    let before = bench.revision().await?;
    let picked = bench.client.lease_grant(60, None).await?;
    assert!(picked.id() > 0 && picked.ttl() == 60 && picked.error().is_empty());
    let chosen = bench
        .client
        .lease_grant(90, Some(LeaseGrantOptions::new().with_id(77_001)))
        .await?;
    assert_eq!((chosen.id(), chosen.ttl()), (77_001, 90));
    let shortest = bench.client.lease_grant(1, None).await?;
    assert_eq!(
        shortest.ttl(),
        2,
        "no lease is shorter than one and a half election timeouts"
    );
    let listed: Vec<i64> = bench
        .client
        .leases()
        .await?
        .leases()
        .iter()
        .map(|lease| lease.id())
        .collect();
    for id in [picked.id(), chosen.id(), shortest.id()] {
        assert!(listed.contains(&id));
    }
    assert_eq!(bench.revision().await?, before, "a grant makes no revision");
    Ok(())
}

pub(super) async fn refuses_ids(mut bench: Bench) -> Outcome {
    let not_found = (Code::NotFound, "etcdserver: requested lease not found".to_owned());
    bench
        .client
        .lease_grant(60, Some(LeaseGrantOptions::new().with_id(77_002)))
        .await?;
    let again = bench
        .client
        .lease_grant(60, Some(LeaseGrantOptions::new().with_id(77_002)))
        .await;
    assert_eq!(
        refusal(again),
        (Code::FailedPrecondition, "etcdserver: lease already exists".into())
    );
    let long = bench.client.lease_grant(9_000_000_001, None).await;
    assert_eq!(
        refusal(long),
        (Code::OutOfRange, "etcdserver: too large lease TTL".into())
    );
    assert_eq!(refusal(bench.client.lease_revoke(77_003).await), not_found);
    let put = bench
        .client
        .put(bench.key("a"), "1", Some(PutOptions::new().with_lease(77_003)))
        .await;
    assert_eq!(refusal(put), not_found);
    let gone = bench.client.lease_time_to_live(77_003, None).await?;
    assert_eq!((gone.id(), gone.ttl(), gone.granted_ttl()), (77_003, -1, 0));
    Ok(())
}

pub(super) async fn deletes_on_revoke(mut bench: Bench) -> Outcome {
    let lease = bench.client.lease_grant(60, None).await?.id();
    for name in ["a", "b"] {
        bench
            .client
            .put(bench.key(name), "1", Some(PutOptions::new().with_lease(lease)))
            .await?;
    }
    let before = bench.put("c", "1").await?;
    let keys = LeaseTimeToLiveOptions::new().with_keys();
    let alive = bench.client.lease_time_to_live(lease, Some(keys)).await?;
    let mut found: Vec<_> = alive.keys().iter().map(|key| bench.word(key, b"")).collect();
    found.sort();
    assert_eq!((found.join(" "), alive.granted_ttl()), ("a b".into(), 60));
    assert!((55..=60).contains(&alive.ttl()));
    bench.client.lease_revoke(lease).await?;
    assert_eq!(bench.list(GetOptions::new()).await?, "c=1");
    assert_eq!(
        bench.revision().await?,
        before + 1,
        "all keys of a lease go in one revision"
    );
    let empty = bench.client.lease_grant(60, None).await?.id();
    bench.client.lease_revoke(empty).await?;
    assert_eq!(
        bench.revision().await?,
        before + 1,
        "a lease without keys goes without one"
    );
    Ok(())
}

pub(super) async fn keeps_alive(mut bench: Bench) -> Outcome {
    let lease = bench.client.lease_grant(60, None).await?.id();
    let (mut keeper, mut answers) = bench.client.lease_keep_alive(lease).await?;
    for _ in 0..3 {
        keeper.keep_alive().await?;
        let answer = soon("a renewal", answers.message())
            .await?
            .expect("the stream stays open");
        assert_eq!((answer.id(), answer.ttl()), (lease, 60));
    }
    bench.client.lease_revoke(lease).await?;
    keeper.keep_alive().await?;
    let answer = soon("a renewal", answers.message())
        .await?
        .expect("the stream stays open");
    assert_eq!(
        (answer.id(), answer.ttl()),
        (lease, 0),
        "zero says that the lease is gone"
    );
    Ok(())
}

pub(super) async fn expires(mut bench: Bench) -> Outcome {
    let lease = bench.client.lease_grant(2, None).await?.id();
    bench
        .client
        .put(bench.key("a"), "1", Some(PutOptions::new().with_lease(lease)))
        .await?;
    let (_, mut events) = bench.client.watch(bench.key("a"), None).await?.split();
    let created = soon("the watch", events.message())
        .await?
        .expect("the stream stays open");
    assert!(created.created());
    let deleted = soon("the end of the lease", events.message())
        .await?
        .expect("the stream stays open");
    assert_eq!(deleted.events()[0].event_type(), etcd_client::EventType::Delete);
    assert_eq!(bench.list(GetOptions::new()).await?, "");
    let gone = async {
        while bench.client.lease_time_to_live(lease, None).await?.ttl() != -1 {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    soon("the lease to be gone", gone).await
}

pub(super) async fn follows_its_keys(mut bench: Bench) -> Outcome {
    let first = bench.client.lease_grant(60, None).await?.id();
    let second = bench.client.lease_grant(60, None).await?.id();
    for name in ["a", "b", "c", "d"] {
        bench
            .client
            .put(bench.key(name), "1", Some(PutOptions::new().with_lease(first)))
            .await?;
    }
    bench.client.put(bench.key("a"), "2", None).await?;
    bench
        .client
        .put(bench.key("b"), "2", Some(PutOptions::new().with_lease(second)))
        .await?;
    bench
        .client
        .put(bench.key("c"), "2", Some(PutOptions::new().with_ignore_lease()))
        .await?;
    bench.delete("d").await?;
    bench.put("d", "2").await?;
    bench.client.lease_revoke(first).await?;
    assert_eq!(bench.list(GetOptions::new()).await?, "a=2 b=2 d=2");
    bench.client.lease_revoke(second).await?;
    assert_eq!(bench.list(GetOptions::new()).await?, "a=2 d=2");
    Ok(())
}
