//! The fixed pages: links, probes and the description of the REST surface.

use axum::body::Body;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use lepton_domain::reason::Fault;
use serde_json::json;

use super::Front;
use crate::transcode::response;
use crate::transcode::table::Miss;

/// Answers a request for a fixed page; `None` when there is none of this path.
pub fn answer(front: &Front, request: &Request<()>) -> Option<Result<Response<Body>, Fault>> {
    let (verb, path) = (request.method(), request.uri().path());
    let page = match path {
        "/" => response::json(links()),
        "/openapi.json" => response::json(front.openapi.clone()),
        "/healthz" | "/livez" => text(StatusCode::OK, "ok\n"),
        "/readyz" if front.readiness.is_ready() => text(StatusCode::OK, "ready\n"),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
        _ => return None,
    };
    Some(match *verb {
        Method::GET | Method::HEAD => Ok(page),
        _ => Err(Miss::Verb(vec![Method::GET]).fault(verb, path)),
    })
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
