//! Page of workers: slots, running attempts and loaded models.

use std::collections::BTreeMap;

use lepton_proto::model::v1::Model;
use lepton_proto::task::v1::{ListTasksRequest, State, Task, TaskView};
use maud::{Markup, html};

use super::format::{count, duration, moment, rate, truncate};
use super::{Console, PageContent, chart, instances, layout};
use crate::view::{InstanceRow, MeshView};

/// Running tasks fetched; the load counts further ones.
const RUNNING_MAX: u32 = 200;
/// Tasks and models listed for a worker.
const NAMED_MAX: usize = 8;

/// Page of all workers.
pub(super) async fn page(console: &Console, view: &MeshView) -> PageContent {
    let request = ListTasksRequest {
        page_size: RUNNING_MAX,
        state: State::Running.into(),
        view: TaskView::Basic.into(),
        ..ListTasksRequest::default()
    };
    let (running, models) = tokio::join!(console.gateways.tasks(view, request), console.gateways.models(view));
    let tasks = running
        .as_ref()
        .map(|listed| by_worker(&listed.tasks))
        .unwrap_or_default();
    let loaded = models.as_ref().map(|models| loaded(models)).unwrap_or_default();
    let workers: Vec<&InstanceRow> = view.rows.iter().filter(|row| row.service == "worker").collect();
    let body = html! {
        div.title {
            h1 { "Workers" }
            p.soft { (count(workers.len() as u64)) " live" }
        }
        @if let Some(error) = running.as_ref().err().or(models.as_ref().err()) { (layout::notice(error)) }
        @if workers.is_empty() { p.calm { "No live workers. Tasks wait until one registers." } }
        div.cards { @for row in workers { (card(view, row, &tasks, &loaded)) } }
    };
    PageContent {
        title: layout::title(view, "Workers"),
        body,
    }
}

fn by_worker(tasks: &[Task]) -> BTreeMap<&str, Vec<&Task>> {
    let mut found: BTreeMap<&str, Vec<&Task>> = BTreeMap::new();
    for task in tasks {
        found.entry(task.worker.as_str()).or_default().push(task);
    }
    found
}

/// Model names with versions, by worker.
fn loaded(models: &[Model]) -> BTreeMap<&str, Vec<(&str, u32)>> {
    let mut found: BTreeMap<&str, Vec<(&str, u32)>> = BTreeMap::new();
    let versions = models
        .iter()
        .flat_map(|model| model.versions.iter().map(move |version| (model, version)));
    for (model, version) in versions {
        for worker in &version.loaded_on {
            found
                .entry(worker.as_str())
                .or_default()
                .push((&model.name, version.version));
        }
    }
    found
}

fn card(
    view: &MeshView,
    row: &InstanceRow,
    tasks: &BTreeMap<&str, Vec<&Task>>,
    loaded: &BTreeMap<&str, Vec<(&str, u32)>>,
) -> Markup {
    let tasks = tasks.get(row.id.as_str()).map_or(&[][..], Vec::as_slice);
    let models = loaded.get(row.id.as_str()).map_or(&[][..], Vec::as_slice);
    html! {
        article.card.host id=(row.id) aria-label=(row.id) {
            header {
                h2 { code { (row.id) } }
                span { (instances::state(row.state)) }
            }
            (load(row))
            dl.facts {
                div { dt { "Address" } dd { code { (row.address) } } }
                div { dt { "Version" } dd { (row.version) } }
                div { dt { "Up" } dd title=(moment(row.started)) { (duration(view.at.since(row.started))) } }
            }
            h3 { "Running" }
            (running(tasks))
            h3 { "Models in memory" }
            (in_memory(models))
        }
    }
}

fn load(row: &InstanceRow) -> Markup {
    let Some(load) = &row.load else {
        return html! { p.soft { (instances::no_load(row)) } };
    };
    html! {
        dl.facts.load {
            div { dt { "Slots in use" } dd { (instances::in_flight(load)) } }
            div { dt { "Per second" } dd {
                span.value { (rate(load.rates.finished_per_s)) }
                (chart::spark(&chart::history(load, |point| point.rates.finished_per_s), 5.0))
            } }
            div { dt { "CPU" } dd { (instances::cpu(load)) } }
            div { dt { "Memory" } dd { (instances::memory(load)) } }
            div { dt { "Latency" } dd { (instances::latency(load)) } }
            div { dt { "Queued" } dd { (count(load.queued.into())) } }
        }
    }
}

fn running(tasks: &[&Task]) -> Markup {
    html! {
        @if tasks.is_empty() {
            p.soft { "None." }
        } @else {
            ul.plain {
                @for task in tasks.iter().take(NAMED_MAX) {
                    li {
                        a href={ "/tasks/" (task.id) } {
                            (truncate(&task.kind, 64)) " " code { (task.id.rsplit('-').next().unwrap_or_default()) }
                        }
                        (super::tasks::progress(task))
                    }
                }
                @if tasks.len() > NAMED_MAX { li.soft { "and " (tasks.len() - NAMED_MAX) " more" } }
            }
        }
    }
}

fn in_memory(models: &[(&str, u32)]) -> Markup {
    html! {
        @if models.is_empty() {
            p.soft { "None." }
        } @else {
            ul.plain {
                @for (name, version) in models.iter().take(NAMED_MAX) {
                    li { a href={ "/models#" (name) } { (name) } " " span.soft { "version " (version) } }
                }
                @if models.len() > NAMED_MAX { li.soft { "and " (models.len() - NAMED_MAX) " more" } }
            }
        }
    }
}
