//! A collector outside of the mesh: where it is, and the way to it.
//!
//! Promises: what is set and cannot be used is reported in the log, and the service starts all the same. Leaves
//! `OTEL_EXPORTER_OTLP_TIMEOUT` and `_COMPRESSION`, also those of one signal, to `opentelemetry-otlp`, which reads them
//! itself, `OTEL_RESOURCE_ATTRIBUTES` to the SDK, and encryption to `tls`.
//!
//! The other variables are read here. `_ENDPOINT` and `_PROTOCOL` decide which builder of the library is taken, whether there
//! is an export at all, and a protocol may follow from the port; the library falls back to a collector on localhost. `_HEADERS`
//! and `OTEL_METRIC_EXPORT_INTERVAL` are read by exporters of the library only, and metrics have one of ours. `_CERTIFICATE` and
//! `OTEL_*_EXPORTER` are read by no library.
//!
//! See <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.

use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use lepton_domain::text::redacted_address;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, Protocol as OtlpProtocol, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use percent_encoding::percent_decode_str;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};

use tls::Trust;

#[cfg(test)]
mod tests;
pub(super) mod tls;

/// Ports that receivers listen on by default.
const GRPC_PORT: u16 = 4317;
const HTTP_PORT: u16 = 4318;

/// A kind of records that is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    /// Its name in variables.
    fn name(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }

    /// The path below the endpoint of all signals.
    fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
        }
    }
}

/// The protocols that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

/// A collector of one signal.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    pub(super) protocol: Protocol,
    /// The whole URL that is posted to, or the server for gRPC.
    pub(super) url: String,
    /// Headers of each message, values percent-encoded.
    headers: Vec<(HeaderName, String)>,
    /// Interval of metrics, where `OTEL_METRIC_EXPORT_INTERVAL` sets it.
    pub(super) interval_ms: Option<u64>,
    trust: Trust,
}

impl Collector {
    /// Returns the collector that the configuration names, or else the environment.
    pub(crate) fn find(
        signal: Signal,
        configured: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Option<Self> {
        let set = |name: String| variable(&name).filter(|value| !value.is_empty());
        let own = |what: &str| set(format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.name()));
        let value = |what: &str| own(what).or_else(|| set(format!("OTEL_EXPORTER_OTLP_{what}")));
        if !is_wanted(signal, set(format!("OTEL_{}_EXPORTER", signal.name())).as_deref()) {
            return None;
        }
        let is_whole = configured.is_none() && own("ENDPOINT").is_some();
        let endpoint = configured.map(str::to_owned).or_else(|| value("ENDPOINT"))?;
        let Some(address) = Address::parse(&endpoint) else {
            tracing::warn!(
                endpoint = %redacted_address(&endpoint),
                "no collector: the endpoint is not http://HOST:PORT or https://HOST:PORT"
            );
            return None;
        };
        let protocol = address.protocol(value("PROTOCOL").as_deref())?;
        let trust = match Trust::load(address.encrypted, value("CERTIFICATE").as_deref()) {
            Ok(trust) => trust,
            Err(error) => {
                tracing::warn!(%error, "no collector: the authorities that may sign its certificate cannot be read");
                return None;
            }
        };
        Some(Self {
            protocol,
            url: address.url(protocol, signal, is_whole),
            headers: headers(&value("HEADERS").unwrap_or_default()),
            interval_ms: set("OTEL_METRIC_EXPORT_INTERVAL".to_owned()).and_then(|text| text.parse().ok()),
            trust,
        })
    }

