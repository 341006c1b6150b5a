//! `lepton incidents`: what went wrong, newest first.

use lepton_domain::reason::ApiError;

use super::Session;
use crate::args::page::Page;
use crate::output::line;
use crate::output::table::{more, print, text};

/// Lists them.
pub(super) async fn run(session: &Session, page: &Page) -> Result<(), ApiError> {
    let body = session.client.get(&page.of("/api/v1/incidents")).await?;
    session.print(&body, |answer| {
        let incidents = answer["incidents"].as_array().cloned().unwrap_or_default();
        if incidents.is_empty() {
            return line("No incidents.");
        }
        let rows: Vec<Vec<String>> = incidents
            .iter()
            .map(|incident| {
                let state = text(&incident["state"]).trim_start_matches("STATE_").to_lowercase();
                let (opened, closed) = (text(&incident["openTime"]), text(&incident["closeTime"]));
                let severity = text(&incident["severity"])
                    .trim_start_matches("SEVERITY_")
                    .to_lowercase();
                vec![
                    state,
                    severity,
                    text(&incident["rule"]),
                    text(&incident["subject"]),
                    opened,
                    closed,
                    text(&incident["summary"]),
                ]
            })
            .collect();
        print(
            &["state", "severity", "rule", "subject", "opened", "closed", "summary"],
            &rows,
        );
        more(answer);
    })
}
