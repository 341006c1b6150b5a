//! Requests that browsers make on behalf of pages of other sites.
//!
//! Promises: refused unless the configuration names the page's origin, as nothing here would stop a page from using a
//! gateway that its reader can reach. Programs send no `Origin` and never notice. Leaves credentials to authentication.

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use lepton_domain::reason::{Fault, Reason};

/// What pages of allowed sites may read of an answer.
const EXPOSED: &str = "grpc-status, grpc-message, grpc-status-details-bin, lepton-reason, retry-after";
/// What they may send.
const METHODS: &str = "GET, POST, DELETE";
/// How long a browser may remember that, seconds.
const MAX_AGE_S: &str = "600";

/// Where a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A program, or a page that this very host served.
    Own,
    /// A page of another site that the configuration allows.
    Allowed(HeaderValue),
}

/// Tells where a request comes from, or refuses it.
pub fn check<B>(request: &Request<B>, allowed: &[String]) -> Result<Origin, Fault> {
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        return Ok(Origin::Own);
    };
    let text = origin.to_str().unwrap_or_default();
    if host(request).is_some_and(|host| authority(text).is_some_and(|authority| authority.eq_ignore_ascii_case(host))) {
        return Ok(Origin::Own);
    }
    if allowed
        .iter()
        .any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(text))
    {
        return Ok(Origin::Allowed(origin.clone()));
    }
    let message = format!("pages of {text:?} may not use this gateway; name the origin in edge.allowed_origins");
    Err(Fault::new(Reason::OriginRefused, message).with("origin", text))
}

/// The host that the client believes to talk to.
fn host<B>(request: &Request<B>) -> Option<&str> {
    let of_uri = request.uri().authority().map(http::uri::Authority::as_str);
    of_uri.or_else(|| request.headers().get(header::HOST)?.to_str().ok())
}

/// The authority of an origin such as `https://host:port`.
fn authority(origin: &str) -> Option<&str> {
    origin.split_once("://").map(|(_, authority)| authority)
}

/// Whether a request only asks what it might do.
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to such a request.
pub fn preflight(origin: &Origin, asked: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE_S));
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    note(origin, headers);
    response
}

/// Lets the page read the answer.
pub fn note(origin: &Origin, headers: &mut HeaderMap) {
    let Origin::Allowed(origin) = origin else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    // A cache must not show one site's permission to another.
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(uri: &str, host: &str, origin: Option<&str>, allowed: &[&str]) -> Result<Origin, Reason> {
        let mut request = Request::get(uri).header(header::HOST, host);
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        let allowed: Vec<_> = allowed.iter().map(|&origin| origin.to_owned()).collect();
        check(&request.body(()).expect("a request"), &allowed).map_err(|fault| fault.reason)
    }

    #[test]
    fn other_sites_are_refused_unless_named() {
        let page = "https://page.example";
        assert_eq!(origin("/", "gw:8000", None, &[]), Ok(Origin::Own));
        assert_eq!(origin("/", "gw:8000", Some("http://GW:8000"), &[]), Ok(Origin::Own));
        assert_eq!(
            origin("http://gw:8000/", "other", Some("http://gw:8000"), &[]),
            Ok(Origin::Own)
        );
        assert_eq!(
            origin("/", "gw:8000", Some("http://gw:8001"), &[]),
            Err(Reason::OriginRefused)
        );
        assert_eq!(origin("/", "gw:8000", Some("null"), &[]), Err(Reason::OriginRefused));
        assert_eq!(
            origin("/", "gw:8000", Some(page), &["https://other.example"]),
            Err(Reason::OriginRefused)
        );
        let allowed = Ok(Origin::Allowed(HeaderValue::from_static(page)));
        assert_eq!(origin("/", "gw:8000", Some(page), &[page]), allowed);
        assert_eq!(origin("/", "gw:8000", Some(page), &["*"]), allowed);
    }
}
