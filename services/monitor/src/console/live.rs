//! Open pages that stay up to date: a stream of server-sent events with the changing part of a page.
//!
//! Promises: the page is made again at every refresh and sent when it differs; so many streams at a time and no more; a
//! stream ends when the monitor drains. Leaves joining it to what is shown to the script.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use tokio::sync::OwnedSemaphorePermit;

use super::place::Place;
use super::{Console, HEADERS, Page, layout};

/// Refreshes without a change after which something is sent all the same, so that a dead connection is noticed.
const QUIET_MAX: u32 = 15;

/// One open page.
struct Reader {
    console: Console,
    place: Place,
    /// The hash of what was sent last.
    sent: Option<u64>,
    _permit: OwnedSemaphorePermit,
}

/// The stream of a page, its present state first.
pub(super) fn follow(console: Console, place: Place) -> Response {
    let Ok(permit) = console.live.clone().try_acquire_owned() else {
        let retry = [(RETRY_AFTER, "5")];
        let message = "as many pages are kept up to date as console.live_max allows\n";
        return (StatusCode::SERVICE_UNAVAILABLE, HEADERS, retry, message).into_response();
    };
    let reader = Reader {
        console,
        place,
        sent: None,
        _permit: permit,
    };
    let events = stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok::<_, Infallible>(event), reader))
    });
    (
        HEADERS,
        // A proxy that gathers an answer before it passes it on would hold back every event.
        [
            (CONTENT_TYPE, "text/event-stream"),
            (HeaderName::from_static("x-accel-buffering"), "no"),
        ],
        Body::from_stream(events),
    )
        .into_response()
}

impl Reader {
    /// Waits for the next thing to send; `None` when the monitor drains.
    async fn next(&mut self) -> Option<String> {
        for _ in 0..QUIET_MAX {
            if self.sent.is_some() {
                tokio::select! {
                    () = self.console.shutdown.triggered() => return None,
                    () = tokio::time::sleep(self.console.refresh) => {}
                }
            }
            let page = tokio::select! {
                () = self.console.shutdown.triggered() => return None,
                page = self.console.page(&self.place) => page,
            };
            let page = page.unwrap_or_else(|fault| layout::fault(&fault));
            let event = event(&page);
            let mut hasher = DefaultHasher::new();
            event.hash(&mut hasher);
            if self.sent.replace(hasher.finish()) != Some(hasher.finish()) {
                return Some(event);
            }
        }
        Some(": still here\n\n".to_owned())
    }
}

/// A page as an event. A line break inside it would end the line of the event, so each gets a line of its own.
fn event(page: &Page) -> String {
    let html = layout::content(page).0;
    let mut event = String::with_capacity(html.len() + 64);
    event.push_str("event: page\n");
    for line in html.split(['\n', '\r']) {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event
}

#[cfg(test)]
mod tests {
    use maud::html;

    use super::*;

    #[test]
    fn no_text_breaks_out_of_its_event() {
        let page = Page {
            title: "t".to_owned(),
            body: html! { pre { "a\r\n\nevent: other\ndata: b" } },
        };
        let event = event(&page);
        assert!(
            event.ends_with("\n\n") && event.matches("\n\n").count() == 1,
            "{event:?}"
        );
        let stray = event
            .lines()
            .skip(1)
            .filter(|line| !line.is_empty() && !line.starts_with("data: "));
        assert_eq!(stray.count(), 0, "{event:?}");
    }
}
