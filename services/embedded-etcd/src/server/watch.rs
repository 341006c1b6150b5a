//! The `Watch` service: commands in, responses out, over one queue.
//!
//! Reading commands is part of the response stream, so it ends with it and needs no task of its own. A command is read only when
//! the queue has a place for its answer: a client that does not read its answers is not read either.

use super::call::{streaming, unknown};
use crate::{
    handle::{Call, Handle},
    rpc_error::RpcError,
    watch::{QUEUE_RESPONSES, StreamId},
    wire::{WatchCommand, WatchRequest, WatchResponse},
};
use futures::{Stream, StreamExt, stream};
use http::{Request, Response};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming, body::Body};

/// Answers a method of `Watch`.
pub(super) async fn route(
    handle: Handle,
    stop: CancellationToken,
    method: &str,
    request: Request<Body>,
) -> Response<Body> {
    match method {
        "Watch" => streaming(request, |commands| watch(handle.clone(), stop.clone(), commands)).await,
        _ => unknown(),
    }
}

fn watch(
    handle: Handle,
    stop: CancellationToken,
    commands: Streaming<WatchRequest>,
) -> impl Stream<Item = Result<WatchResponse, Status>> + Send + 'static {
    let (queue, responses) = mpsc::channel(QUEUE_RESPONSES);
    let failure = stream::once(forward(handle, queue, commands)).filter_map(async |result| result.err().map(Err));
    let responses = ReceiverStream::new(responses).map(Ok);
    // When the owner ends, it drops its end of the queue, and so the stream ends.
    stream::select(responses, failure).take_until(stop.cancelled_owned())
}

/// Sends the client's commands to the [`Handle`]'s owner until there are no more.
async fn forward(
    handle: Handle,
    queue: mpsc::Sender<WatchResponse>,
    mut commands: Streaming<WatchRequest>,
) -> Result<(), Status> {
    let stream = handle.call(|answer| Call::WatchOpen(queue.clone(), answer)).await?;
    while let Some(request) = commands.message().await? {
        let permit = queue.clone().reserve_owned().await.map_err(|_| RpcError::Stopped)?;
        if let Some(call) = request.command.map(|command| to_call(stream, command, permit)) {
            handle.send(call).await?;
        }
    }
    Ok(())
}

fn to_call(stream: StreamId, command: WatchCommand, permit: mpsc::OwnedPermit<WatchResponse>) -> Call {
    match command {
        WatchCommand::Create(request) => Call::WatchCreate(stream, request, permit),
        WatchCommand::Cancel(request) => Call::WatchCancel(stream, request.watch_id, permit),
        WatchCommand::Progress(_) => Call::WatchProgress(stream, permit),
    }
}
