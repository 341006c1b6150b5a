//! OpenTelemetry's environment variables for the export of traces.
//!
//! Promises: what is set and cannot be used is said in the log, and the service starts all the same. Leaves sending to
//! `export`.
//!
//! See <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.

use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};

use super::export::lane::Target;

/// The collector that the configuration names, or else the environment. `variable` reads the environment.
pub(super) fn collector(configured: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Option<Target> {
    let of_traces = |what: &str| {
        let own = variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{what}"));
        let of_all = || variable(&format!("OTEL_EXPORTER_OTLP_{what}"));
        own.filter(|value| !value.is_empty())
            .or_else(of_all)
            .filter(|value| !value.is_empty())
    };
    let endpoint = configured.map(str::to_owned).or_else(|| of_traces("ENDPOINT"))?;
    if let Some(protocol) = of_traces("PROTOCOL").filter(|protocol| protocol != "grpc") {
        tracing::warn!(
            protocol,
            "traces go to the collector by OTLP over gRPC; this protocol is not spoken"
        );
        return None;
    }
    let Some(address) = address(&endpoint) else {
        tracing::warn!(endpoint, "no collector: the endpoint is not http://HOST:PORT");
        return None;
    };
    let headers = of_traces("HEADERS").unwrap_or_default();
    Some(Target::fixed(address, self::headers(&headers)))
}

/// `HOST:PORT` of an endpoint; a path says nothing to gRPC.
fn address(endpoint: &str) -> Option<String> {
    let rest = endpoint.trim().strip_prefix("http://").unwrap_or(endpoint.trim());
    let authority = rest.split('/').next().filter(|rest| !rest.is_empty())?;
    let uri: http::Uri = format!("http://{authority}").parse().ok()?;
    // A scheme that is not ours would leave an authority like `https:`.
    let named = !endpoint.trim().starts_with("https://") && uri.host().is_some_and(|host| !host.is_empty());
    let port = uri.port_u16().unwrap_or(4317);
    named.then(|| format!("{}:{port}", uri.host().unwrap_or_default()))
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
        assert_eq!(address("http://127.0.0.1:4317").as_deref(), Some("127.0.0.1:4317"));
        assert_eq!(address("otel:4317/v1/traces").as_deref(), Some("otel:4317"));
        assert_eq!(address("http://otel").as_deref(), Some("otel:4317"));
        assert_eq!(address("http://[::1]:4317/").as_deref(), Some("[::1]:4317"));
        for bad in ["https://otel:4317", "http://", "http:// otel", ""] {
            assert_eq!(address(bad), None, "{bad}");
        }
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
