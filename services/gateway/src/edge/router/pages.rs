//! The fixed pages: links, probes and the description of the REST surface.

use axum::body::Body;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use lepton_domain::reason::ApiError;
use serde_json::json;

use super::Router;
use crate::transcode::response;
use crate::transcode::table::Miss;

/// Recognises the path of a fixed page.
pub fn serves(path: &str) -> bool {
    ["/", "/openapi.json", "/healthz", "/livez", "/readyz"].contains(&path)
}

/// Answers a request for a fixed page.
pub fn answer(router: &Router, request: &Request<()>) -> Result<Response<Body>, ApiError> {
    let (verb, path) = (request.method(), request.uri().path());
    if ![Method::GET, Method::HEAD].contains(verb) {
        return Err(Miss::Verb(vec![Method::GET]).refusal(verb, path));
    }
    match path {
        "/" => Ok(response::json(links())),
        "/openapi.json" => Ok(response::json(router.openapi.clone())),
        "/healthz" | "/livez" => Ok(text(StatusCode::OK, "ok\n")),
        "/readyz" if router.readiness.is_ready() => Ok(text(StatusCode::OK, "ready\n")),
        "/readyz" => Ok(text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n")),
        _ => Err(Miss::Path.refusal(verb, path)),
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

fn links() -> String {
    json!({
        "name": "lepton",
        "version": env!("CARGO_PKG_VERSION"),
        "links": {
            "analyze": "/api/v1/analyze",
            "tasks": "/api/v1/tasks",
            "models": "/api/v1/models",
            "nodes": "/api/v1/nodes",
            "incidents": "/api/v1/incidents",
            "journal": "/api/v1/journal",
            "inference": "/v2",
            "openapi": "/openapi.json",
            "health": "/healthz",
            "live": "/livez",
            "ready": "/readyz",
        },
    })
    .to_string()
}
