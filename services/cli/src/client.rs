//! A client of the gateway's REST.
//!
//! Promises: an error of the gateway comes back as the [`ApiError`] that it was; one that cannot be reached is
//! [`Reason::GatewayUnreachable`]. Every call has a deadline, except streams. Leaves printing to [`crate::output`].

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use lepton_core::net::Net;
use lepton_domain::reason::{ApiError, Reason};
use lepton_mesh::config::address::authority;
use serde_json::Value;
use tokio::io::AsyncBufReadExt;
use tokio_stream::wrappers::LinesStream;
use tokio_util::io::StreamReader;

/// Port of a URL without one.
const HTTP_PORT: u16 = 80;
/// Longest call, beyond the wait that it requests of the gateway.
const CALL_MAX: Duration = Duration::from_secs(120);

/// A client of one gateway.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    net: Net,
    authority: String,
}

impl Client {
    /// A client of the gateway at this URL.
    pub fn new(net: Net, address: &str) -> Result<Self, ApiError> {
        Ok(Self {
            net,
            authority: authority(address, "a gateway", HTTP_PORT)?,
        })
    }

    /// `HOST:PORT` of the gateway.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Reads a path.
    pub async fn get(&self, path: &str) -> Result<Bytes, ApiError> {
        self.call(Method::GET, path, Bytes::new(), Duration::ZERO).await
    }

    /// Reads a path that the gateway answers only after a wait of up to `wait`.
    pub async fn get_after(&self, path: &str, wait: Duration) -> Result<Bytes, ApiError> {
        self.call(Method::GET, path, Bytes::new(), wait).await
    }

    /// Sends a body to a path.
    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Result<Bytes, ApiError> {
        self.call(Method::POST, path, body.into(), Duration::ZERO).await
    }

    /// Deletes the resource of a path.
    pub async fn delete(&self, path: &str) -> Result<Bytes, ApiError> {
        self.call(Method::DELETE, path, Bytes::new(), Duration::ZERO).await
    }

    async fn call(&self, method: Method, path: &str, body: Bytes, wait: Duration) -> Result<Bytes, ApiError> {
        let call = async {
            let response = self.send(method, path, body).await?;
            collect(response).await
        };
        tokio::time::timeout(CALL_MAX.saturating_add(wait), call)
            .await
            .unwrap_or_else(|_elapsed| Err(self.timed_out()))
    }

    /// Reads the data of each server-sent event, as long as the gateway sends. An event `error` is the [`ApiError`] in it.
    pub async fn events(&self, path: &str) -> Result<impl Stream<Item = Result<String, ApiError>> + use<>, ApiError> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        let pieces = BodyExt::into_data_stream(response.into_body()).map_err(std::io::Error::other);
        let lines = LinesStream::new(StreamReader::new(pieces).lines());
        let mut name = String::new();
        let events = lines.map(move |line| {
            let line = line.map_err(|error| interrupted(&error))?;
            Ok(match line.split_once(':') {
                Some(("event", value)) => {
                    value.trim().clone_into(&mut name);
                    None
                }
                Some(("data", data)) if name == "error" => {
                    return Err(read_error(StatusCode::INTERNAL_SERVER_ERROR, data.as_bytes()));
                }
                Some(("data", data)) => Some(data.trim_start().to_owned()),
                _ => None,
            })
        });
        Ok(events.filter_map(|event| async { event.transpose() }))
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, ApiError> {
        let unreachable = |error: &dyn std::fmt::Display| {
            ApiError::new(
                Reason::GatewayUnreachable,
                format!("no gateway answers at {}: {error}", self.authority),
            )
        };
        let stream = self
            .net
            .connect(&self.authority)
            .await
            .map_err(|error| unreachable(&error))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| unreachable(&error))?;
        // It ends with the response; its error reaches the caller through the response as well.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, &self.authority)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| ApiError::new(Reason::FieldInvalid, format!("{path:?} cannot be requested: {error}")))?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| interrupted(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, named) = (response.status(), reason_header(&response));
        let body = collect(response).await?;
        Err(match named {
            Some(reason) => short_error(reason, &body),
            None => read_error(status, &body),
        })
    }

    fn timed_out(&self) -> ApiError {
        ApiError::new(
            Reason::OutcomeUnknown,
            format!("{} did not answer in time", self.authority),
        )
    }
}

