//! Metrics appear once, under their documented names.

use super::*;

#[test]
fn the_same_metric_is_registered_once() {
    let metrics = Metrics::new();
    for _ in 0..2 {
        metrics
            .counter("lepton_requests_total", "Requests.", &[("method", "Get")])
            .inc();
    }
    metrics
        .counter("lepton_requests_total", "Requests.", &[("method", "List")])
        .inc();
    let text = metrics.text().unwrap();
    assert!(text.contains("lepton_requests_total{method=\"Get\"} 2\n"), "{text}");
    assert!(text.contains("lepton_requests_total{method=\"List\"} 1\n"), "{text}");
    assert_eq!(text.matches("# TYPE lepton_requests counter").count(), 1, "{text}");
    assert_eq!(text.matches("# HELP lepton_requests Requests.\n").count(), 1, "{text}");
}

#[test]
fn gauges_and_histograms_show_their_values() {
    let metrics = Metrics::new();
    metrics.gauge("lepton_slots", "Slots", &[]).set(3.5);
    metrics
        .histogram("lepton_call_seconds", "Calls", &[("service", "a")], SECONDS)
        .observe(0.3);
    let text = metrics.text().unwrap();
    assert!(text.contains("lepton_slots{} 3.5\n"), "{text}");
    assert!(
        text.contains("lepton_call_seconds_bucket{le=\"0.5\",service=\"a\"} 1\n"),
        "{text}"
    );
    assert!(
        text.contains("lepton_call_seconds_bucket{le=\"0.25\",service=\"a\"} 0\n"),
        "{text}"
    );
}

#[test]
fn the_process_itself_is_measured() {
    let text = Metrics::new().text().unwrap();
    assert!(text.contains("lepton_process_cpu_seconds_total "), "{text}");
    assert!(text.contains("lepton_process_resident_bytes "), "{text}");
}
