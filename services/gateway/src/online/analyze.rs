//! Online analysis: a body comes in, a worker answers.
//!
//! Promises: rows are decoded while they arrive; encoded requests pass as bytes. Leaves decoding rows to `rows`, workers
//! and retries to `call`, and the figures to the workers.

use bytes::{Bytes, BytesMut};
use lepton_domain::reason::{Fault, Reason};
use lepton_mesh::server::deadline::Deadline;
use lepton_proto::analysis::v1::{AnalyzeRequest, AnalyzeResponse, Consistency};
use lepton_proto::validate;
use lepton_telemetry::trace;
use prost::Message as _;

use super::call::{Calls, Wanted};
use super::grpc::Bytewise;
use super::message::{self, Message};
use super::rows::{Decoded, Decoder};
use crate::edge::body::Incoming;

/// The RPC, here and at the workers.
pub const PATH: &str = "/lepton.analysis.v1.AnalysisService/Analyze";
/// The numbers of the fields `target`, `model` and `consistency`, by which the gateway decides.
const DECISIVE_FIELDS: [u32; 3] = [2, 3, 4];

/// Analyses. Clones share what calls share.
#[derive(Debug, Clone)]
pub struct Online {
    calls: Calls,
}

impl Online {
    /// Analyses are such calls.
    pub fn new(calls: Calls) -> Self {
        Self { calls }
    }

    /// Analyses a JSON body while it arrives. Gives the encoded `AnalyzeResponse`.
    pub async fn analyze_json(&self, body: &mut Incoming, deadline: Option<Deadline>) -> Result<Bytes, Fault> {
        // A body is not read while all places are taken; yet who sends slowly takes none from others.
        self.calls.enter().map(drop)?;
        let deadline = self.calls.deadline(deadline);
        let decoded = self.calls.within(deadline, decode(body)).await?;
        let _inside = self.calls.enter()?;
        let wanted = check(&decoded.request)?;
        self.call(wanted, Message::of(decoded), deadline).await
    }

    /// Analyses an encoded `AnalyzeRequest`. Gives the encoded `AnalyzeResponse`.
    pub async fn analyze_encoded(&self, request: Bytes, deadline: Option<Deadline>) -> Result<Bytes, Fault> {
        let _inside = self.calls.enter()?;
        let deadline = self.calls.deadline(deadline);
        let head =
            message::peek(&request, &DECISIVE_FIELDS).map_err(|error| Fault::field("request", error.to_string()))?;
        let wanted = check(&head)?;
        self.call(wanted, Message::encoded(request), deadline).await
    }

    async fn call(&self, wanted: Option<Wanted>, message: Message, deadline: Deadline) -> Result<Bytes, Fault> {
        let answer = self.calls.call(PATH, wanted.as_ref(), message, deadline).await;
        answer.map(traced)
    }
}

impl Bytewise for Online {
    const NAME: &'static str = "lepton.analysis.v1.AnalysisService";
    const METHODS: &'static [&'static str] = &["Analyze"];

    async fn answer(&self, _: &str, request: Bytes, deadline: Option<Deadline>) -> Result<Bytes, Fault> {
        self.analyze_encoded(request, deadline).await
    }
}

/// Decodes a body while it arrives.
async fn decode(body: &mut Incoming) -> Result<Decoded, Fault> {
    let mut decoder = Decoder::new()?;
    while let Some(piece) = body.next().await? {
        decoder.feed(&piece)?;
    }
    decoder.finish()
}

/// What the gateway decides about a request without its rows: whether it is taken, and which model it needs.
fn check(request: &AnalyzeRequest) -> Result<Option<Wanted>, Fault> {
    validate::check_typed("lepton.analysis.v1.AnalyzeRequest", request)?;
    if request.consistency() == Consistency::Quorum {
        let message = "CONSISTENCY_QUORUM is not built yet; leave consistency out or send CONSISTENCY_ONE";
        return Err(Fault::new(Reason::ConsistencyUnsupported, message));
    }
    Ok(request.model.as_ref().map(|name| Wanted {
        name: name.clone(),
        version: None,
    }))
}

/// Notes the trace in an encoded answer: of two values for one field the last counts.
fn traced(answer: Bytes) -> Bytes {
    let Some(trace_id) = trace::trace_id() else {
        return answer;
    };
    let mut noted = BytesMut::from(answer);
    noted.extend_from_slice(
        &AnalyzeResponse {
            trace_id,
            ..Default::default()
        }
        .encode_to_vec(),
    );
    noted.freeze()
}
