//! The `Lease` service.

use super::call::{streaming, unary, unknown};
use crate::{
    handle::{Call, Handle},
    wire::{
        LeaseGrantRequest, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseLeasesRequest, LeaseRevokeRequest,
        LeaseTimeToLiveRequest,
    },
};
use futures::{Stream, StreamExt};
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming, body::Body};

/// Answers a method of `Lease`.
pub(super) async fn route(
    handle: Handle,
    stop: CancellationToken,
    method: &str,
    request: Request<Body>,
) -> Response<Body> {
    match method {
        "LeaseGrant" => {
            unary(request, |request: LeaseGrantRequest| {
                handle.call(|answer| Call::Grant(request, answer))
            })
            .await
        }
        "LeaseRevoke" => {
            unary(request, |request: LeaseRevokeRequest| {
                handle.call(|answer| Call::Revoke(request, answer))
            })
            .await
        }
        "LeaseTimeToLive" => {
            unary(request, |request: LeaseTimeToLiveRequest| {
                handle.call(|answer| Call::TimeToLive(request, answer))
            })
            .await
        }
        "LeaseLeases" => unary(request, |_: LeaseLeasesRequest| handle.call(Call::Leases)).await,
        "LeaseKeepAlive" => streaming(request, |renewals| keep_alive(handle.clone(), stop.clone(), renewals)).await,
        _ => unknown(),
    }
}

/// Answers each renewal of a keep-alive stream, until the client ends or the server does.
fn keep_alive(
    handle: Handle,
    stop: CancellationToken,
    renewals: Streaming<LeaseKeepAliveRequest>,
) -> impl Stream<Item = Result<LeaseKeepAliveResponse, Status>> + Send + 'static {
    let answers = renewals.then(move |renewal| {
        let handle = handle.clone();
        async move {
            let renewal = renewal?;
            Ok(handle.call(|answer| Call::KeepAlive(renewal, answer)).await?)
        }
    });
    answers.take_until(stop.cancelled_owned())
}
