//! Requests that browsers make on behalf of pages of other sites.
//!
//! Promises: refused unless the configuration names the page's origin, as nothing here would stop a page from using a gateway
//! that its reader can reach. Programs send no `Origin` and never notice. Leaves the headers of what is allowed to
//! `tower_http`, which refuses nothing by itself: it only withholds them, and the request has had its effect by then. Leaves
//! credentials to authentication.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use futures::future::{Either, Ready, ready};
use futures::{FutureExt as _, future};
use http::{HeaderName, Method, Request, Response, StatusCode, header};
use lepton_core::error::REASON_HEADER;
use lepton_mesh::server::refusal::refuse;
use tower::{Layer, Service};
use tower_http::cors::{self, AllowHeaders, AllowOrigin, Vary};

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

/// Refuses pages of other sites, and answers those that are allowed as the Fetch standard wants it.
#[derive(Debug, Clone)]
pub struct CorsLayer {
    allowed: Arc<[String]>,
    headers: cors::CorsLayer,
}

impl CorsLayer {
    /// Pages of these origins (`https://host:port`) are allowed; `*` allows all.
    pub fn new(allowed: &[String]) -> Self {
        let readable = [
            "grpc-status",
            "grpc-message",
            "grpc-status-details-bin",
            REASON_HEADER,
            "retry-after",
        ];
        let headers = cors::CorsLayer::new()
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

impl<S: Clone> Layer<S> for CorsLayer {
    type Service = Cors<S>;

    fn layer(&self, inner: S) -> Cors<S> {
        Cors {
            allowed: Arc::clone(&self.allowed),
            with_headers: self.headers.layer(inner.clone()),
            inner,
        }
    }
}

/// The service of [`CorsLayer`].
#[derive(Debug, Clone)]
pub struct Cors<S> {
    allowed: Arc<[String]>,
    /// For programs and pages of our own.
    inner: S,
    /// The same service, for pages of other sites.
    with_headers: cors::Cors<S>,
}

type Answered<E> = Result<Response<Body>, E>;
type OfAllowed<F, E> = future::Map<cors::ResponseFuture<F>, fn(Answered<E>) -> Answered<E>>;

impl<S> Service<Request<Body>> for Cors<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Either<OfAllowed<S::Future, S::Error>, Ready<Answered<S::Error>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        match self.inner.poll_ready(cx) {
            Poll::Ready(Ok(())) => self.with_headers.poll_ready(cx),
            other => other,
        }
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match origin(&request, &self.allowed) {
            Ok(Origin::Own) => Either::Left(self.inner.call(request)),
            // Another OPTIONS than a preflight has its answer in the router.
            Ok(Origin::Allowed) if request.method() == Method::OPTIONS && !is_preflight(&request) => {
                Either::Left(self.inner.call(request))
            }
            Ok(Origin::Allowed) => {
                let after: fn(_) -> _ = if is_preflight(&request) {
                    without_content
                } else {
                    std::convert::identity
                };
                Either::Right(Either::Left(self.with_headers.call(request).map(after)))
            }
            Err(error) => Either::Right(Either::Right(ready(Ok(refuse(error))))),
        }
    }
}

/// Gives the answer to a preflight the status of one without a body.
fn without_content<E>(answered: Answered<E>) -> Answered<E> {
    answered.map(|mut response| {
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    })
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

    use lepton_domain::reason::{ApiError, Reason};
    use lepton_mesh::server::refusal::Refused;
    use tower::{ServiceExt as _, service_fn};

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
        let Ok(response) = CorsLayer::new(&[PAGE.to_owned()]).layer(inner).oneshot(request).await;
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
