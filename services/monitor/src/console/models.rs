//! Page of models: versions, deployment, replicas, signature and lineage.

use lepton_domain::time::Timestamp;
use lepton_proto::model::v1::{Model, ModelVersion, State, Tensor};
use maud::{Markup, html};

use super::format::{bytes, count, truncate, wire_time};
use super::{Console, PageContent, layout};
use crate::view::MeshView;

/// Models on the page; the API lists all.
const MODELS_MAX: usize = 200;
/// Versions of a model on the page, newest first.
const VERSIONS_MAX: usize = 20;
/// Tensors and lineage entries of a version on the page.
const PARTS_MAX: usize = 32;
/// Digits of a digest on the page, enough to distinguish versions at a glance.
const DIGEST_SHOWN: usize = 12;

/// Page of all models.
pub(super) async fn page(console: &Console, view: &MeshView) -> PageContent {
    let models = console.gateways.models(view).await;
    let body = html! {
        div.title { h1 { "Models" } @if let Ok(models) = &models { p.soft { (count(models.len() as u64)) " known" } } }
        @match &models {
            Err(error) => (layout::notice(error)),
            Ok(models) if models.is_empty() => p.calm {
                "No model yet. " code { "lepton model push NAME FILE.onnx" } " adds one, as does a task of kind " code { "train" } "."
            },
            Ok(models) => {
                @for model in models.iter().take(MODELS_MAX) { (one(model, view.at)) }
                @if models.len() > MODELS_MAX { p.soft { "and " (models.len() - MODELS_MAX) " more, which the API lists." } }
            }
        }
    };
    PageContent {
        title: layout::title(view, "Models"),
        body,
    }
}

fn one(model: &Model, now: Timestamp) -> Markup {
    let hidden = model.versions.len().saturating_sub(VERSIONS_MAX);
    html! {
        section.card.model id=(model.name) aria-label=(model.name) {
            header {
                h2 { (model.name) }
                @if model.deployed_version > 0 {
                    span.badge.leader { "version " (model.deployed_version) " deployed" }
                } @else {
                    span.badge { "not deployed" }
                }
                @if model.previous_version > 0 { span.soft { "a rollback serves version " (model.previous_version) } }
            }
            div.scroll.flat tabindex="0" role="region" aria-label={ "Versions of " (model.name) } {
                table {
                    thead {
                        tr {
                            th.number scope="col" { "Version" }
                            th scope="col" { "State" }
                            th scope="col" { "Loaded on" }
                            th scope="col" { "Takes" }
                            th scope="col" { "Gives" }
                            th.number scope="col" { "Size" }
                            th scope="col" { "Digest" }
                            th scope="col" { "Pushed" }
                        }
                    }
                    tbody { @for version in model.versions.iter().take(VERSIONS_MAX) { (row(model, version, now)) } }
                }
            }
            @for version in model.versions.iter().take(VERSIONS_MAX) { (lineage(version)) }
            @if hidden > 0 { p.soft { "and " (hidden) " older versions" } }
        }
    }
}

fn row(model: &Model, version: &ModelVersion, now: Timestamp) -> Markup {
    let (class, word) = state(version.state());
    html! {
        tr {
            th.number scope="row" {
                (version.version)
                @if version.version == model.deployed_version { " " span.badge.leader { "deployed" } }
            }
            td {
                span class={ "dot " (class) } {} (word)
                @if !version.message.is_empty() { small.bad.wrap { (truncate(&version.message, 256)) } }
            }
            td {
                @for worker in version.loaded_on.iter().take(PARTS_MAX) { code.row { (worker) } }
                @if version.loaded_on.is_empty() { span.soft { "nowhere" } }
            }
            td { (tensors(&version.inputs)) }
            td { (tensors(&version.outputs)) }
            td.number { (bytes(version.bytes)) }
            td { code title=(version.digest) { (version.digest.get(..DIGEST_SHOWN).unwrap_or(&version.digest)) } }
            td { (wire_time(version.create_time.as_ref(), now)) }
        }
    }
}

fn state(state: State) -> (&'static str, &'static str) {
    match state {
        State::Unspecified => ("", "unknown"),
        State::Stored => ("", "stored"),
        State::Loading => ("unsure", "loading"),
        State::Ready => ("good", "ready"),
        State::Failed => ("bad", "failed"),
    }
}

fn tensors(tensors: &[Tensor]) -> Markup {
    html! {
        @for tensor in tensors.iter().take(PARTS_MAX) {
            code.row { (truncate(&tensor.name, 64)) " " span.soft { (truncate(&tensor.datatype, 16)) " " (shape(&tensor.shape)) } }
        }
        @if tensors.len() > PARTS_MAX { small { "and " (tensors.len() - PARTS_MAX) " more" } }
    }
}

/// Shape in brackets; `?` for any length.
fn shape(shape: &[i64]) -> String {
    let dimension = |length: &i64| {
        if *length < 0 {
            "?".to_owned()
        } else {
            length.to_string()
        }
    };
    let dimensions: Vec<String> = shape.iter().take(PARTS_MAX).map(dimension).collect();
    format!("[{}]", dimensions.join(", "))
}

fn lineage(version: &ModelVersion) -> Markup {
    let task = |key: &str| matches!(key, "task" | "taskId" | "task_id");
    html! {
        @if !version.lineage.is_empty() {
            details id={ "lineage-" (version.name) "-" (version.version) } {
                summary { "Where version " (version.version) " comes from" }
                dl.facts {
                    @for (key, value) in version.lineage.iter().take(PARTS_MAX) {
                        div {
                            dt { (truncate(key, 64)) }
                            dd {
                                @if task(key) { a href={ "/tasks/" (value) } { code { (truncate(value, 64)) } } }
                                @else { (truncate(value, 256)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
