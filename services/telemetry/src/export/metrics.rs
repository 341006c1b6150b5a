//! Metrics to a collector.
//!
//! The registry behind `/metrics` is the only one, encoded as OTLP when it is time: so names, help and values are those of
//! a scrape, and a count costs an atomic addition to a handle that is kept. The SDK's instruments, with
//! `opentelemetry-prometheus` behind the page, look up their attributes at each count and add labels of their own.
//!
//! Promises: sent at an interval and once at the end; a collector that takes no metrics disturbs nobody.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use lepton_core::context::Context;
use opentelemetry_http::HttpClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;

use super::collector::tls::TIMEOUT;
use super::collector::{Collector, Protocol};
use super::delivery::Outage;
use super::grouped::failure;
use super::resource;
use crate::trace::Scope;

mod encode;

/// Interval of metrics by the specification.
const INTERVAL: Duration = Duration::from_secs(60);

/// Sends the metrics of this process until it ends.
pub(super) async fn push(collector: Collector, whole: Arc<Scope>, context: Context, closing: CancellationToken) {
    let interval = collector.interval_ms.map_or(INTERVAL, Duration::from_millis);
    let (outage, since) = (Outage::new("collector", "metrics"), context.clock.now());
    let mut sender = match Sender::new(&collector) {
        Ok(sender) => sender,
        Err(error) => return outage.note(Some(&error)),
    };
    let resource = resource::of_scope(&whole);
    loop {
        let ends = tokio::select! {
            () = tokio::time::sleep(interval.max(Duration::from_millis(1))) => false,
            () = closing.cancelled() => true,
        };
        // Only a collector of ours can fail here.
        if let Ok(set) = context.metrics.families() {
            let request = encode::request(set, &resource, since, context.clock.now());
            let sent = tokio::time::timeout(TIMEOUT, sender.send(request)).await;
            let sent = sent.unwrap_or(Err(OTelSdkError::Timeout(TIMEOUT)));
            outage.note(sent.as_ref().err());
        }
        if ends {
            return;
        }
    }
}

/// The way to a collector of metrics.
enum Sender {
    Grpc(Box<MetricsServiceClient<Channel>>, HeaderMap),
    Http(Box<dyn HttpClient>, String, HeaderMap),
}

impl Sender {
    fn new(collector: &Collector) -> Result<Self, OTelSdkError> {
        let headers = collector.headers();
        Ok(match collector.protocol {
            Protocol::Grpc => {
                let channel = collector.channel().map_err(|error| failure(&error))?;
                Self::Grpc(Box::new(MetricsServiceClient::new(channel)), headers)
            }
            Protocol::Http => Self::Http(Box::new(collector.client()), collector.url.clone(), headers),
        })
    }

    async fn send(&mut self, message: ExportMetricsServiceRequest) -> OTelSdkResult {
        match self {
            Self::Grpc(client, headers) => {
                let mut request = tonic::Request::new(message);
                *request.metadata_mut() = MetadataMap::from_headers(headers.clone());
                client.export(request).await.map_err(|status| failure(&status))?;
            }
            Self::Http(client, url, headers) => {
                let mut request = Request::post(url.as_str()).header("content-type", "application/x-protobuf");
                if let Some(sent) = request.headers_mut() {
                    sent.extend(headers.clone());
                }
                let request = request.body(Bytes::from(message.encode_to_vec()));
                let request = request.map_err(|error| failure(&error))?;
                let answer = client.send_bytes(request).await.map_err(|error| failure(&error))?;
                if !answer.status().is_success() {
                    return Err(failure(&format!("HTTP {}", answer.status())));
                }
            }
        }
        Ok(())
    }
}
