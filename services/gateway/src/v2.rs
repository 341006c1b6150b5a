//! REST of the Open Inference Protocol under `/v2`, as KServe's and Triton's clients speak it.
//!
//! The protocol: https://github.com/kserve/open-inference-protocol. Where Triton differs, it is right.
//!
//! Promises: errors are `{"error":"..."}` with the reason in the header `lepton-reason`; the same models and answers as
//! over gRPC. Leaves bodies and tensors to its parts, and choosing a worker to `online`.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use lepton_domain::reason::ApiError;
use lepton_mesh::server::deadline::Deadline;
use lepton_proto::inference::model_metadata_response::TensorMetadata;
use lepton_proto::inference::{ModelInferRequest, ModelInferResponse};
use prost::Message as _;
use serde_json::{Value, json};

use self::error::{AnswerError, RequestError};
use self::request::{Asked, Form, JSON_LENGTH};
use self::target::About;
use crate::offload;
use crate::proxy::balancer::ModelRef;
use crate::proxy::infer::{self, Inference};
use crate::proxy::request::WorkerRequest;
use crate::request::Caller;
use crate::request::body::Incoming;
use crate::transcode::response;

pub use self::target::Target;

mod answer;
mod elements;
mod error;
mod print;
mod request;
mod target;
mod tensor;
#[cfg(test)]
mod tests;

/// True for a path of the protocol.
pub fn serves(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/")
}

/// The server of `/v2`.
#[derive(Debug, Clone)]
pub struct V2 {
    /// Models.
    pub inference: Inference,
    /// The most bytes of a body, and of the tensors in it.
    pub bytes_max: usize,
}

impl V2 {
    /// Answers a request with this target.
    pub async fn answer(
        &self,
        target: &Target,
        caller: &Caller,
        request: &Request<()>,
        body: &mut Incoming,
    ) -> Result<Response<Body>, ApiError> {
        let deadline = request.extensions().get().copied();
        match target {
            Target::Server => Ok(response::json(server().to_string())),
            Target::Live => Ok(health(true)),
            Target::Ready => Ok(health(self.inference.is_ready())),
            Target::Model(model_ref, About::Readiness) => {
                let ready = self.inference.check_ready(caller, model_ref, deadline).await;
                ready.map(|()| health(true))
            }
            Target::Model(model_ref, About::Signature) => self.describe(caller, model_ref, deadline).await,
            Target::Model(model_ref, About::Answer) => self.infer(caller, model_ref, request, body).await,
        }
    }

    async fn describe(
        &self,
        caller: &Caller,
        model_ref: &ModelRef,
        deadline: Option<Deadline>,
    ) -> Result<Response<Body>, ApiError> {
        let model = self.inference.describe(caller, model_ref, deadline).await?;
        let described = json!({
            "name": model.name,
            "versions": model.versions,
            "platform": model.platform,
            "inputs": tensors(&model.inputs),
            "outputs": tensors(&model.outputs),
        });
        Ok(response::json(described.to_string()))
    }

    async fn infer(
        &self,
        caller: &Caller,
        model_ref: &ModelRef,
        request: &Request<()>,
        body: &mut Incoming,
    ) -> Result<Response<Body>, ApiError> {
        let deadline = request.extensions().get().copied();
        // A body is not read for a model that is not there, nor while all places are taken.
        self.inference.enter().map(drop)?;
        self.inference.check(caller, model_ref, deadline).await?;
        body.check(request.headers())?;
        let json_length = json_length(request.headers())?;
        let body = self.inference.within(deadline, async { Ok(body.all().await?) }).await?;
        let _inside = self.inference.enter()?;
        let bytes_max = self.bytes_max;
        let asked = match json_length {
            Some(0) => request::raw::read(
                body,
                &self.inference.describe(caller, model_ref, deadline).await?.inputs,
            )?,
            _ => offload::run(body.len(), move || request::read(&body, json_length, bytes_max)).await?,
        };
        let (message, form) = message(model_ref, asked);
        let encoded = self.inference.infer(caller, model_ref, message, deadline).await?;
        offload::run(encoded.len(), move || printed(encoded, &form))
            .await
            .map(answer::respond)
    }
}

/// A worker's answer in the form that was asked for.
fn printed(encoded: Bytes, form: &Form) -> Result<answer::Written, ApiError> {
    let decoded = ModelInferResponse::decode(encoded).map_err(AnswerError::from)?;
    answer::write(&decoded, form)
}

/// The request for a worker, and the form of the answer to its caller.
fn message(model_ref: &ModelRef, asked: Asked) -> (WorkerRequest, Form) {
    let head = ModelInferRequest {
        model_name: model_ref.name.clone(),
        model_version: model_ref.version.map(|version| version.to_string()).unwrap_or_default(),
        id: asked.id,
        parameters: asked.parameters,
        inputs: asked.inputs,
        outputs: asked.outputs,
        raw_input_contents: Vec::new(),
    };
    (WorkerRequest::with_contents(&head, asked.contents), asked.form)
}

/// Bytes of JSON in the body, where the client gives their number.
fn json_length(headers: &HeaderMap) -> Result<Option<usize>, ApiError> {
    let Some(length) = headers.get(JSON_LENGTH) else {
        return Ok(None);
    };
    let number = length.to_str().ok().and_then(|text| text.trim().parse().ok());
    let refused = || RequestError::field(JSON_LENGTH, format!("{length:?} is no number of bytes"));
    Ok(Some(number.ok_or_else(refused)?))
}

fn health(good: bool) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    if !good {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

fn server() -> Value {
    let server = infer::server();
    json!({ "name": server.name, "version": server.version, "extensions": server.extensions })
}

fn tensors(tensors: &[TensorMetadata]) -> Value {
    let tensors = tensors.iter();
    tensors
        .map(|it| json!({ "name": it.name, "datatype": it.datatype, "shape": it.shape }))
        .collect()
}
