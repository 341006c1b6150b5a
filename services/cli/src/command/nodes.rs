//! `lepton nodes`: every instance.

use lepton_domain::reason::ApiError;

use super::Session;
use crate::args::page::Page;
use crate::output::table::{more, print, text};

/// Lists them.
pub(super) async fn run(session: &Session, page: &Page) -> Result<(), ApiError> {
    let body = session.client.get(&page.of("/api/v1/nodes")).await?;
    session.print(&body, |answer| {
        let nodes = answer["nodes"].as_array().cloned().unwrap_or_default();
        let rows: Vec<Vec<String>> = nodes
            .iter()
            .map(|node| {
                let state = text(&node["state"]).trim_start_matches("NODE_STATE_").to_lowercase();
                let leads = if node["leader"] == true {
                    format!("epoch {}", text(&node["epoch"]))
                } else {
                    String::new()
                };
                vec![
                    text(&node["service"]),
                    text(&node["id"]),
                    text(&node["address"]),
                    state,
                    leads,
                    text(&node["startTime"]),
                ]
            })
            .collect();
        print(&["service", "id", "address", "state", "leads", "started"], &rows);
        more(answer);
    })
}
