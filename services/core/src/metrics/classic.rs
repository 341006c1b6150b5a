//! OpenMetrics text as Prometheus' text format 0.0.4, which most tools read.
//!
//! Promises: the samples are the same; a counter's description is of the name that its samples have. Leaves encoding to the
//! library, which writes OpenMetrics alone.
//!
//! See <https://prometheus.io/docs/instrumenting/exposition_formats/>.

/// Rewrites the descriptions; samples are alike in both formats.
pub(super) fn text(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len() + 1_024);
    // The help comes before the type, which decides its name.
    let mut help: Option<(&str, &str)> = None;
    for line in openmetrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ');
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap_or((typed, "untyped"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "unknown" => ("", "untyped"),
                _ => ("", kind),
            };
            if let Some((_, help)) = help.take().filter(|(of, _)| *of == name) {
                text.extend(["# HELP ", name, suffix, " ", help, "\n"]);
            }
            text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with("# UNIT ") {
            text.extend([line, "\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_described_under_the_name_of_its_samples() {
        let openmetrics = "# HELP a Some.\n# TYPE a counter\na_total{b=\"c\"} 1\n# HELP d More.\n# TYPE d gauge\n# UNIT d seconds\nd 2\n# EOF\n";
        let expected = "# HELP a_total Some.\n# TYPE a_total counter\na_total{b=\"c\"} 1\n# HELP d More.\n# TYPE d gauge\nd 2\n# EOF\n";
        assert_eq!(text(openmetrics), expected);
    }
}
