//! OpenTelemetry's environment variables for the export of traces.
//!
//! Promises: what is set and cannot be used is said in the log, and the service starts all the same. Leaves sending to
//! `export`.
//!
//! See <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.

use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};

use super::export::lane::Target;

/// Where receivers listen unless they are told otherwise.
const GRPC_PORT: u16 = 4317;
const HTTP_PORT: u16 = 4318;

/// The collector that the configuration names, or else the environment. `variable` reads the environment.
pub(super) fn collector(configured: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Option<Target> {
    let of_traces = |what: &str| {
        let own = variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{what}"));
        let of_all = || variable(&format!("OTEL_EXPORTER_OTLP_{what}"));
        own.filter(|value| !value.is_empty())
            .or_else(of_all)
            .filter(|value| !value.is_empty())
    };
    let of_traces_alone = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").filter(|value| !value.is_empty());
    let is_whole = configured.is_none() && of_traces_alone.is_some();
    let endpoint = configured.map(str::to_owned).or_else(|| of_traces("ENDPOINT"))?;
    let Some(endpoint) = Endpoint::parse(&endpoint) else {
        tracing::warn!(
            endpoint,
            "no collector: the endpoint is not http://HOST:PORT; https is for a proxy in front"
        );
        return None;
    };
    let path = match of_traces("PROTOCOL").as_deref() {
        Some("grpc") => None,
        Some("http/protobuf") => Some(endpoint.path(is_whole)),
        // The port tells what its owner speaks.
        None if endpoint.port == Some(HTTP_PORT) => Some(endpoint.path(is_whole)),
        None => None,
        Some(protocol) => {
            tracing::warn!(
                protocol,
                "no collector: this protocol is not spoken; take grpc or http/protobuf"
            );
            return None;
        }
    };
    let usual = if path.is_some() { HTTP_PORT } else { GRPC_PORT };
    let address = format!("{}:{}", endpoint.host, endpoint.port.unwrap_or(usual));
    let headers = of_traces("HEADERS").unwrap_or_default();
    Some(Target::fixed(address, path, self::headers(&headers)))
}

/// An endpoint without encryption.
#[derive(Debug, PartialEq)]
struct Endpoint {
    host: String,
    port: Option<u16>,
    /// Without a slash at its end.
    path: String,
}

impl Endpoint {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        // A scheme that is not ours would leave an authority like `https:`.
        if text.starts_with("https://") {
            return None;
        }
        let rest = text.strip_prefix("http://").unwrap_or(text);
        let uri: http::Uri = format!("http://{rest}").parse().ok()?;
        let host = uri.host().filter(|host| !host.is_empty())?;
        Some(Self {
            host: host.to_owned(),
            port: uri.port_u16(),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Where traces are posted: at the endpoint itself if it is that of traces alone, else below the one of all signals.
    fn path(&self, is_whole: bool) -> String {
        match (is_whole, self.path.as_str()) {
            (true, "") => "/".to_owned(),
            (true, path) => path.to_owned(),
            (false, path) => format!("{path}/v1/traces"),
        }
    }
}

/// Pairs `name=value` between commas, values percent-encoded.
fn headers(text: &str) -> MetadataMap {
    let mut headers = MetadataMap::new();
    for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
        match header(pair) {
            Some((name, value)) => {
                headers.insert(name, value);
            }
            // Without its value, which may be a secret.
            None => tracing::warn!(
                name = pair.split('=').next(),
                "a header for the collector cannot be used"
            ),
        }
    }
    headers
}

fn header(pair: &str) -> Option<(MetadataKey<Ascii>, MetadataValue<Ascii>)> {
    let (name, value) = pair.split_once('=')?;
    let name = name.trim().to_ascii_lowercase().parse().ok()?;
    Some((name, decoded(value.trim())?.parse().ok()?))
}

/// Percent-decoded.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::collector as collector_of;
    use super::*;

    #[test]
    fn endpoints_are_read_as_the_specification_has_them() {
        let read = |text| Endpoint::parse(text).map(|it| (it.host, it.port, it.path));
        let of = |host: &str, port, path: &str| Some((host.to_owned(), port, path.to_owned()));
        assert_eq!(read("http://127.0.0.1:4317"), of("127.0.0.1", Some(4317), ""));
        assert_eq!(read("otel:4317/v1/traces"), of("otel", Some(4317), "/v1/traces"));
        assert_eq!(read("http://otel"), of("otel", None, ""));
        assert_eq!(read("http://[::1]:4317/"), of("[::1]", Some(4317), ""));
        for bad in ["https://otel:4317", "http://", "http:// otel", ""] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn both_protocols_are_spoken() {
        let target = |set: &[(&str, &str)]| {
            let find = |name: &str| {
                let found = set.iter().find(|(key, _)| name.ends_with(key));
                found.map(|(_, value)| (*value).to_owned())
            };
            format!("{:?}", collector_of(None, find))
        };
        let (all, traces) = ("OTLP_ENDPOINT", "TRACES_ENDPOINT");
        let http = ("OTLP_PROTOCOL", "http/protobuf");
        let shown = target(&[(all, "http://c"), http]);
        assert!(shown.contains("c:4318") && shown.contains("\"/v1/traces\""), "{shown}");
        let shown = target(&[(all, "http://c:9/base/"), http]);
        assert!(
            shown.contains("c:9") && shown.contains("\"/base/v1/traces\""),
            "{shown}"
        );
        let shown = target(&[(traces, "http://c:9/mine"), http]);
        assert!(shown.contains("\"/mine\""), "{shown}");
        let shown = target(&[(all, "http://c:4318")]);
        assert!(shown.contains("\"/v1/traces\""), "the usual port of HTTP: {shown}");
        let shown = target(&[(all, "http://c"), ("OTLP_PROTOCOL", "grpc")]);
        assert!(shown.contains("c:4317") && shown.contains("path: None"), "{shown}");
    }

    #[test]
    fn the_variable_of_traces_counts_more() {
        let collector = |set: &[(&str, &str)]| {
            let find = |name: &str| {
                set.iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_owned())
            };
            collector_of(None, find).map(|target| format!("{target:?}"))
        };
        assert_eq!(collector(&[]), None);
        let of_all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317");
        let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4317");
        assert!(collector(&[of_all]).unwrap().contains("all:4317"));
        assert!(collector(&[of_all, of_traces]).unwrap().contains("traces:4317"));
        assert!(collector(&[of_all, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")]).is_some());
        assert_eq!(collector(&[of_all, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]), None);
    }

    #[test]
    fn headers_are_decoded_and_bad_ones_left_out() {
        let headers = headers("Authorization=Bearer%20abc, x-tenant=a%2Cb,, no value, bad name=1,x=%zz");
        assert_eq!(headers.get("authorization").unwrap(), "Bearer abc");
        assert_eq!(headers.get("x-tenant").unwrap(), "a,b");
        assert_eq!(headers.len(), 2);
    }
}