/// A message for gRPC, with the deadline that calls over REST have.
pub(crate) fn within<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(CALL_MAX);
    request
}

/// A text as part of a path or a query.
pub(crate) fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

async fn collect(response: Response<Incoming>) -> Result<Bytes, ApiError> {
    Ok(response
        .into_body()
        .collect()
        .await
        .map_err(|error| interrupted(&error))?
        .to_bytes())
}

/// The connection ended before the answer: [`Reason::OutcomeUnknown`].
fn interrupted(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::new(
        Reason::OutcomeUnknown,
        format!("the connection ended before the answer: {error}"),
    )
}

/// Parses a body that the gateway promises to be JSON as a [`Value`]. Another server's body is GATEWAY_UNREACHABLE.
pub(crate) fn read_json(body: &[u8]) -> Result<Value, ApiError> {
    let foreign = |error| format!("what answers is no gateway, as the answer is not JSON: {error}");
    serde_json::from_slice(body).map_err(|error| ApiError::new(Reason::GatewayUnreachable, foreign(error)))
}

/// The [`ApiError`] of a value of this program that cannot be written as JSON.
pub(crate) fn unwritable(error: impl std::fmt::Display) -> ApiError {
    // The keys of its maps are texts, and no field refuses to be written.
    ApiError::new(Reason::Internal, format!("it cannot be written as JSON: {error}"))
}

/// The reason that errors under `/v2` carry beside their body.
fn reason_header(response: &Response<Incoming>) -> Option<Reason> {
    response.headers().get("lepton-reason")?.to_str().ok()?.parse().ok()
}

/// The [`ApiError`] of a failed call under `/v2`, whose body has a text only.
fn short_error(reason: Reason, body: &[u8]) -> ApiError {
    let answer = serde_json::from_slice::<Value>(body).ok();
    let message = answer
        .as_ref()
        .and_then(|answer| answer["error"].as_str())
        .unwrap_or_default();
    ApiError::new(reason, message)
}

/// The [`ApiError`] in the body of a failed call.
fn read_error(status: StatusCode, body: &[u8]) -> ApiError {
    // The answers of a proxy that did not reach a gateway, or got no answer of it.
    let proxied = [
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ];
    let unnamed = match proxied.contains(&status) {
        true => Reason::OutcomeUnknown,
        // A gateway names the reason of each error.
        false => Reason::Internal,
    };
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return ApiError::new(unnamed, format!("the gateway answered {status}"));
    };
    let error = &value["error"];
    let details = error["details"].as_array().cloned().unwrap_or_default();
    let named = details.iter().find_map(|detail| detail["reason"].as_str());
    let message = error["message"].as_str().unwrap_or_default();
    match named.and_then(|name| name.parse::<Reason>().ok()) {
        Some(reason) => ApiError::new(reason, message),
        None if message.is_empty() => ApiError::new(unnamed, format!("the gateway answered {status}")),
        None => ApiError::new(unnamed, format!("{} {message}", named.unwrap_or_default()).trim_start()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_json_comes_from_no_gateway() {
        let error = read_json(b"<html>welcome</html>").expect_err("no JSON");
        assert_eq!(error.reason, Reason::GatewayUnreachable);
    }

    #[test]
    fn what_a_proxy_says_leaves_the_outcome_open() {
        let read = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).expect("a status");
            read_error(status, body.as_bytes()).reason
        };
        for status in [502, 503, 504] {
            for body in ["<html>no upstream</html>", "", "{}", r#"{"error":"no upstream"}"#] {
                assert_eq!(read(status, body), Reason::OutcomeUnknown, "{status} {body}");
            }
        }
        assert_eq!(read(500, "oops"), Reason::Internal);
        let named = r#"{"error":{"message":"m","details":[{"reason":"NO_WORKER"}]}}"#;
        assert_eq!(read(503, named), Reason::NoWorker);
    }
}
