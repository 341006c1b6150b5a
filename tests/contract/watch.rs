//! Watches.

use super::subject::{Bench, Outcome, soon};
use etcd_client::{
    DeleteOptions, Error, EventType, Txn, TxnOp, WatchFilterType, WatchOptions, WatchResponse, WatchStream,
};

/// The next response.
async fn next(stream: &mut WatchStream) -> Result<WatchResponse, Error> {
    Ok(soon("a watch response", stream.message())
        .await?
        .expect("the stream stays open"))
}

/// Opens a watch over the case's keys and waits until it stands.
async fn open(bench: &mut Bench, options: WatchOptions) -> Result<WatchStream, Error> {
    let mut stream = bench.client.watch(bench.key(""), Some(options.with_prefix())).await?;
    let created = next(&mut stream).await?;
    assert!(created.created() && !created.canceled() && created.events().is_empty());
    Ok(stream)
}

/// Events as words: `+name=value@revision` and `-name@revision`, revisions from `start`; previous values after a slash.
fn words(bench: &Bench, response: &WatchResponse, start: i64) -> Vec<String> {
    let word = |event: &etcd_client::Event| {
        let kv = event.kv().expect("every event has a key");
        let sign = if event.event_type() == EventType::Put { '+' } else { '-' };
        let name = bench.word(kv.key(), kv.value());
        let previous = event
            .prev_kv()
            .map(|kv| format!("/{}", String::from_utf8_lossy(kv.value())));
        format!(
            "{sign}{name}@{}{}",
            kv.mod_revision() - start,
            previous.unwrap_or_default()
        )
    };
    response.events().iter().map(word).collect()
}

/// Reads until `count` events have come; how they are spread over responses is the server's choice.
async fn events(bench: &Bench, stream: &mut WatchStream, start: i64, count: usize) -> Result<String, Error> {
    let mut found = Vec::new();
    while found.len() < count {
        let response = next(stream).await?;
        let last = response
            .events()
            .last()
            .and_then(|event| event.kv())
            .map_or(0, |kv| kv.mod_revision());
        assert!(response.header().expect("every answer has a header").revision() >= last);
        found.extend(words(bench, &response, start));
    }
    Ok(found.join(" "))
}

pub(super) async fn starts_now(mut bench: Bench) -> Outcome {
    let start = bench.put("a", "0").await?;
    let mut stream = open(&mut bench, WatchOptions::new()).await?;
    bench.put("a", "1").await?;
    bench.put("b", "1").await?;
    bench.delete("a").await?;
    bench.client.put("/elsewhere", "1", None).await?;
    bench.put("c", "1").await?;
    assert_eq!(
        events(&bench, &mut stream, start, 4).await?,
        "+a=1@1 +b=1@2 -a@3 +c=1@5"
    );
    Ok(())
}

pub(super) async fn starts_in_the_past(mut bench: Bench) -> Outcome {
    let start = bench.put("a", "0").await?;
    bench.put("b", "1").await?;
    bench.delete("a").await?;
    let mut stream = open(&mut bench, WatchOptions::new().with_start_revision(start + 1)).await?;
    assert_eq!(events(&bench, &mut stream, start, 2).await?, "+b=1@1 -a@2");
    bench.put("c", "1").await?;
    assert_eq!(events(&bench, &mut stream, start, 1).await?, "+c=1@3");
    let mut later = open(&mut bench, WatchOptions::new().with_start_revision(start + 5)).await?;
    bench.put("d", "1").await?;
    bench.put("e", "1").await?;
    assert_eq!(events(&bench, &mut later, start, 1).await?, "+e=1@5");
    Ok(())
}

pub(super) async fn carries_previous_values(mut bench: Bench) -> Outcome {
    let start = bench.put("a", "0").await?;
    let mut live = open(&mut bench, WatchOptions::new().with_prev_key()).await?;
    bench.put("a", "1").await?;
    bench.delete("a").await?;
    bench.put("a", "2").await?;
    let expected = "+a=1@1/0 -a@2/1 +a=2@3";
    assert_eq!(events(&bench, &mut live, start, 3).await?, expected);
    let past = WatchOptions::new().with_prev_key().with_start_revision(start + 1);
    let mut past = open(&mut bench, past).await?;
    assert_eq!(events(&bench, &mut past, start, 3).await?, expected);
    Ok(())
}

pub(super) async fn filters_kinds(mut bench: Bench) -> Outcome {
    let start = bench.revision().await?;
    let mut puts = open(
        &mut bench,
        WatchOptions::new().with_filters([WatchFilterType::NoDelete]),
    )
    .await?;
    let mut deletes = open(&mut bench, WatchOptions::new().with_filters([WatchFilterType::NoPut])).await?;
    bench.put("a", "1").await?;
    bench.delete("a").await?;
    bench.put("b", "1").await?;
    bench.delete("b").await?;
    assert_eq!(events(&bench, &mut puts, start, 2).await?, "+a=1@1 +b=1@3");
    assert_eq!(events(&bench, &mut deletes, start, 2).await?, "-a@2 -b@4");
    Ok(())
}

