//! Variables mean what the specification has them mean.

use super::*;

/// The collector of traces that these variables name.
fn found(signal: Signal, set: &[(&str, &str)]) -> Option<Collector> {
    let find = |name: &str| {
        let found = set.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Collector::find(signal, None, find)
}

fn address(text: &str) -> Option<(bool, String, Option<u16>, String)> {
    Address::parse(text).map(|it| (it.encrypted, it.host, it.port, it.path))
}

#[test]
fn endpoints_are_read_as_the_specification_has_them() {
    let of = |host: &str, port, path: &str| Some((false, host.to_owned(), port, path.to_owned()));
    assert_eq!(address("http://127.0.0.1:4317"), of("127.0.0.1", Some(4317), ""));
    assert_eq!(address("otel:4317/v1/traces"), of("otel", Some(4317), "/v1/traces"));
    assert_eq!(address("http://otel"), of("otel", None, ""));
    assert_eq!(address("http://[::1]:4317/"), of("[::1]", Some(4317), ""));
    let encrypted = Some((true, "otel".to_owned(), Some(4317), String::new()));
    assert_eq!(address("https://otel:4317"), encrypted);
    for bad in ["http://", "http:// otel", "", "ftp://otel"] {
        assert_eq!(address(bad), None, "{bad}");
    }
}

#[test]
fn both_protocols_are_spoken() {
    let found = |set: &[(&str, &str)]| found(Signal::Traces, set).map(|it| (it.protocol, it.url)).unwrap();
    let (all, traces) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    let http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    let of = |protocol, url: &str| (protocol, url.to_owned());
    let posted = |url| of(Protocol::Http, url);
    assert_eq!(found(&[(all, "http://c"), http]), posted("http://c:4318/v1/traces"));
    assert_eq!(
        found(&[(all, "http://c:9/base/"), http]),
        posted("http://c:9/base/v1/traces")
    );
    assert_eq!(found(&[(traces, "http://c:9/mine"), http]), posted("http://c:9/mine"));
    assert_eq!(
        found(&[(all, "http://c:4318")]),
        posted("http://c:4318/v1/traces"),
        "the usual port of HTTP"
    );
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    assert_eq!(found(&[(all, "http://c"), grpc]), of(Protocol::Grpc, "http://c:4317"));
    assert_eq!(found(&[(all, "https://c"), grpc]), of(Protocol::Grpc, "https://c:4317"));
}

#[test]
fn a_signals_own_variables_count_more() {
    let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317");
    let own = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics:4317");
    let url = |signal, set: &[(&str, &str)]| found(signal, set).map(|it| it.url);
    assert_eq!(url(Signal::Metrics, &[]), None);
    assert_eq!(url(Signal::Metrics, &[all]).as_deref(), Some("http://all:4317"));
    assert_eq!(
        url(Signal::Metrics, &[all, own]).as_deref(),
        Some("http://metrics:4317")
    );
    assert_eq!(url(Signal::Logs, &[all, own]).as_deref(), Some("http://all:4317"));
    assert_eq!(url(Signal::Logs, &[own]), None);
    assert!(url(Signal::Traces, &[all, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")]).is_some());
    assert_eq!(
        url(Signal::Traces, &[all, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]),
        None
    );
    assert_eq!(url(Signal::Logs, &[all, ("OTEL_LOGS_EXPORTER", "none")]), None);
    assert!(url(Signal::Metrics, &[all, ("OTEL_LOGS_EXPORTER", "none")]).is_some());
}

#[test]
fn the_configuration_counts_more_than_the_environment() {
    let set = |_: &str| Some("http://all:4317".to_owned()).filter(|_| false);
    let found = Collector::find(Signal::Traces, Some("http://mine:4317"), set);
    assert_eq!(found.unwrap().url, "http://mine:4317");
}

#[test]
fn headers_are_decoded_and_bad_ones_left_out() {
    let text = "Authorization=Bearer%20abc, x-tenant=a%2Cb,, no value, bad name=1,x=%ff";
    let set = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
        ("OTEL_EXPORTER_OTLP_HEADERS", text),
    ];
    let headers = found(Signal::Traces, &set).unwrap().headers();
    assert_eq!(headers.get("authorization").unwrap(), "Bearer abc");
    assert_eq!(headers.get("x-tenant").unwrap(), "a,b");
    assert_eq!(headers.len(), 2);
}
