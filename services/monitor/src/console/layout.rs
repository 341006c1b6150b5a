//! The frame around every page.

use lepton_domain::incident::IncidentState;
use lepton_domain::reason::Fault;
use maud::{DOCTYPE, Markup, html};

use super::place::Place;
use super::{Console, Page};
use crate::view::View;

/// Seconds between two loads of a page whose reader has no scripts.
const RELOAD_SECONDS: u32 = 5;

/// The navigation: address and name.
const TABS: [(&str, &str); 6] = [
    ("/", "Overview"),
    ("/tasks", "Tasks"),
    ("/models", "Models"),
    ("/workers", "Workers"),
    ("/incidents", "Incidents"),
    ("/traces", "Traces"),
];

/// A page of the console. One without a place is an answer to a wrong address, and stays as it is. Without scripts the
/// list of tasks stays as well, until its reader loads it: a reload would wipe what is typed into its filter.
pub(super) fn page(console: &Console, place: Option<&Place>, page: &Page) -> Markup {
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
                @if place.is_some() {
                    script src="/console.js" defer {}
                    @if !matches!(place, Some(Place::Tasks(_))) {
                        noscript { meta http-equiv="refresh" content=(RELOAD_SECONDS); }
                    }
                }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (header(console, place))
                main #main { (content(page)) }
            }
        }
    }
}

fn header(console: &Console, place: Option<&Place>) -> Markup {
    let tab = place.map(Place::tab);
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
            span.stale role="status" { "Not connected. Shown is what was known last." }
        }
    }
}

/// What changes of a page: the part that is sent again.
pub(super) fn content(page: &Page) -> Markup {
    html! { div #content data-title={ (page.title) " · Lepton" } { (page.body) } }
}

/// A page for what could not be shown.
pub(super) fn fault(fault: &Fault) -> Page {
    let title = match fault.reason.http_status() {
        404 => "Not found",
        400..500 => "Refused",
        _ => "Not available",
    };
    let body = html! {
        div.title { h1 { (title) } }
        (notice(fault))
        p { a href="/" { "To the overview" } }
    };
    Page {
        title: title.to_owned(),
        body,
    }
}

/// What could not be shown, where the rest of a page stands.
pub(super) fn notice(fault: &Fault) -> Markup {
    html! {
        div.notice role="alert" {
            p { (fault.message) }
            p.soft { code { (fault.reason.as_str()) } }
        }
    }
}

/// A page's title in its tab, with the number of open incidents, which should be seen from anywhere.
pub(super) fn title(view: &View, name: &str) -> String {
    let open = view
        .incidents
        .iter()
        .filter(|incident| incident.state == IncidentState::Open);
    match open.count() {
        0 => name.to_owned(),
        open => format!("({open}) {name}"),
    }
}
