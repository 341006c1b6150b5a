//! The handlers' end of the owner: a bounded channel of calls, each with a place for its answer.

use crate::{
    refusal::Refusal,
    watch::{Permit, StreamId},
    wire::{
        CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, LeaseGrantRequest,
        LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseLeasesResponse, LeaseRevokeRequest,
        LeaseRevokeResponse, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, PutRequest, PutResponse, RangeRequest,
        RangeResponse, ResponseHeader, StatusResponse, TxnRequest, TxnResponse, WatchCreateRequest, WatchResponse,
    },
};
use tokio::sync::{mpsc, oneshot};

/// Calls that may wait for the owner; more wait at their connection.
pub(crate) const QUEUE_CALLS: usize = 1024;

/// Where an answer goes.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, Refusal>>;

/// What can be asked of the owner.
pub(crate) enum Call {
    Range(RangeRequest, Answer<RangeResponse>),
    Put(PutRequest, Answer<PutResponse>),
    Delete(DeleteRangeRequest, Answer<DeleteRangeResponse>),
    Txn(TxnRequest, Answer<TxnResponse>),
    Compact(CompactionRequest, Answer<CompactionResponse>),
    Grant(LeaseGrantRequest, Answer<LeaseGrantResponse>),
    Revoke(LeaseRevokeRequest, Answer<LeaseRevokeResponse>),
    KeepAlive(LeaseKeepAliveRequest, Answer<LeaseKeepAliveResponse>),
    TimeToLive(LeaseTimeToLiveRequest, Answer<LeaseTimeToLiveResponse>),
    Leases(Answer<LeaseLeasesResponse>),
    /// The header alone, for answers that concern no data.
    Header(Answer<ResponseHeader>),
    Status(Answer<StatusResponse>),
    /// Rewrites the log now.
    Defragment(Answer<ResponseHeader>),
    WatchOpen(mpsc::Sender<WatchResponse>, Answer<StreamId>),
    WatchCreate(StreamId, WatchCreateRequest, Permit),
    WatchCancel(StreamId, i64, Permit),
    WatchProgress(StreamId, Permit),
}

/// Asks the owner.
#[derive(Clone)]
pub(crate) struct Handle {
    calls: mpsc::Sender<Call>,
}

impl Handle {
    /// A handle, and the owner's end of it.
    pub fn new() -> (Self, mpsc::Receiver<Call>) {
        let (calls, inbox) = mpsc::channel(QUEUE_CALLS);
        (Self { calls }, inbox)
    }

    /// Asks, and waits for the answer. A server that ends drops its questions: the outcome is then unknown.
    pub async fn ask<T>(&self, call: impl FnOnce(Answer<T>) -> Call) -> Result<T, Refusal> {
        let (answer, reply) = oneshot::channel();
        self.tell(call(answer)).await?;
        reply.await.unwrap_or(Err(Refusal::Stopped))
    }

    /// Sends a call whose answer comes another way.
    pub async fn tell(&self, call: Call) -> Result<(), Refusal> {
        self.calls.send(call).await.map_err(|_| Refusal::Stopped)
    }
}
