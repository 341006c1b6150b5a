//! Input and output of a task, as far as a page shows them.
//!
//! Promises: a large payload costs the page neither memory nor time; where one cannot be fetched the page names the
//! request that does.

use std::time::Duration;

use lepton_domain::reason::Reason;
use lepton_proto::convert::value::from_value;
use lepton_proto::task::v1::Task;
use lepton_proto::task::v1::task::{Payload, Result as Outcome};
use maud::{Markup, html};
use tokio::time::timeout;

use super::super::format::{bytes, truncate};
use super::super::gateway::GatewayClient;
use super::detail::is_ended;
use crate::view::MeshView;

/// Time limit for fetching both.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// Most bytes of an input or an output on a page.
const SHOWN_BYTES_MAX: usize = 16 << 10;
/// Size beyond which JSON is not indented, as that costs more than it helps.
const PRETTY_BYTES_MAX: usize = 64 << 10;

/// Input and output of a task, rendered.
#[derive(Debug, Clone)]
pub(super) struct Payloads {
    /// Input.
    pub input: Markup,
    /// Output.
    pub output: Markup,
    /// Set if fetching again would give the same until the task changes.
    pub is_final: bool,
}

impl Payloads {
    /// Fetches them from a gateway.
    pub async fn fetch(gateways: &GatewayClient, view: &MeshView, task: &Task) -> Self {
        match timeout(WAIT_MAX, gateways.whole_task(view, &task.id)).await {
            Ok(Ok(whole)) => Self {
                input: input(&whole),
                output: output(&whole),
                is_final: true,
            },
            Ok(Err(error)) if error.reason == Reason::RequestTooLarge => {
                Self::absent(view, task, "Too large to show here", true)
            }
            Ok(Err(_)) | Err(_) => Self::absent(view, task, "Not available at the moment", false),
        }
    }

    fn absent(view: &MeshView, task: &Task, why: &str, is_final: bool) -> Self {
        let gateway = view.rows.iter().find(|row| row.service == "gateway");
        let address = gateway.map_or("", |row| row.address.as_str());
        let notice = html! {
            p.soft { (why) ". A gateway gives all of it: " code { "GET " (address) "/api/v1/tasks/" (task.id) } }
        };
        let output = if is_ended(task) { notice.clone() } else { pending() };
        Self {
            input: notice,
            output,
            is_final,
        }
    }
}

fn input(task: &Task) -> Markup {
    match &task.payload {
        Some(Payload::Input(value)) => json(value),
        Some(Payload::InputBytes(content)) => binary(content.len()),
        None => html! { p.soft { "None." } },
    }
}

fn output(task: &Task) -> Markup {
    match &task.result {
        Some(Outcome::Output(value)) => json(value),
        Some(Outcome::OutputBytes(content)) => binary(content.len()),
        None if is_ended(task) => html! { p.soft { "None." } },
        None => pending(),
    }
}

fn pending() -> Markup {
    html! { p.soft { "None yet." } }
}

fn binary(length: usize) -> Markup {
    html! { p.soft { (bytes(length as u64)) " of binary data." } }
}

/// JSON, indented up to [`PRETTY_BYTES_MAX`] and truncated at [`SHOWN_BYTES_MAX`].
fn json(value: &prost_types::Value) -> Markup {
    let written = match from_value(value) {
        Ok(written) => written,
        Err(error) => return html! { p.soft { "Cannot be shown: " (error) } },
    };
    let compact = String::from_utf8_lossy(&written).into_owned();
    let pretty = || {
        let tree: serde_json::Value = serde_json::from_str(&compact).ok()?;
        serde_json::to_string_pretty(&tree).ok()
    };
    let small = compact.len() <= PRETTY_BYTES_MAX;
    let text = small.then(pretty).flatten().unwrap_or_else(|| compact.clone());
    html! {
        pre.json tabindex="0" { (truncate(&text, SHOWN_BYTES_MAX)) }
        @if text.len() > SHOWN_BYTES_MAX {
            p.soft { "The beginning of " (bytes(compact.len() as u64)) "; the API gives all of it." }
        }
    }
}
