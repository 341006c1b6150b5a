//! Online analysis: a body comes in, a worker answers.
//!
//! Promises: rows are decoded while they arrive; encoded requests pass as bytes. Leaves decoding rows to [`super::rows`], workers
//! and retries to [`super::balancer`], the figures and the trace id of the answer to the workers.

use bytes::Bytes;
use lepton_domain::reason::ApiError;
use lepton_mesh::server::deadline::Deadline;
use lepton_proto::analysis::v1::{AnalyzeRequest, Consistency};
use lepton_proto::validate;

use super::balancer::{Balancer, ModelRef};
use super::error::ProxyError;
use super::grpc::Bytewise;
use super::request::{self, WorkerRequest};
use super::rows::{Decoded, Decoder};
use crate::request::Caller;
use crate::request::body::Incoming;

/// The RPC, here and at the workers.
pub const PATH: &str = "/lepton.analysis.v1.AnalysisService/Analyze";
/// The numbers of the fields `target`, `model` and `consistency`, by which the gateway decides.
const DECISIVE_FIELDS: [u32; 3] = [2, 3, 4];

/// Analyses. Clones share what calls share.
#[derive(Debug, Clone)]
pub struct Online {
    calls: Balancer,
}

impl Online {
    /// Analyses by this balancer.
    pub fn new(calls: Balancer) -> Self {
        Self { calls }
    }

    /// Analyses a JSON body while it arrives. Gives the encoded `AnalyzeResponse`.
    pub async fn analyze_json(
        &self,
        caller: &Caller,
        body: &mut Incoming,
        deadline: Option<Deadline>,
    ) -> Result<Bytes, ApiError> {
        // A body is not read while all places are taken; yet who sends slowly takes none from others.
        self.calls.enter().map(drop)?;
        let deadline = self.calls.deadline(deadline);
        let decoded = self.calls.within(deadline, decode(body)).await?;
        let _inside = self.calls.enter()?;
        let model_ref = check(&decoded.request)?;
        self.call(caller, model_ref, WorkerRequest::of(decoded), deadline).await
    }

    /// Analyses an encoded `AnalyzeRequest`. Gives the encoded `AnalyzeResponse`.
    pub async fn analyze_encoded(
        &self,
        caller: &Caller,
        encoded: Bytes,
        deadline: Option<Deadline>,
    ) -> Result<Bytes, ApiError> {
        let _inside = self.calls.enter()?;
        let deadline = self.calls.deadline(deadline);
        let head = request::peek(&encoded, &DECISIVE_FIELDS).map_err(ProxyError::from)?;
        let model_ref = check(&head)?;
        self.call(caller, model_ref, WorkerRequest::encoded(encoded), deadline)
            .await
    }

    async fn call(
        &self,
        caller: &Caller,
        model_ref: Option<ModelRef>,
        message: WorkerRequest,
        deadline: Deadline,
    ) -> Result<Bytes, ApiError> {
        self.calls
            .call(caller, PATH, model_ref.as_ref(), message, deadline)
            .await
    }
}

impl Bytewise for Online {
    const NAME: &'static str = "lepton.analysis.v1.AnalysisService";
    const METHODS: &'static [&'static str] = &["Analyze"];

    async fn answer(
        &self,
        caller: &Caller,
        _: &str,
        request: Bytes,
        deadline: Option<Deadline>,
    ) -> Result<Bytes, ApiError> {
        self.analyze_encoded(caller, request, deadline).await
    }
}

/// Decodes a body while it arrives.
async fn decode(body: &mut Incoming) -> Result<Decoded, ApiError> {
    let mut decoder = Decoder::new()?;
    while let Some(piece) = body.next().await? {
        decoder.feed(&piece)?;
    }
    decoder.finish()
}

/// Checks a request without its rows, and returns the model that it needs.
fn check(request: &AnalyzeRequest) -> Result<Option<ModelRef>, ApiError> {
    validate::check_typed("lepton.analysis.v1.AnalyzeRequest", request)?;
    if request.consistency() == Consistency::Quorum {
        return Err(ProxyError::QuorumUnsupported.into());
    }
    Ok(request.model.as_ref().map(|name| ModelRef {
        name: name.clone(),
        version: None,
    }))
}
