//! The paths under `/v2`.
//!
//! Promises: a path that names something gives it whole, a wrong method what is allowed. Leaves answering to [`super`].

use http::Method;
use lepton_domain::reason::ApiError;

use super::error::RequestError;
use crate::proxy::balancer::ModelRef;
use crate::proxy::infer;
use crate::transcode::table::Miss;
use crate::transcode::url;

/// Subject of a request about a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Its inputs and outputs.
    Signature,
    /// Its readiness.
    Readiness,
    /// Its answer to tensors.
    Answer,
}

/// Target of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The server.
    Server,
    /// Liveness.
    Live,
    /// Readiness.
    Ready,
    /// A model.
    Model(ModelRef, About),
}

impl Target {
    /// The target of a request by this method.
    pub fn of(method: &Method, path: &str) -> Result<Self, ApiError> {
        let target = parse(path)?;
        let allowed = target.method();
        if *method != allowed && !(allowed == Method::GET && method == Method::HEAD) {
            return Err(Miss::Verb(vec![allowed]).refusal(method, path));
        }
        Ok(target)
    }

    /// The path of the RPC that gives the same answer over gRPC.
    pub fn rpc(&self) -> &'static str {
        match self {
            Self::Server => "/inference.GRPCInferenceService/ServerMetadata",
            Self::Live => "/inference.GRPCInferenceService/ServerLive",
            Self::Ready => "/inference.GRPCInferenceService/ServerReady",
            Self::Model(_, About::Signature) => "/inference.GRPCInferenceService/ModelMetadata",
            Self::Model(_, About::Readiness) => "/inference.GRPCInferenceService/ModelReady",
            Self::Model(_, About::Answer) => "/inference.GRPCInferenceService/ModelInfer",
        }
    }

    /// Its route, with its method.
    pub fn route(&self) -> &'static str {
        match self {
            Self::Server => "GET /v2",
            Self::Live => "GET /v2/health/live",
            Self::Ready => "GET /v2/health/ready",
            Self::Model(_, About::Signature) => "GET /v2/models/{model}",
            Self::Model(_, About::Readiness) => "GET /v2/models/{model}/ready",
            Self::Model(_, About::Answer) => "POST /v2/models/{model}/infer",
        }
    }

    /// True where a model is run for it.
    pub fn is_inference(&self) -> bool {
        matches!(self, Self::Model(_, About::Answer))
    }

    fn method(&self) -> Method {
        if self.is_inference() { Method::POST } else { Method::GET }
    }
}

pub(super) fn parse(path: &str) -> Result<Target, ApiError> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match segments.as_slice() {
        ["v2"] => Ok(Target::Server),
        ["v2", "health", "live"] => Ok(Target::Live),
        ["v2", "health", "ready"] => Ok(Target::Ready),
        ["v2", "models", name, rest @ ..] if !name.is_empty() => model(name, rest, path),
        _ => Err(no_route(path)),
    }
}

fn model(name: &str, rest: &[&str], path: &str) -> Result<Target, ApiError> {
    let name = url::decode(name).ok_or_else(|| no_route(path))?;
    let (version, rest) = match rest {
        ["versions", version, rest @ ..] if !version.is_empty() => (*version, rest),
        rest => ("", rest),
    };
    let about = match rest {
        [] => About::Signature,
        ["ready"] => About::Readiness,
        ["infer"] => About::Answer,
        _ => return Err(no_route(path)),
    };
    Ok(Target::Model(infer::parse_model_ref(name, version)?, about))
}

fn no_route(path: &str) -> ApiError {
    RequestError::NoRoute(path.to_owned()).into()
}
