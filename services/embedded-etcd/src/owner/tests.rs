//! The owner over a log in memory, in virtual time.

use super::*;
use crate::{
    handle::Handle,
    wire::{LeaseGrantRequest, LeaseKeepAliveRequest, LeaseTimeToLiveRequest, PutRequest, RangeRequest},
};
use bytes::Bytes;
use tokio::{task::JoinHandle, time::sleep};

struct Running {
    handle: Handle,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

fn start(keep_revisions: Option<u64>) -> Running {
    let machine = Machine::new(0);
    let log = Log::in_memory(&machine);
    let settings = Settings {
        keep_revisions,
        progress_interval: Duration::from_secs(600),
    };
    let (handle, inbox) = Handle::new();
    let stop = CancellationToken::new();
    let task = tokio::spawn(Owner::new(machine, log, settings).run(inbox, stop.clone()));
    Running { handle, stop, task }
}

async fn put(handle: &Handle, key: &'static str, lease: i64) -> i64 {
    let request = PutRequest {
        key: Bytes::from(key),
        lease,
        ..PutRequest::default()
    };
    handle
        .ask(|answer| Call::Put(request, answer))
        .await
        .unwrap()
        .header
        .unwrap()
        .revision
}

async fn count(handle: &Handle, key: &'static str, revision: i64) -> Result<i64, Refusal> {
    let request = RangeRequest {
        key: Bytes::from(key),
        revision,
        ..RangeRequest::default()
    };
    handle
        .ask(|answer| Call::Range(request, answer))
        .await
        .map(|response| response.count)
}

#[tokio::test(start_paused = true)]
async fn leases_end_by_tokios_clock() {
    let Running { handle, stop, task } = start(None);
    let grant = LeaseGrantRequest { ttl: 60, id: 5 };
    handle.ask(|answer| Call::Grant(grant, answer)).await.unwrap();
    put(&handle, "a", 5).await;
    sleep(Duration::from_secs(50)).await;
    let left = LeaseTimeToLiveRequest { id: 5, keys: true };
    let left = handle.ask(|answer| Call::TimeToLive(left, answer)).await.unwrap();
    assert_eq!((left.ttl, left.keys), (10, vec![Bytes::from("a")]));
    let renewal = LeaseKeepAliveRequest { id: 5 };
    assert_eq!(
        handle.ask(|answer| Call::KeepAlive(renewal, answer)).await.unwrap().ttl,
        60
    );
    sleep(Duration::from_secs(59)).await;
    assert_eq!(count(&handle, "a", 0).await, Ok(1));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(count(&handle, "a", 0).await, Ok(0));
    stop.cancel();
    task.await.unwrap().unwrap();
    assert_eq!(count(&handle, "a", 0).await, Err(Refusal::Stopped));
}

#[tokio::test(start_paused = true)]
async fn history_is_kept_as_long_as_asked() {
    let Running { handle, .. } = start(Some(10));
    for _ in 0..100 {
        put(&handle, "a", 0).await;
    }
    assert_eq!(count(&handle, "a", 101 - 10).await, Ok(1));
    assert_eq!(count(&handle, "a", 101 - 22).await, Err(Refusal::Compacted));
}
