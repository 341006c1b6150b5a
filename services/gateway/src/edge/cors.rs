//! Requests that browsers make on behalf of pages of other sites.
//!
//! Promises: refused unless the configuration names the page's origin, as nothing here would stop a page from using a gateway
//! that its reader can reach. Programs send no `Origin` and never notice. Leaves the headers of what is allowed to
//! `tower_http`'s `CorsLayer`, which refuses nothing by itself: it only withholds them, and the request has had its effect by
//! then; it also adds them to what programs ask, and answers every OPTIONS. `tower_http`'s `CsrfLayer` lets every GET pass. Leaves
//! credentials to authentication.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::middleware::Next;
use http::{HeaderName, Method, Request, Response, StatusCode, header};
use lepton_core::error::REASON_HEADER;
use lepton_mesh::server::refusal::refuse;
use tower::{Layer as _, ServiceExt as _};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, Vary};

use crate::request::error::EdgeError;

/// Time for which a browser may cache the answer to a preflight.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Origin of a request, relative to this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// None, or one that this very host served.
    Own,
    /// A page of another site that the configuration allows.
    Allowed,
}

/// The pages that are allowed, and the headers for them.
#[derive(Debug, Clone)]
pub struct CorsPolicy {
    allowed: Arc<[String]>,
    headers: CorsLayer,
}

impl CorsPolicy {
    /// Pages of these origins (`https://host:port`) are allowed; `*` allows all.
    pub fn new(allowed: &[String]) -> Self {
        let readable = [
            "grpc-status",
            "grpc-message",
            "grpc-status-details-bin",
            REASON_HEADER,
            "retry-after",
        ];
        let headers = CorsLayer::new()
            // Only what is allowed gets there.
            .allow_origin(AllowOrigin::mirror_request())
            .allow_methods([Method::GET, Method::POST, Method::DELETE])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(readable.map(HeaderName::from_static))
            .max_age(MAX_AGE)
            // A cache must not show one site's permission to another.
            .vary(Vary::list([header::ORIGIN]));
        Self {
            allowed: allowed.into(),
            headers,
        }
    }
}

/// Refuses pages of other sites, and answers those that are allowed as the Fetch standard wants it.
pub async fn apply(State(policy): State<CorsPolicy>, request: Request<Body>, next: Next) -> Response<Body> {
    let is_preflight = is_preflight(&request);
    match origin(&request, &policy.allowed) {
        Err(error) => refuse(error),
        Ok(Origin::Allowed) if is_preflight || request.method() != Method::OPTIONS => {
            let Ok(mut response) = policy.headers.layer(next).oneshot(request).await;
            if is_preflight {
                *response.status_mut() = StatusCode::NO_CONTENT;
            }
            response
        }
        // Another OPTIONS than a preflight has its answer in the router.
        Ok(_) => next.run(request).await,
    }
}

/// Classifies the origin of a request, or refuses it.
fn origin<B>(request: &Request<B>, allowed: &[String]) -> Result<Origin, EdgeError> {
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        return Ok(Origin::Own);
    };
    let text = origin.to_str().unwrap_or_default();
    if host(request).is_some_and(|host| authority(text).is_some_and(|authority| authority.eq_ignore_ascii_case(host))) {
        return Ok(Origin::Own);
    }
    let is_allowed = |allowed: &String| allowed == "*" || allowed.eq_ignore_ascii_case(text);
    match allowed.iter().any(is_allowed) {
        true => Ok(Origin::Allowed),
        false => Err(EdgeError::OriginRefused(text.to_owned())),
    }
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

/// Recognises a preflight, by which a browser asks for permission.
fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::middleware::from_fn_with_state;
    use lepton_domain::reason::{ApiError, Reason};
    use lepton_mesh::server::refusal::Refused;
    use tower::service_fn;

    use super::*;

    const PAGE: &str = "https://page.example";

    fn origin_of(uri: &str, host: &str, from: Option<&str>, allowed: &[&str]) -> Result<Origin, Reason> {
        let mut request = Request::get(uri).header(header::HOST, host);
        if let Some(from) = from {
            request = request.header(header::ORIGIN, from);
        }
        let allowed: Vec<_> = allowed.iter().map(|&origin| origin.to_owned()).collect();
        origin(&request.body(()).expect("a request"), &allowed).map_err(|error| ApiError::from(error).reason)
    }

    #[test]
    fn other_sites_are_refused_unless_named() {
        let refused = Err(Reason::OriginRefused);
        assert_eq!(origin_of("/", "gw:8000", None, &[]), Ok(Origin::Own));
        assert_eq!(origin_of("/", "gw:8000", Some("http://GW:8000"), &[]), Ok(Origin::Own));
        let absolute = origin_of("http://gw:8000/", "other", Some("http://gw:8000"), &[]);
        assert_eq!(absolute, Ok(Origin::Own));
        assert_eq!(origin_of("/", "gw:8000", Some("http://gw:8001"), &[]), refused);
        assert_eq!(origin_of("/", "gw:8000", Some("null"), &[]), refused);
        assert_eq!(
            origin_of("/", "gw:8000", Some(PAGE), &["https://other.example"]),
            refused
        );
        assert_eq!(origin_of("/", "gw:8000", Some(PAGE), &[PAGE]), Ok(Origin::Allowed));
        assert_eq!(origin_of("/", "gw:8000", Some(PAGE), &["*"]), Ok(Origin::Allowed));
    }

    async fn answer(method: Method, headers: &[(HeaderName, &str)]) -> Response<Body> {
        let inner = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::from("inner"))));
        let mut request = Request::builder().method(method).uri("/").header(header::HOST, "gw");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let layer = from_fn_with_state(CorsPolicy::new(&[PAGE.to_owned()]), apply);
        let Ok(response) = layer.layer(inner).oneshot(request).await;
        response
    }

    #[tokio::test]
    async fn an_allowed_page_may_ask_and_read() {
        let asked = (header::ACCESS_CONTROL_REQUEST_METHOD, "POST");
        let named = (header::ACCESS_CONTROL_REQUEST_HEADERS, "content-type");
        let response = answer(Method::OPTIONS, &[(header::ORIGIN, PAGE), asked.clone(), named]).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        let headers = response.headers();
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], PAGE);
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_METHODS], "GET,POST,DELETE");
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_HEADERS], "content-type");
        assert_eq!(headers[header::ACCESS_CONTROL_MAX_AGE], "600");
        let response = answer(Method::POST, &[(header::ORIGIN, PAGE)]).await;
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers();
        assert_eq!(headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], PAGE);
        assert_eq!(headers[header::VARY], "origin");
        let readable = headers[header::ACCESS_CONTROL_EXPOSE_HEADERS].to_str().expect("text");
        assert!(readable.contains("lepton-reason"), "{readable}");
    }

    #[tokio::test]
    async fn others_get_no_permission_and_programs_no_headers() {
        let response = answer(Method::POST, &[(header::ORIGIN, "https://evil.example")]).await;
        assert!(response.extensions().get::<Refused>().is_some());
        let response = answer(Method::GET, &[]).await;
        assert!(!response.headers().contains_key(header::VARY));
        // No preflight: the router answers.
        let response = answer(Method::OPTIONS, &[(header::ORIGIN, PAGE)]).await;
        assert_eq!(response.status(), StatusCode::OK);
    }
}
