//! The frame around every page.

use std::time::Duration;

use maud::{DOCTYPE, Markup, html};

/// Seconds between two loads of a page whose reader has no scripts.
const RELOAD_SECONDS: u32 = 5;

/// A page of the console. `body` is what the script fetches anew, every `refresh`.
pub(super) fn page(cluster: &str, refresh: Duration, title: String, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="/mark.svg" type="image/svg+xml";
                link rel="stylesheet" href="/console.css";
                script src="/console.js" defer {}
                noscript { meta http-equiv="refresh" content=(RELOAD_SECONDS); }
            }
            body {
                header {
                    a.brand href="/" {
                        img src="/mark.svg" alt="" width="28" height="28";
                        span { "Lepton" }
                    }
                    span.cluster title="The name of this mesh" { (cluster) }
                    span.stale role="status" { "no connection to the monitor; showing what was known last" }
                }
                main data-refresh-ms=(refresh.as_millis()) { (body) }
            }
        }
    }
}
