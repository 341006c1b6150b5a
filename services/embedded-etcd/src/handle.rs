//! The handlers' end of the owner: a bounded channel of calls, each with a channel for its reply.

use crate::{
    rpc_error::RpcError,
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

/// The channel for the reply to a [`Call`].
pub(crate) type Reply<T> = oneshot::Sender<Result<T, RpcError>>;

/// A call for the owner, with the channel for its reply.
pub(crate) enum Call {
    Range(RangeRequest, Reply<RangeResponse>),
    Put(PutRequest, Reply<PutResponse>),
    Delete(DeleteRangeRequest, Reply<DeleteRangeResponse>),
    Txn(TxnRequest, Reply<TxnResponse>),
    Compact(CompactionRequest, Reply<CompactionResponse>),
    Grant(LeaseGrantRequest, Reply<LeaseGrantResponse>),
    Revoke(LeaseRevokeRequest, Reply<LeaseRevokeResponse>),
    KeepAlive(LeaseKeepAliveRequest, Reply<LeaseKeepAliveResponse>),
    TimeToLive(LeaseTimeToLiveRequest, Reply<LeaseTimeToLiveResponse>),
    Leases(Reply<LeaseLeasesResponse>),
    /// The header alone, for replies without data.
    Header(Reply<ResponseHeader>),
    Status(Reply<StatusResponse>),
    /// Rewrites the log now.
    Defragment(Reply<ResponseHeader>),
    WatchOpen(mpsc::Sender<WatchResponse>, Reply<StreamId>),
    WatchCreate(StreamId, WatchCreateRequest, Permit),
    WatchCancel(StreamId, i64, Permit),
    WatchProgress(StreamId, Permit),
}

/// Sends [`Call`]s to the owner.
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

    /// Sends a call and waits for the reply. A server that ends drops its calls: [`RpcError::Stopped`], the outcome is unknown.
    pub async fn call<T>(&self, call: impl FnOnce(Reply<T>) -> Call) -> Result<T, RpcError> {
        let (answer, reply) = oneshot::channel();
        self.send(call(answer)).await?;
        reply.await.unwrap_or(Err(RpcError::Stopped))
    }

    /// Sends a call whose reply comes over the watch's own queue.
    pub async fn send(&self, call: Call) -> Result<(), RpcError> {
        self.calls.send(call).await.map_err(|_| RpcError::Stopped)
    }
}