    /// Returns the headers of each message.
    pub(super) fn headers(&self) -> HeaderMap {
        let decoded = self
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), decoded(value)?)));
        decoded.collect()
    }

    /// A channel to the collector, which dials on first use. Needs a runtime.
    pub(super) fn channel(&self) -> Result<Channel, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(self.url.clone())?;
        Ok(endpoint.connect_with_connector_lazy(self.trust.connector(Protocol::Grpc)))
    }

    /// A client of the collector, for messages that are posted.
    pub(super) fn client(&self) -> HyperClient<HttpsConnector<HttpConnector>> {
        HyperClient::new(self.trust.connector(Protocol::Http), tls::TIMEOUT, None)
    }

    /// The library's exporter of spans. Needs a runtime.
    pub(super) fn span_exporter(&self) -> Result<SpanExporter, ExporterBuildError> {
        let builder = SpanExporter::builder();
        match self.protocol {
            Protocol::Grpc => self.over_grpc(builder.with_tonic())?.build(),
            Protocol::Http => self.over_http(builder.with_http()).build(),
        }
    }

    /// The library's exporter of log records. Needs a runtime.
    pub(super) fn log_exporter(&self) -> Result<LogExporter, ExporterBuildError> {
        let builder = LogExporter::builder();
        match self.protocol {
            Protocol::Grpc => self.over_grpc(builder.with_tonic())?.build(),
            Protocol::Http => self.over_http(builder.with_http()).build(),
        }
    }

    fn over_grpc<B: WithTonicConfig>(&self, builder: B) -> Result<B, ExporterBuildError> {
        let channel = self.channel();
        let channel = channel.map_err(|error| ExporterBuildError::InvalidConfiguration(error.to_string()))?;
        let metadata = MetadataMap::from_headers(self.headers());
        Ok(builder.with_channel(channel).with_metadata(metadata))
    }

    fn over_http<B: WithHttpConfig + WithExportConfig>(&self, builder: B) -> B {
        builder
            .with_http_client(self.client())
            .with_headers(self.encoded_headers())
            .with_endpoint(&self.url)
            .with_protocol(OtlpProtocol::HttpBinary)
    }

    /// Returns the headers as the library wants them, which decodes them.
    fn encoded_headers(&self) -> HashMap<String, String> {
        let pairs = self.headers.iter();
        pairs.map(|(name, value)| (name.to_string(), value.clone())).collect()
    }
}

/// Returns true for an exporter by this protocol, which is the default. `/metrics` and the lines on stderr are there in any
/// case.
fn is_wanted(signal: Signal, exporter: Option<&str>) -> bool {
    match exporter {
        None | Some("otlp") => true,
        Some("none" | "prometheus" | "console") => false,
        Some(exporter) => {
            let signal = signal.name();
            tracing::warn!(
                signal,
                exporter,
                "no collector: there is no such exporter; take otlp or none"
            );
            false
        }
    }
}

/// Parses pairs `name=value` between commas, values percent-encoded.
fn headers(text: &str) -> Vec<(HeaderName, String)> {
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
    let parsed = pairs.filter_map(|pair| {
        let parsed = header(pair);
        if parsed.is_none() {
            // Without its value, which may be a secret.
            let name = pair.split_once('=').map(|(name, _)| name);
            tracing::warn!(name, "a header for the collector cannot be used");
        }
        parsed
    });
    parsed.collect()
}

fn header(pair: &str) -> Option<(HeaderName, String)> {
    let (name, value) = pair.split_once('=')?;
    let (name, value) = (name.trim().to_ascii_lowercase().parse().ok()?, value.trim());
    decoded(value).map(|_| (name, value.to_owned()))
}

fn decoded(value: &str) -> Option<HeaderValue> {
    percent_decode_str(value).decode_utf8().ok()?.parse().ok()
}

/// The parts of an endpoint.
#[derive(Debug, PartialEq)]
struct Address {
    encrypted: bool,
    host: String,
    port: Option<u16>,
    /// Without a slash at its end.
    path: String,
}

impl Address {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (encrypted, rest) = match text.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("http://").unwrap_or(text)),
        };
        // Another scheme would be taken for a host.
        let uri: Uri = format!("http://{rest}")
            .parse()
            .ok()
            .filter(|_| !rest.contains("://"))?;
        let host = uri.host().filter(|host| !host.is_empty())?;
        Some(Self {
            encrypted,
            host: host.to_owned(),
            port: uri.port_u16(),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The protocol by its variable, or by the port that its owner listens on.
    fn protocol(&self, named: Option<&str>) -> Option<Protocol> {
        match named {
            Some("grpc") => Some(Protocol::Grpc),
            Some("http/protobuf") => Some(Protocol::Http),
            None if self.port == Some(HTTP_PORT) => Some(Protocol::Http),
            None => Some(Protocol::Grpc),
            Some(protocol) => {
                tracing::warn!(
                    protocol,
                    "no collector: this protocol is not spoken; take grpc or http/protobuf"
                );
                None
            }
        }
    }

    /// The URL of messages: the endpoint itself if it is that of this signal alone, else a path below the one of all signals.
    fn url(&self, protocol: Protocol, signal: Signal, is_whole: bool) -> String {
        let scheme = if self.encrypted { "https" } else { "http" };
        let (usual, path) = match protocol {
            Protocol::Grpc => (GRPC_PORT, String::new()),
            Protocol::Http if is_whole && self.path.is_empty() => (HTTP_PORT, "/".to_owned()),
            Protocol::Http if is_whole => (HTTP_PORT, self.path.clone()),
            Protocol::Http => (HTTP_PORT, format!("{}{}", self.path, signal.path())),
        };
        format!("{scheme}://{}:{}{path}", self.host, self.port.unwrap_or(usual))
    }
}
