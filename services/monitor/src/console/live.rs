//! Live pages: a stream of server-sent events with the changing part of a page.
//!
//! Promises: the page is rendered at every refresh and sent if it differs; the number of streams is limited; a stream
//! ends when the monitor drains. Leaves merging it into the document to `console.js`.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::StatusCode;
use http::header::{HeaderName, RETRY_AFTER};
use tokio::sync::OwnedSemaphorePermit;

use super::route::Page;
use super::{Console, HEADERS, layout};

/// Time without a change after which a comment is sent, so that a dead connection is detected.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Open page and the hash of its last event.
struct LivePage {
    console: Console,
    page: Page,
    /// Hash of the last event's HTML.
    sent: Option<u64>,
    _permit: OwnedSemaphorePermit,
}

/// Streams the states of a page as server-sent events, the present one first.
pub(super) fn follow(console: Console, page: Page) -> Response {
    let Ok(permit) = console.live.clone().try_acquire_owned() else {
        let retry = [(RETRY_AFTER, "5")];
        let message = "the limit of live pages, console.live_max, is reached\n";
        return (StatusCode::SERVICE_UNAVAILABLE, HEADERS, retry, message).into_response();
    };
    let live = LivePage {
        console,
        page,
        sent: None,
        _permit: permit,
    };
    let events = stream::unfold(live, |mut live| async move {
        let html = live.next().await?;
        Some((Ok::<_, Infallible>(event(&html)), live))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    // A proxy that buffers the response would hold back every event.
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    (HEADERS, unbuffered, Sse::new(events).keep_alive(keep_alive)).into_response()
}

impl LivePage {
    /// Waits for the next state that differs; `None` once the monitor drains.
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.sent.is_some() {
                tokio::select! {
                    () = self.console.shutdown.triggered() => return None,
                    () = tokio::time::sleep(self.console.refresh) => {}
                }
            }
            let content = tokio::select! {
                () = self.console.shutdown.triggered() => return None,
                content = self.console.render(&self.page) => content,
            };
            let html = layout::content(&content.unwrap_or_else(|error| layout::error(&error))).0;
            let mut hasher = DefaultHasher::new();
            html.hash(&mut hasher);
            if self.sent.replace(hasher.finish()) != Some(hasher.finish()) {
                return Some(html);
            }
        }
    }
}

/// Event with the HTML of a page. [`Event::data`] gives each line of it a `data:` field of its own.
fn event(html: &str) -> Event {
    Event::default().event("page").data(html)
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use maud::html;

    use super::*;
    use crate::console::PageContent;

    #[tokio::test]
    async fn no_text_breaks_out_of_its_event() {
        let content = PageContent {
            title: "t".to_owned(),
            body: html! { pre { "a\r\n\nevent: other\ndata: b" } },
        };
        let event = event(&layout::content(&content).0);
        let response = Sse::new(stream::iter([Ok::<_, Infallible>(event)])).into_response();
        let sent = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
        let sent = String::from_utf8(sent.to_vec()).expect("text");
        assert!(sent.ends_with("\n\n") && sent.matches("\n\n").count() == 1, "{sent:?}");
        // A lone carriage return ends a line as well.
        let stray = sent
            .split(['\n', '\r'])
            .skip(1)
            .filter(|line| !line.is_empty() && !line.starts_with("data: "));
        assert_eq!(stray.count(), 0, "{sent:?}");
    }
}
