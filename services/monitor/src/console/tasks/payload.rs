//! What a task was given and what it gave, as far as a page shows it.
//!
//! Promises: a large one costs a page neither memory nor time; where it cannot be had the page says how to get it.

use std::time::Duration;

use lepton_domain::reason::Reason;
use lepton_proto::convert::value::from_value;
use lepton_proto::task::v1::Task;
use lepton_proto::task::v1::task::{Payload, Result as Outcome};
use maud::{Markup, html};
use tokio::time::timeout;

use super::super::figure::{bytes, cut};
use super::super::gateway::Gateways;
use super::detail::is_ended;
use crate::view::View;

/// How long a page waits for both of them.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// As much of an input or an output as a page shows, bytes.
const SHOWN_BYTES_MAX: usize = 16 << 10;
/// A larger one is not laid out, as that costs more than it helps.
const LAID_OUT_BYTES_MAX: usize = 64 << 10;

/// Input and output of a task, drawn.
#[derive(Debug, Clone)]
pub(super) struct Payloads {
    /// What it was given.
    pub given: Markup,
    /// What it gave.
    pub gave: Markup,
    /// Whether asking again would show the same, for as long as the task is as it was.
    pub is_final: bool,
}

impl Payloads {
    /// Asks a gateway for them.
    pub async fn fetch(gateways: &Gateways, view: &View, task: &Task) -> Self {
        match timeout(WAIT_MAX, gateways.whole_task(view, &task.id)).await {
            Ok(Ok(whole)) => Self {
                given: given(&whole),
                gave: gave(&whole),
                is_final: true,
            },
            Ok(Err(fault)) if fault.reason == Reason::RequestTooLarge => {
                Self::absent(view, task, "Too large to show here", true)
            }
            Ok(Err(_)) | Err(_) => Self::absent(view, task, "Not to be had at the moment", false),
        }
    }

    fn absent(view: &View, task: &Task, why: &str, is_final: bool) -> Self {
        let gateway = view.rows.iter().find(|row| row.service == "gateway");
        let address = gateway.map_or("", |row| row.address.as_str());
        let said = html! {
            p.soft { (why) ". A gateway gives all of it: " code { "GET " (address) "/api/v1/tasks/" (task.id) } }
        };
        let gave = if is_ended(task) { said.clone() } else { none_yet() };
        Self {
            given: said,
            gave,
            is_final,
        }
    }
}

fn given(task: &Task) -> Markup {
    match &task.payload {
        Some(Payload::Input(value)) => json(value),
        Some(Payload::InputBytes(content)) => binary(content.len()),
        None => html! { p.soft { "None." } },
    }
}

fn gave(task: &Task) -> Markup {
    match &task.result {
        Some(Outcome::Output(value)) => json(value),
        Some(Outcome::OutputBytes(content)) => binary(content.len()),
        None if is_ended(task) => html! { p.soft { "None." } },
        None => none_yet(),
    }
}

fn none_yet() -> Markup {
    html! { p.soft { "None yet." } }
}

fn binary(length: usize) -> Markup {
    html! { p.soft { (bytes(length as u64)) " of binary data." } }
}

/// JSON, laid out where it is small, and cut where it is large.
fn json(value: &prost_types::Value) -> Markup {
    let written = match from_value(value) {
        Ok(written) => written,
        Err(error) => return html! { p.soft { "Cannot be shown: " (error) } },
    };
    let compact = String::from_utf8_lossy(&written).into_owned();
    let laid_out = || {
        let tree: serde_json::Value = serde_json::from_str(&compact).ok()?;
        serde_json::to_string_pretty(&tree).ok()
    };
    let small = compact.len() <= LAID_OUT_BYTES_MAX;
    let text = small.then(laid_out).flatten().unwrap_or_else(|| compact.clone());
    html! {
        pre.json tabindex="0" { (cut(&text, SHOWN_BYTES_MAX)) }
        @if text.len() > SHOWN_BYTES_MAX {
            p.soft { "The beginning of " (bytes(compact.len() as u64)) "; the API gives all of it." }
        }
    }
}
