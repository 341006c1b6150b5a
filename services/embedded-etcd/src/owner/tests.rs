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

fn owner(keep_revisions: Option<u64>, keep_bytes: Option<u64>) -> Owner {
    let machine = Machine::new(0);
    let log = Log::in_memory(&machine);
    let settings = Settings {
        keep_revisions,
        keep_bytes,
        progress_interval: Duration::from_secs(600),
    };
    Owner::new(machine, log, settings)
}

fn start(owner: Owner) -> Running {
    let (handle, inbox) = Handle::new();
    let stop = CancellationToken::new();
    let task = tokio::spawn(owner.run(inbox, stop.clone()));
    Running { handle, stop, task }
}

async fn put(handle: &Handle, key: &'static str, lease: i64) -> i64 {
    let request = PutRequest {
        key: Bytes::from(key),
        lease,
        ..PutRequest::default()
    };
    handle
        .call(|answer| Call::Put(request, answer))
        .await
        .unwrap()
        .header
        .unwrap()
        .revision
}

async fn count(handle: &Handle, key: &'static str, revision: i64) -> Result<i64, RpcError> {
    let request = RangeRequest {
        key: Bytes::from(key),
        revision,
        ..RangeRequest::default()
    };
    handle
        .call(|answer| Call::Range(request, answer))
        .await
        .map(|response| response.count)
}

#[tokio::test(start_paused = true)]
async fn leases_end_by_tokios_clock() {
    let Running { handle, stop, task } = start(owner(None, None));
    let grant = LeaseGrantRequest { ttl: 60, id: 5 };
    handle.call(|answer| Call::Grant(grant, answer)).await.unwrap();
    put(&handle, "a", 5).await;
    sleep(Duration::from_secs(50)).await;
    let left = LeaseTimeToLiveRequest { id: 5, keys: true };
    let left = handle.call(|answer| Call::TimeToLive(left, answer)).await.unwrap();
    assert_eq!((left.ttl, left.keys), (10, vec![Bytes::from("a")]));
    let renewal = LeaseKeepAliveRequest { id: 5 };
    assert_eq!(
        handle
            .call(|answer| Call::KeepAlive(renewal, answer))
            .await
            .unwrap()
            .ttl,
        60
    );
    sleep(Duration::from_secs(59)).await;
    assert_eq!(count(&handle, "a", 0).await, Ok(1));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(count(&handle, "a", 0).await, Ok(0));
    stop.cancel();
    task.await.unwrap().unwrap();
    assert_eq!(count(&handle, "a", 0).await, Err(RpcError::Stopped));
}

#[tokio::test(start_paused = true)]
async fn history_is_kept_as_long_as_asked() {
    let Running { handle, .. } = start(owner(Some(10), None));
    for _ in 0..100 {
        put(&handle, "a", 0).await;
    }
    assert_eq!(count(&handle, "a", 101 - 10).await, Ok(1));
    assert_eq!(count(&handle, "a", 101 - 22).await, Err(RpcError::Compacted));
}

#[tokio::test(start_paused = true)]
async fn history_of_large_values_is_short() {
    let Running { handle, .. } = start(owner(Some(1_000), Some(100)));
    let large = Bytes::from(vec![7; 39]);
    for _ in 0..20 {
        let request = PutRequest {
            key: Bytes::from("a"),
            value: large.clone(),
            ..PutRequest::default()
        };
        handle.call(|answer| Call::Put(request, answer)).await.unwrap();
    }
    // 200 bytes are five versions of the key, 100 are two.
    assert_eq!(count(&handle, "a", 21 - 2).await, Ok(1));
    assert_eq!(count(&handle, "a", 21 - 6).await, Err(RpcError::Compacted));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_waited_past_the_end_of_its_lease_comes_too_late() {
    let mut owner = owner(None, None);
    let grant = LeaseGrantRequest { ttl: 60, id: 5 };
    let ask = |owner: &mut Owner, call| owner.apply(call, &mut Vec::new());
    ask(&mut owner, Call::Grant(grant, tokio::sync::oneshot::channel().0));
    tokio::time::advance(Duration::from_secs(60)).await;
    let renewal = LeaseKeepAliveRequest { id: 5 };
    ask(&mut owner, Call::KeepAlive(renewal, tokio::sync::oneshot::channel().0));
    assert_eq!(owner.machine.next_deadline(), None, "it has ended");
}
