//! Resource usage of this process, read from `/proc`.
//!
//! Promises: two small file reads per call. Where there is no `/proc` everything is zero.

use std::fmt;
use std::fs;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Microseconds in one tick of `/proc`'s CPU times: Linux shows them in 1/100 s on every architecture.
const TICK_US: u64 = 10_000;

/// CPU time and memory of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time since the process started, user and system, in microseconds.
    pub cpu_us: u64,
    /// Memory held in RAM, in bytes.
    pub resident_bytes: u64,
    /// The most memory ever held in RAM, in bytes.
    pub resident_bytes_max: u64,
}

/// Returns the [`Usage`] of this process, from [`/proc/self`](https://man7.org/linux/man-pages/man5/proc.5.html).
pub fn usage() -> Usage {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    Usage {
        cpu_us: cpu_us(&stat).unwrap_or_default(),
        resident_bytes: kibibytes(&status, "VmRSS:").unwrap_or_default() * 1024,
        resident_bytes_max: kibibytes(&status, "VmHWM:").unwrap_or_default() * 1024,
    }
}

/// User plus system time: the 14th and 15th field of `/proc/self/stat`.
fn cpu_us(stat: &str) -> Option<u64> {
    // The second field is the program's name in brackets and may hold blanks: count from behind it.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) * TICK_US)
}

/// The figure of one line of `/proc/self/status`, which is in KiB.
fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Shows the usage at each scrape.
#[derive(Debug)]
pub(super) struct Collector;

impl prometheus_client::collector::Collector for Collector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let usage = usage();
        let seconds = ConstCounter::new(usage.cpu_us as f64 / 1e6);
        let (name, help) = ("lepton_process_cpu_seconds", "CPU time used, user and system");
        seconds.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        for (name, help, bytes) in [
            (
                "lepton_process_resident_bytes",
                "Memory held in RAM",
                usage.resident_bytes,
            ),
            (
                "lepton_process_resident_max_bytes",
                "Most memory ever held in RAM",
                usage.resident_bytes_max,
            ),
        ] {
            let gauge = ConstGauge::new(bytes as f64);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_and_blanks_do_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        assert_eq!(cpu_us(stat), Some(3_000_000));
        assert_eq!(cpu_us("nonsense"), None);
    }

    #[test]
    fn this_process_holds_memory() {
        let usage = usage();
        assert!(usage.resident_bytes > 1 << 20, "{usage:?}");
        assert!(usage.resident_bytes_max >= usage.resident_bytes, "{usage:?}");
    }
}
