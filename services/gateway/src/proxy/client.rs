//! One call to one worker, with bytes that are passed on as they are.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, header};
use lepton_core::error;
use lepton_domain::reason::ApiError;
use lepton_mesh::server::deadline::GRPC_TIMEOUT;
use lepton_proto::convert::inference::MODEL_VERSION_KEY;
use lepton_telemetry::propagate::Propagate;
use tonic::Status;
use tonic::transport::Channel;
use tower::ServiceExt as _;

use crate::request::error::UpstreamError;
use crate::request::grpc_framing;

/// A call that is about to be made.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The RPC.
    pub path: &'a str,
    /// The message behind its prefix.
    pub body: Body,
    /// Longest wait for the answer.
    pub patience: Duration,
    /// The version of the model, where one is asked.
    pub model_version: Option<u32>,
}

/// Calls a unary RPC and returns its answer. Dropping the future cancels the call at the worker.
pub async fn unary(channel: Channel, outgoing: Outgoing<'_>) -> Result<Bytes, ApiError> {
    let mut request = Request::post(outgoing.path)
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header(GRPC_TIMEOUT, timeout(outgoing.patience));
    if let Some(version) = outgoing.model_version {
        request = request.header(MODEL_VERSION_KEY, version);
    }
    let request = request
        .body(tonic::body::Body::new(outgoing.body))
        .map_err(UpstreamError::from)?;
    let sent = Propagate::to("worker", channel).oneshot(request).await;
    let response = sent.map_err(|failure| error::from_status(&Status::from_error(failure.into())))?;
    Ok(grpc_framing::messages(response.map(Body::new))?.only().await?)
}

/// A duration in the form of the header: at most eight digits and a unit.
fn timeout(patience: Duration) -> String {
    match u64::try_from(patience.as_micros()) {
        Ok(micros) if micros < 100_000_000 => format!("{micros}u"),
        _ => format!("{}m", patience.as_millis().min(99_999_999)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_at_most_eight_digits() {
        assert_eq!(timeout(Duration::from_millis(1_500)), "1500000u");
        assert_eq!(timeout(Duration::from_secs(300)), "300000m");
        assert_eq!(timeout(Duration::MAX), "99999999m");
    }
}
