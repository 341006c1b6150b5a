//! Start page: open incidents, topology, load and instances.

use maud::{Markup, html};

use super::chart::{history, pair};
use super::format::{count, micros, rate, time};
use super::{Console, PageContent, incidents, instances, layout, topology};
use crate::stats::ring::Point;
use crate::view::{InstanceLoad, MeshView, RowState};

/// Start page.
pub(super) fn page(console: &Console, view: &MeshView) -> PageContent {
    let etcd_health = *console.etcd_health.borrow();
    let body = html! {
        (verdict(view))
        (incidents::open(view))
        section.panel aria-label="Topology of the mesh" { (topology::picture(view, etcd_health, &console.etcd)) }
        (charts(view))
        (instances::table(view))
        footer { "As of " (time(view.at, view.at)) ". Rates are means over five seconds, curves show the last minute." }
    };
    PageContent {
        title: layout::title(view, "Overview"),
        body,
    }
}

/// Condition of the mesh in one sentence.
fn verdict(view: &MeshView) -> Markup {
    let open = view.open().count();
    let waiting = view.rows.iter().filter(|row| row.state != RowState::Ready).count();
    let (class, text) = match (view.rows.len(), open, waiting) {
        (0, 0, _) => ("unsure", "No instances found yet".to_owned()),
        (_, 0, 0) => ("good", "All instances are ready".to_owned()),
        (_, 0, 1) => ("unsure", "One instance is not ready".to_owned()),
        (_, 0, _) => ("unsure", format!("{waiting} instances are not ready")),
        (_, 1, _) => ("bad", "One incident is open".to_owned()),
        _ => ("bad", format!("{open} incidents are open")),
    };
    html! { div.title { h1 { span class={ "dot " (class) } {} (text) } } }
}

/// Chart of one figure of the whole mesh over the last minute.
struct Chart {
    name: &'static str,
    now: String,
    unit: String,
    values: Vec<f64>,
    /// Second curve on the same scale, with its class.
    other: (&'static str, Vec<f64>),
    /// Least value at the top of the scale.
    floor: f64,
    /// Label of the largest value.
    peak: String,
}

/// Charts of sums over services. Requests are counted at the gateways only. CPU and memory belong to processes, which
/// services may share, so they have no sum; [`instances::table`] has them.
fn charts(view: &MeshView) -> Markup {
    let charts = [requests(view), latency(view), waiting(view), slots(view)];
    html! {
        section.charts aria-label="The mesh in the last minute" {
            @for chart in &charts {
                figure.card {
                    figcaption { (chart.name) }
                    p.big { strong { (chart.now) } " " span { (chart.unit) } }
                    (pair(&chart.values, (chart.other.0, &chart.other.1), chart.floor))
                    p.peak { (chart.peak) }
                }
            }
        }
    }
}

fn requests(view: &MeshView) -> Chart {
    let now: f64 = loads(view, "gateway").map(|load| load.rates.finished_per_s).sum();
    let failed: f64 = loads(view, "gateway").map(|load| load.rates.failed_per_s).sum();
    let values = summed(view, "gateway", |point| point.rates.finished_per_s);
    let unit = if failed < 0.05 {
        "per second".to_owned()
    } else {
        format!("per second, {} failed", rate(failed))
    };
    Chart {
        name: "Requests",
        now: rate(now),
        unit,
        other: ("line bad", summed(view, "gateway", |point| point.rates.failed_per_s)),
        floor: 5.0,
        peak: format!("at most {} in a second", rate(largest(&values))),
        values,
    }
}

fn latency(view: &MeshView) -> Chart {
    // Percentiles cannot be added: the slowest gateway speaks for all.
    let slowest = |figure: fn(&Point) -> u64| folded(view, "gateway", |point| figure(point) as f64, f64::max);
    let now = |figure: fn(&InstanceLoad) -> u64| loads(view, "gateway").map(figure).max().unwrap_or(0);
    let (median, tail) = (now(|load| load.latency_us), now(|load| load.latency_p99_us));
    let written = |figure| if figure == 0 { "–".to_owned() } else { micros(figure) };
    let far = slowest(|point| point.latency_p99_us);
    Chart {
        name: "Latency",
        now: written(median),
        unit: format!("median, p99 {}", written(tail)),
        values: slowest(|point| point.latency_us),
        floor: 1_000.0,
        peak: format!("p99 at most {}", micros(largest(&far) as u64)),
        other: ("line far", far),
    }
}

fn waiting(view: &MeshView) -> Chart {
    let loads = || view.rows.iter().filter_map(|row| row.load.as_ref());
    let queues = loads().map(|load| history(load, |point| point.queued.into()));
    let values = queues.fold(Vec::new(), |all, values| added(all, values, |a, b| a + b));
    let now = loads().map(|load| u64::from(load.queued)).sum();
    Chart {
        name: "Waiting",
        now: count(now),
        unit: "requests and tasks".to_owned(),
        other: ("line", Vec::new()),
        floor: 5.0,
        peak: format!("at most {}", count(largest(&values) as u64)),
        values,
    }
}

fn slots(view: &MeshView) -> Chart {
    let values = summed(view, "worker", |point| point.in_flight.into());
    let used: u64 = loads(view, "worker").map(|load| u64::from(load.in_flight)).sum();
    let slots: u64 = loads(view, "worker").map(|load| u64::from(load.slots)).sum();
    Chart {
        name: "Slots in use",
        now: count(used),
        unit: format!("of {} on workers", count(slots)),
        other: ("line", Vec::new()),
        floor: (slots as f64).max(1.0),
        peak: format!("at most {}", count(largest(&values) as u64)),
        values,
    }
}

fn loads<'a>(view: &'a MeshView, service: &'a str) -> impl Iterator<Item = &'a InstanceLoad> {
    let rows = view.rows.iter().filter(move |row| row.service == service);
    rows.filter_map(|row| row.load.as_ref())
}

fn summed(view: &MeshView, service: &str, figure: impl Fn(&Point) -> f64) -> Vec<f64> {
    folded(view, service, figure, |a, b| a + b)
}

fn folded(view: &MeshView, service: &str, figure: impl Fn(&Point) -> f64, join: fn(f64, f64) -> f64) -> Vec<f64> {
    let histories = loads(view, service).map(|load| history(load, &figure));
    histories.fold(Vec::new(), |all, values| added(all, values, join))
}

/// Two histories combined point by point; both newest first.
fn added(mut all: Vec<f64>, values: Vec<f64>, join: fn(f64, f64) -> f64) -> Vec<f64> {
    for (index, value) in values.into_iter().enumerate() {
        match all.get_mut(index) {
            Some(sum) => *sum = join(*sum, value),
            None => all.push(value),
        }
    }
    all
}

fn largest(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}
