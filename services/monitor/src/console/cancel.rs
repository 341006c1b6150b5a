//! The one button of the console that changes something: it cancels a task.
//!
//! Promises: only a form that this very process put on a page can do it. The browser must say that the form is of this
//! origin, and the form must carry a token that no other site can read or guess. Leaves the cancelling to a gateway.

use std::hash::{BuildHasher as _, RandomState};

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{HOST, LOCATION, ORIGIN};
use http::{HeaderMap, Request, StatusCode};
use lepton_domain::reason::{Fault, Reason};

use super::place::Place;
use super::{Console, HEADERS, refuse};

/// Bytes of the form: a token and a name.
const FORM_BYTES_MAX: usize = 1_024;

/// Makes and checks tokens. A restart makes all of them void, which costs a reload.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    /// Keyed by the system's entropy and never shown: a keyed hash of it cannot be guessed, unlike `lepton_core::random`.
    key: RandomState,
}

impl Guard {
    pub fn new() -> Self {
        Self {
            key: RandomState::new(),
        }
    }

    /// The token of a task's form.
    pub fn token(&self, task: &str) -> String {
        let [high, low] = [0_u8, 1].map(|part| self.key.hash_one((part, task)));
        format!("{high:016x}{low:016x}")
    }

    fn check(&self, task: &str, headers: &HeaderMap, form: &[u8]) -> Result<(), Fault> {
        if !is_own(headers) {
            let message = "this form was not sent by a page of this console; open the task here and cancel it there";
            return Err(Fault::new(Reason::OriginRefused, message));
        }
        let token = form.strip_prefix(b"token=").unwrap_or_default();
        if !equal(token, self.token(task).as_bytes()) {
            let message = "the page is older than this monitor; load the task anew and try again";
            return Err(Fault::new(Reason::OriginRefused, message));
        }
        Ok(())
    }
}

/// Takes the form. Sends the browser back to the task when it is cancelled.
pub(super) async fn take(State(console): State<Console>, Path(id): Path<String>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    match carry_out(&console, &id, &parts.headers, body).await {
        Ok(()) => (StatusCode::SEE_OTHER, HEADERS, [(LOCATION, format!("/tasks/{id}"))]).into_response(),
        Err(fault) => refuse(&console, &parts.headers, None, &fault),
    }
}

async fn carry_out(console: &Console, id: &str, headers: &HeaderMap, body: Body) -> Result<(), Fault> {
    Place::task(id.to_owned())?;
    let large = |_| {
        Fault::new(
            Reason::RequestTooLarge,
            "the form is larger than this console makes any",
        )
    };
    let form = to_bytes(body, FORM_BYTES_MAX).await.map_err(large)?;
    console.guard.check(id, headers, &form)?;
    let view = console.view.borrow().clone();
    console.gateways.cancel(&view, id).await.map_err(|fault| {
        // A gateway that gave no answer may have passed it on.
        if fault.reason != Reason::GatewayUnreachable {
            return fault;
        }
        let message = format!(
            "{}; whether task {id} was cancelled is not known: look at it again",
            fault.message
        );
        Fault::new(Reason::OutcomeUnknown, message)
    })
}

/// Whether the browser says that the form was on a page of this very host. Every browser sends `Origin` with a form.
fn is_own(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let site = text(http::header::HeaderName::from_static("sec-fetch-site"));
    let authority = text(ORIGIN).and_then(|origin| origin.split_once("://"));
    let same = match (authority, text(HOST)) {
        (Some((_, authority)), Some(host)) => authority.eq_ignore_ascii_case(host),
        _ => false,
    };
    same && site.is_none_or(|site| site == "same-origin")
}

/// Compares in a time that does not tell where the first difference is.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origin: &'static str, site: &'static str) -> HeaderMap {
        let pairs = [("host", "127.0.0.1:8080"), ("origin", origin), ("sec-fetch-site", site)];
        pairs
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn only_an_own_form_with_the_tasks_token_passes() {
        let guard = Guard::new();
        let own = headers("http://127.0.0.1:8080", "same-origin");
        let form = |task| format!("token={}", guard.token(task)).into_bytes();
        assert!(guard.check("a", &own, &form("a")).is_ok());
        assert!(guard.check("a", &own, &form("b")).is_err(), "the token of another task");
        assert!(guard.check("a", &own, b"token=").is_err());
        assert!(Guard::new().check("a", &own, &form("a")).is_err(), "of another process");
        let foreign = [
            ("http://evil.example", "cross-site"),
            ("http://127.0.0.1:8080", "same-site"),
            ("null", "same-origin"),
            ("", ""),
        ];
        for (origin, site) in foreign {
            let fault = guard.check("a", &headers(origin, site), &form("a")).unwrap_err();
            assert_eq!(fault.reason, Reason::OriginRefused, "{origin} {site}");
        }
    }
}
