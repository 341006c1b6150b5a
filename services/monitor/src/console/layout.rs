//! Frame around every page.

use lepton_domain::incident::IncidentState;
use lepton_domain::reason::ApiError;
use maud::{DOCTYPE, Markup, html};

use super::route::Page;
use super::{Console, PageContent};
use crate::view::MeshView;

/// Seconds between reloads of a page in a browser without scripts.
const RELOAD_SECONDS: u32 = 5;

/// Navigation: address and name.
const TABS: [(&str, &str); 6] = [
    ("/", "Overview"),
    ("/tasks", "Tasks"),
    ("/models", "Models"),
    ("/workers", "Workers"),
    ("/incidents", "Incidents"),
    ("/traces", "Traces"),
];

/// HTML document of a page. Without an address it is an error about a wrong address, and not refreshed. Without scripts
/// the list of tasks is not reloaded either: that would clear what is typed into its filter.
pub(super) fn page(console: &Console, current: Option<&Page>, page: &PageContent) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) " · Lepton" }
                link rel="icon" href="/mark.svg" type="image/svg+xml";
                link rel="stylesheet" href="/console.css";
                @if current.is_some() {
                    script src="/console.js" defer {}
                    @if !matches!(current, Some(Page::Tasks(_))) {
                        noscript { meta http-equiv="refresh" content=(RELOAD_SECONDS); }
                    }
                }
            }
            body {
                a.skip href="#main" { "Skip to content" }
                (header(console, current))
                main #main { (content(page)) }
            }
        }
    }
}

fn header(console: &Console, current: Option<&Page>) -> Markup {
    let tab = current.map(Page::navigation);
    html! {
        header.top {
            a.brand href="/" {
                img src="/mark.svg" alt="" width="26" height="26";
                span { "Lepton" }
            }
            span.cluster title="The name of this mesh" { (console.cluster) }
            nav aria-label="Pages" {
                @for (address, name) in TABS {
                    a href=(address) aria-current=[(tab == Some(address)).then_some("page")] { (name) }
                }
            }
            span.stale role="status" { "Not connected. This is the last known state." }
        }
    }
}

/// Changing part of a page, which [`super::live`] sends again.
pub(super) fn content(page: &PageContent) -> Markup {
    html! { div #content data-title={ (page.title) " · Lepton" } { (page.body) } }
}

/// Page of an error.
pub(super) fn error(error: &ApiError) -> PageContent {
    let title = match error.reason.http_status() {
        404 => "Not found",
        400..500 => "Refused",
        _ => "Not available",
    };
    let body = html! {
        div.title { h1 { (title) } }
        (notice(error))
        p { a href="/" { "To the overview" } }
    };
    PageContent {
        title: title.to_owned(),
        body,
    }
}

/// Box for an error where the rest of a page stands.
pub(super) fn notice(error: &ApiError) -> Markup {
    html! {
        div.notice role="alert" {
            p { (error.message) }
            p.soft { code { (error.reason.as_str()) } }
        }
    }
}

/// Title for the browser's tab, with the number of open incidents.
pub(super) fn title(view: &MeshView, name: &str) -> String {
    let open = view
        .incidents
        .iter()
        .filter(|incident| incident.state == IncidentState::Open);
    match open.count() {
        0 => name.to_owned(),
        open => format!("({open}) {name}"),
    }
}
