//! REST of the Open Inference Protocol under `/v2`, as KServe's and Triton's clients speak it.
//!
//! Promises: errors are `{"error":"..."}` with the reason in the header `lepton-reason`. Leaves models to a later version:
//! every one is unknown here.

use axum::body::Body;
use http::{Method, Response, StatusCode};
use lepton_domain::reason::{Fault, Reason};
use serde_json::json;

use crate::models;
use crate::online::infer::SERVER_NAME;
use crate::transcode::percent;
use crate::transcode::response;

/// Whether a path belongs here.
pub fn serves(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/")
}

/// Answers a request. `ready` says whether an inference would succeed.
pub fn answer(method: &Method, path: &str, ready: bool) -> Result<Response<Body>, Fault> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let target = match segments.as_slice() {
        ["v2"] => Target::Server,
        ["v2", "health", "live"] => Target::Health(true),
        ["v2", "health", "ready"] => Target::Health(ready),
        ["v2", "models", name, rest @ ..] if !name.is_empty() => model(name, rest, path)?,
        _ => return Err(no_route(path)),
    };
    let allowed = if let Target::Infer(_) = target {
        Method::POST
    } else {
        Method::GET
    };
    if *method != allowed && !(allowed == Method::GET && method == Method::HEAD) {
        let message = format!("{path} does not take {method}; it takes {allowed}");
        return Err(Fault::new(Reason::MethodNotAllowed, message).with("allow", allowed.as_str()));
    }
    match target {
        Target::Server => {
            let server = json!({ "name": SERVER_NAME, "version": env!("CARGO_PKG_VERSION"), "extensions": [] });
            Ok(response::json(server.to_string()))
        }
        Target::Health(good) => {
            let mut response = Response::new(Body::empty());
            if !good {
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            }
            Ok(response)
        }
        Target::Model(name) | Target::Infer(name) => Err(models::not_found(&name)),
    }
}

enum Target {
    Server,
    Health(bool),
    Model(String),
    Infer(String),
}

fn model(name: &str, rest: &[&str], path: &str) -> Result<Target, Fault> {
    let name = percent::decode(name, false).ok_or_else(|| no_route(path))?;
    let rest = match rest {
        ["versions", version, rest @ ..] if !version.is_empty() => rest,
        rest => rest,
    };
    match rest {
        [] | ["ready"] => Ok(Target::Model(name)),
        ["infer"] => Ok(Target::Infer(name)),
        _ => Err(no_route(path)),
    }
}

fn no_route(path: &str) -> Fault {
    Fault::new(Reason::RouteNotFound, format!("there is no {path}")).with("path", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(method: Method, path: &str) -> Reason {
        answer(&method, path, false).map(drop).expect_err("refused").reason
    }

    #[test]
    fn the_server_answers_for_itself() {
        for path in ["/v2", "/v2/", "/v2/health/live"] {
            assert_eq!(
                answer(&Method::GET, path, false).expect("good").status(),
                StatusCode::OK,
                "{path}"
            );
        }
        let ready = |ready| answer(&Method::GET, "/v2/health/ready", ready).expect("good").status();
        assert_eq!(
            (ready(true), ready(false)),
            (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE)
        );
    }

    #[test]
    fn models_are_unknown_and_routes_are_checked() {
        for path in [
            "/v2/models/m",
            "/v2/models/m/ready",
            "/v2/models/m/versions/1",
            "/v2/models/m/versions/1/ready",
        ] {
            assert_eq!(reason(Method::GET, path), Reason::ModelNotFound, "{path}");
        }
        assert_eq!(reason(Method::POST, "/v2/models/m/infer"), Reason::ModelNotFound);
        assert_eq!(reason(Method::GET, "/v2/models/m/infer"), Reason::MethodNotAllowed);
        assert_eq!(reason(Method::DELETE, "/v2"), Reason::MethodNotAllowed);
        assert_eq!(reason(Method::GET, "/v2/nothing"), Reason::RouteNotFound);
        assert_eq!(reason(Method::GET, "/v2/models/"), Reason::RouteNotFound);
    }
}