pub(super) async fn serves_several(mut bench: Bench) -> Outcome {
    let start = bench.revision().await?;
    let mut stream = open(&mut bench, WatchOptions::new()).await?;
    let (a, b, end) = (bench.key("a"), bench.key("b"), bench.key("c"));
    stream.watch(a, None).await?;
    let second = next(&mut stream).await?;
    stream
        .watch(b, Some(WatchOptions::new().with_range(end).with_watch_id(40)))
        .await?;
    let third = next(&mut stream).await?;
    assert_eq!(
        (second.created(), second.watch_id(), third.created(), third.watch_id()),
        (true, 1, true, 40)
    );
    bench.put("a", "1").await?;
    bench.put("b", "1").await?;
    let mut heard = Vec::new();
    for _ in 0..4 {
        let response = next(&mut stream).await?;
        heard.push(format!(
            "{}: {}",
            response.watch_id(),
            words(&bench, &response, start).join(" ")
        ));
    }
    heard.sort();
    assert_eq!(heard, ["0: +a=1@1", "0: +b=1@2", "1: +a=1@1", "40: +b=1@2"]);
    Ok(())
}

pub(super) async fn cancels(mut bench: Bench) -> Outcome {
    let mut stream = open(&mut bench, WatchOptions::new()).await?;
    let a = bench.key("a");
    stream.watch(a, None).await?;
    let second = next(&mut stream).await?.watch_id();
    // An unknown watch is not worth an answer; the next response is about the known one.
    stream.cancel(4711).await?;
    stream.cancel(0).await?;
    let canceled = next(&mut stream).await?;
    assert_eq!(
        (canceled.canceled(), canceled.watch_id(), canceled.cancel_reason()),
        (true, 0, "")
    );
    assert!(!canceled.created() && canceled.compact_revision() == 0 && canceled.events().is_empty());
    bench.put("a", "1").await?;
    let heard = next(&mut stream).await?;
    assert_eq!((heard.watch_id(), heard.events().len()), (second, 1));
    Ok(())
}

pub(super) async fn reports_progress(mut bench: Bench) -> Outcome {
    let mut stream = open(&mut bench, WatchOptions::new()).await?;
    let revision = bench.put("a", "1").await?;
    assert_eq!(next(&mut stream).await?.events().len(), 1);
    stream.request_progress().await?;
    let progress = next(&mut stream).await?;
    assert_eq!((progress.watch_id(), progress.events().len()), (-1, 0));
    assert_eq!(
        progress.header().expect("every answer has a header").revision(),
        revision
    );
    Ok(())
}

pub(super) async fn keeps_revisions_whole(mut bench: Bench) -> Outcome {
    let start = bench.revision().await?;
    let mut stream = open(&mut bench, WatchOptions::new()).await?;
    let put = |name: String| TxnOp::put(bench.key(&name), "v", None);
    let txn = Txn::new().and_then((0..100).rev().map(|n| put(format!("{n:03}"))).collect::<Vec<_>>());
    bench.client.txn(txn).await?;
    let response = next(&mut stream).await?;
    let heard = words(&bench, &response, start);
    assert_eq!(
        (heard.len(), heard[0].as_str(), heard[99].as_str()),
        (100, "+099=v@1", "+000=v@1")
    );
    bench
        .client
        .delete(bench.key(""), Some(DeleteOptions::new().with_prefix()))
        .await?;
    let response = next(&mut stream).await?;
    let heard = words(&bench, &response, start);
    assert_eq!(
        (heard.len(), heard[0].as_str(), heard[99].as_str()),
        (100, "-000@2", "-099@2")
    );
    Ok(())
}

pub(super) async fn refuses_ids(mut bench: Bench) -> Outcome {
    let mut stream = open(&mut bench, WatchOptions::new().with_watch_id(7)).await?;
    let a = bench.key("a");
    stream
        .watch(a.clone(), Some(WatchOptions::new().with_watch_id(7)))
        .await?;
    let refused = next(&mut stream).await?;
    assert_eq!(
        (refused.created(), refused.canceled(), refused.watch_id()),
        (true, true, -1)
    );
    assert_eq!(
        refused.cancel_reason(),
        "mvcc: duplicate watch ID provided on the WatchStream"
    );
    stream
        .watch(bench.key("b"), Some(WatchOptions::new().with_range(a)))
        .await?;
    let refused = next(&mut stream).await?;
    assert_eq!(
        (refused.created(), refused.canceled(), refused.watch_id()),
        (true, true, -1)
    );
    assert_eq!(refused.cancel_reason(), "mvcc: watcher range is empty");
    Ok(())
}
