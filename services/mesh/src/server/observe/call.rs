//! The method or route of a request, as spans and metrics name it.
//!
//! Promises: nothing that a caller made up is in the name of a span or in a label: a method or path that nobody serves is
//! one of the others. Leaves how requests end to `observe`.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, LazyLock};

use axum::extract::MatchedPath;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request};
use lepton_proto::descriptors;
use tracing::{Span, field, info_span};

use super::super::reflection::PROTOCOLS;
use super::{End, Route};
use lepton_core::metrics::Labels;
use lepton_telemetry::trace::{self, Head};

#[cfg(test)]
mod tests;

/// The conventions' word for a method that nobody knows.
const OTHER: &str = "_OTHER";

/// The only scheme here: encryption is for a proxy in front.
const SCHEME: &str = "http";

/// The methods that a server of the mesh may have, as `package.Service/Method`.
static KNOWN: LazyLock<HashSet<String>> = LazyLock::new(|| {
    const OTHERS: [&str; 4] = [
        "grpc.health.v1.Health/Check",
        "grpc.health.v1.Health/Watch",
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ];
    let services = descriptors::pool().services();
    let methods = services.flat_map(|service| {
        let names = service
            .methods()
            .map(|method| format!("{}/{}", service.full_name(), method.name()));
        names.collect::<Vec<_>>()
    });
    methods.chain(OTHERS.map(str::to_owned)).collect()
});

/// The method or route of a request.
#[derive(Clone, Debug)]
pub(in crate::server) struct Call {
    grpc: bool,
    method: Method,
    path: Arc<str>,
    matched: Option<MatchedPath>,
}

impl Call {
    pub(in crate::server) fn of<B>(request: &Request<B>) -> Self {
        let kind = request.headers().get(CONTENT_TYPE).map(|value| value.as_bytes());
        Self {
            grpc: kind.is_some_and(|kind| kind.starts_with(b"application/grpc")),
            method: request.method().clone(),
            path: request.uri().path().into(),
            matched: request.extensions().get::<MatchedPath>().cloned(),
        }
    }

    pub(in crate::server) fn is_grpc(&self) -> bool {
        self.grpc
    }

    /// Makes a span in the caller's trace. Probes, reflection and streams that stay open have none: they are too many, or
    /// too long.
    pub(super) fn span(&self, headers: &HeaderMap, untraced: &[&str]) -> Span {
        if !self.is_traced(untraced) {
            return Span::none();
        }
        Head::of_headers(headers).span(|| if self.grpc { self.rpc_span() } else { self.http_span() })
    }

    fn rpc_span(&self) -> Span {
        let method = self.rpc_method();
        info_span!(
            "request",
            otel.name = method,
            otel.kind = "server",
            otel.status_code = field::Empty,
            rpc.system.name = "grpc",
            rpc.method = method,
            rpc.method_original = (method == OTHER).then(|| self.requested_method()),
            rpc.status_code = field::Empty,
            "error.type" = field::Empty,
        )
    }

    fn http_span(&self) -> Span {
        let method = known(&self.method);
        let route = self.matched.as_ref().map(|matched| path_of(matched.as_str()));
        info_span!(
            "request",
            otel.name = %self.named(route),
            otel.kind = "server",
            otel.status_code = field::Empty,
            http.request.method = method,
            http.request.method_original = (method == OTHER).then(|| self.method.as_str()),
            http.route = route,
            url.path = &*self.path,
            url.scheme = SCHEME,
            http.response.status_code = field::Empty,
            "error.type" = field::Empty,
        )
    }

    /// Names a span after the route that answered, once it is known.
    pub(super) fn name_route(&self, span: &Span, route: &str) {
        let route = path_of(route);
        trace::rename(span, self.named(Some(route)));
        span.record("http.route", route);
    }

    /// Returns the convention's name of an HTTP span: the method and the route, and never a path, of which there are too
    /// many. It is formatted only for spans that are exported.
    fn named<'a>(&'a self, route: Option<&'a str>) -> impl fmt::Display + use<'a> {
        let method = name_of(known(&self.method));
        fmt::from_fn(move |out| match route {
            Some(route) => write!(out, "{method} {route}"),
            None => out.write_str(method),
        })
    }

    /// `package.Service/Method`, if it is a method of the contract: others are the caller's text, of which there is no end.
    fn rpc_method(&self) -> &str {
        let requested = self.requested_method();
        if KNOWN.contains(requested) { requested } else { OTHER }
    }

    fn requested_method(&self) -> &str {
        self.path.strip_prefix('/').unwrap_or(&self.path)
    }

    /// Returns true when requests of this path have spans: those of the standard protocols never do.
    fn is_traced(&self, untraced: &[&str]) -> bool {
        let service = self.requested_method().split('/').next().unwrap_or_default();
        !PROTOCOLS.contains(&service) && !untraced.iter().any(|beginning| self.path.starts_with(beginning))
    }

    /// The label of the metrics: never text that a caller made up.
    pub(super) fn label(&self, route: Option<&Route>) -> String {
        match (route, &self.matched) {
            (Some(route), _) => route.0.to_string(),
            (None, _) if self.grpc && self.rpc_method() == OTHER => OTHER.to_owned(),
            (None, _) if self.grpc => self.path.to_string(),
            (None, Some(matched)) => matched.as_str().to_owned(),
            (None, None) => "unmatched".to_owned(),
        }
    }

    /// The labels that the conventions give a duration, beside the service.
    pub(super) fn conventional(&self, service: &str, method: &str, end: &End) -> Labels {
        let mut labels = vec![("service", service.to_owned())];
        if self.grpc {
            labels.push(("rpc_system_name", "grpc".to_owned()));
            labels.push(("rpc_method", method.trim_start_matches('/').to_owned()));
            labels.push(("rpc_status_code", end.code.clone()));
        } else {
            let route = path_of(method);
            labels.push(("http_request_method", known(&self.method).to_owned()));
            labels.push(("http_route", route.to_owned()));
            labels.push(("url_scheme", SCHEME.to_owned()));
            // A caller that hung up got no status.
            if end.status {
                labels.push(("http_response_status_code", end.code.clone()));
            }
        }
        if let Some(error) = &end.error {
            labels.push(("error_type", error.clone()));
        }
        labels
    }
}

/// The path of a route. Routes of ours begin with their method.
fn path_of(route: &str) -> &str {
    route.split_once(' ').map_or(route, |(_, path)| path)
}

/// A method of the standard, or the convention's word for all others.
fn known(method: &Method) -> &str {
    match *method {
        Method::GET | Method::POST | Method::PUT | Method::DELETE | Method::HEAD | Method::OPTIONS | Method::PATCH => {
            method.as_str()
        }
        _ => OTHER,
    }
}

/// Returns the method as spans are named after it.
fn name_of(method: &str) -> &str {
    if method == OTHER { "HTTP" } else { method }
}
