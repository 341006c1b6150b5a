//! Compaction, and questions about the server itself.

use super::subject::{Bench, Outcome, refusal, soon};
use etcd_client::{AlarmAction, AlarmType, CompactionOptions, GetOptions, WatchOptions};
use tonic::Code;

pub(super) async fn answers_about_itself(mut bench: Bench) -> Outcome {
    let status = bench.client.status().await?;
    assert!(status.version().starts_with("3.4."));
    assert!(status.leader() != 0 && status.raft_index() > 0 && status.raft_term() > 0 && status.db_size() > 0);
    assert_eq!(
        status.header().expect("every answer has a header").member_id(),
        status.leader()
    );
    let members = bench.client.member_list().await?;
    let found: Vec<_> = members
        .members()
        .iter()
        .map(|member| (member.id(), member.name()))
        .collect();
    assert_eq!(found, [(status.leader(), "default")]);
    let alarms = bench.client.alarm(AlarmAction::Get, AlarmType::None, None).await?;
    assert!(alarms.alarms().is_empty());
    bench
        .client
        .alarm(AlarmAction::Deactivate, AlarmType::Nospace, None)
        .await?;
    bench.put("a", "1").await?;
    bench.client.defragment().await?;
    assert_eq!(bench.list(GetOptions::new()).await?, "a=1");
    Ok(())
}

pub(super) async fn answers_without_users(mut bench: Bench) -> Outcome {
    bench.client.auth_disable().await?;
    Ok(())
}

pub(super) async fn compacts(mut bench: Bench) -> Outcome {
    let compacted = (
        Code::OutOfRange,
        "etcdserver: mvcc: required revision has been compacted".to_owned(),
    );
    let start = bench.put("a", "1").await?;
    bench.put("b", "1").await?;
    bench.put("a", "2").await?;
    bench.delete("b").await?;
    let last = bench.put("c", "1").await?;
    let response = bench.client.compact(start + 2, None).await?;
    assert_eq!(response.header().expect("every answer has a header").revision(), last);
    let past = bench
        .client
        .get(bench.key("a"), Some(GetOptions::new().with_revision(start + 1)))
        .await;
    assert_eq!(refusal(past), compacted);
    assert_eq!(bench.list(GetOptions::new().with_revision(start + 2)).await?, "a=2 b=1");
    assert_eq!(bench.list(GetOptions::new().with_revision(start + 3)).await?, "a=2");
    assert_eq!(refusal(bench.client.compact(start + 2, None).await), compacted);
    assert_eq!(refusal(bench.client.compact(start + 1, None).await), compacted);
    let future = "etcdserver: mvcc: required revision is a future revision";
    assert_eq!(
        refusal(bench.client.compact(last + 1, None).await),
        (Code::OutOfRange, future.into())
    );
    let options = CompactionOptions::new().with_physical();
    bench.client.compact(last, Some(options)).await?;
    assert_eq!(bench.list(GetOptions::new()).await?, "a=2 c=1");
    Ok(())
}

pub(super) async fn watches_end_at_compaction(mut bench: Bench) -> Outcome {
    let start = bench.put("a", "1").await?;
    bench.put("a", "2").await?;
    let last = bench.put("a", "3").await?;
    // Carried out at once: a real etcd would do it in its own time.
    let options = CompactionOptions::new().with_physical();
    bench.client.compact(start + 1, Some(options)).await?;
    let at = |revision| Some(WatchOptions::new().with_start_revision(revision).with_prev_key());
    let mut early = bench.client.watch(bench.key("a"), at(start)).await?;
    let created = soon("the watch", early.message())
        .await?
        .expect("the stream stays open");
    assert!(created.created() && !created.canceled());
    let ended = soon("the cancellation", early.message())
        .await?
        .expect("the stream stays open");
    assert!(ended.canceled() && !ended.created() && ended.events().is_empty());
    assert_eq!(
        (ended.watch_id(), ended.compact_revision(), ended.cancel_reason()),
        (0, start + 1, "")
    );
    assert_eq!(ended.header().expect("every answer has a header").revision(), 0);
    // The compaction point itself can still be watched; what it replaced is gone.
    let mut exact = bench.client.watch(bench.key("a"), at(start + 1)).await?;
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let response = soon("events", exact.message()).await?.expect("the stream stays open");
        for event in response.events() {
            let kv = event.kv().expect("every event has a key");
            heard.push((kv.mod_revision(), event.prev_kv().map(|kv| kv.mod_revision())));
        }
    }
    assert_eq!(heard, [(start + 1, None), (last, Some(start + 1))]);
    Ok(())
}

pub(super) async fn compacts_a_deletion(mut bench: Bench) -> Outcome {
    bench.put("a", "1").await?;
    let deleted = bench.delete("a").await?;
    let last = bench.put("b", "1").await?;
    // Until the compaction has been carried out, which a real etcd does in its own time, the deletion may still be heard.
    let carried_out = CompactionOptions::new().with_physical();
    bench.client.compact(deleted, Some(carried_out)).await?;
    let prefix = bench.key("");
    let options = WatchOptions::new().with_prefix().with_start_revision(deleted);
    let mut stream = bench.client.watch(prefix, Some(options)).await?;
    let created = soon("the watch", stream.message())
        .await?
        .expect("the stream stays open");
    assert!(created.created());
    let heard = soon("the event", stream.message())
        .await?
        .expect("the stream stays open");
    let revisions: Vec<i64> = heard
        .events()
        .iter()
        .filter_map(|event| event.kv())
        .map(|kv| kv.mod_revision())
        .collect();
    assert_eq!(revisions, [last], "the deletion at the compaction point is forgotten");
    assert_eq!(bench.list(GetOptions::new().with_revision(deleted)).await?, "");
    Ok(())
}
