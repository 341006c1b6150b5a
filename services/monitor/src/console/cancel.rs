//! Cancellation of a task, the only action of the console.
//!
//! Promises: only a form rendered by this process is accepted, with an `Origin` of this host and a token that no other
//! site can read or guess ([CSRF](https://owasp.org/www-community/attacks/csrf)). Leaves the cancellation to a gateway.

use std::hash::{BuildHasher as _, RandomState};

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{HOST, LOCATION, ORIGIN};
use http::{HeaderMap, Request, StatusCode};
use lepton_domain::reason::{ApiError, Reason};

use super::error::ConsoleError;
use super::route::Page;
use super::{Console, HEADERS, error_response};

/// Most bytes of the form, which holds a token.
const FORM_BYTES_MAX: usize = 1_024;

/// CSRF tokens of this process. A restart invalidates them, which costs a reload.
#[derive(Debug, Clone)]
pub(super) struct CsrfGuard {
    /// Keyed by the system's entropy and never shown: a keyed hash of it cannot be guessed, unlike
    /// [`lepton_core::random`].
    key: RandomState,
}

impl CsrfGuard {
    pub fn new() -> Self {
        Self {
            key: RandomState::new(),
        }
    }

    /// Token of a task's form.
    pub fn token(&self, task: &str) -> String {
        let [high, low] = [0_u8, 1].map(|part| self.key.hash_one((part, task)));
        format!("{high:016x}{low:016x}")
    }

    fn check(&self, task: &str, headers: &HeaderMap, form: &[u8]) -> Result<(), ConsoleError> {
        if !is_same_origin(headers) {
            return Err(ConsoleError::ForeignForm);
        }
        let token = form.strip_prefix(b"token=").unwrap_or_default();
        if !constant_time_eq(token, self.token(task).as_bytes()) {
            return Err(ConsoleError::StaleForm);
        }
        Ok(())
    }
}

/// Handles the form, and redirects the browser to the task once it is cancelled.
pub(super) async fn handle(State(console): State<Console>, Path(id): Path<String>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    match cancel(&console, &id, &parts.headers, body).await {
        Ok(()) => (StatusCode::SEE_OTHER, HEADERS, [(LOCATION, format!("/tasks/{id}"))]).into_response(),
        Err(error) => error_response(&console, &parts.headers, None, &error),
    }
}

async fn cancel(console: &Console, id: &str, headers: &HeaderMap, body: Body) -> Result<(), ApiError> {
    Page::task(id.to_owned())?;
    let form = to_bytes(body, FORM_BYTES_MAX).await;
    let form = form.map_err(|_| ConsoleError::FormTooLarge)?;
    console.csrf.check(id, headers, &form)?;
    let view = console.view.borrow().clone();
    console.gateways.cancel(&view, id).await.map_err(|error| {
        // A gateway that gave no answer may have passed it on.
        if error.reason != Reason::GatewayUnreachable {
            return error;
        }
        let (cause, task) = (error.message, id.to_owned());
        ConsoleError::CancelOutcomeUnknown { cause, task }.into()
    })
}

/// Reports whether the form comes from a page of this host. Every browser sends `Origin` with a form.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let site = text(http::header::HeaderName::from_static("sec-fetch-site"));
    let authority = text(ORIGIN).and_then(|origin| origin.split_once("://"));
    let same = match (authority, text(HOST)) {
        (Some((_, authority)), Some(host)) => authority.eq_ignore_ascii_case(host),
        _ => false,
    };
    same && site.is_none_or(|site| site == "same-origin")
}

/// Compares in constant time, so that a wrong token reveals no prefix of the right one.
fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
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
        let guard = CsrfGuard::new();
        let own = headers("http://127.0.0.1:8080", "same-origin");
        let form = |task| format!("token={}", guard.token(task)).into_bytes();
        assert!(guard.check("a", &own, &form("a")).is_ok());
        assert!(guard.check("a", &own, &form("b")).is_err(), "the token of another task");
        assert!(guard.check("a", &own, b"token=").is_err());
        assert!(
            CsrfGuard::new().check("a", &own, &form("a")).is_err(),
            "of another process"
        );
        let foreign = [
            ("http://evil.example", "cross-site"),
            ("http://127.0.0.1:8080", "same-site"),
            ("null", "same-origin"),
            ("", ""),
        ];
        for (origin, site) in foreign {
            let error = guard.check("a", &headers(origin, site), &form("a")).unwrap_err();
            assert_eq!(ApiError::from(error).reason, Reason::OriginRefused, "{origin} {site}");
        }
    }
}
