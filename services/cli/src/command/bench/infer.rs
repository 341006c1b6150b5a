//! `lepton bench infer`: a deployed model called again and again over gRPC, with tensors of a fixed seed.

use std::process::ExitCode;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use lepton_core::error;
use lepton_core::random::Random;
use lepton_domain::reason::{ApiError, Reason};
use lepton_proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use lepton_proto::inference::model_infer_request::InferInputTensor;
use lepton_proto::inference::model_metadata_response::TensorMetadata;
use lepton_proto::inference::{ModelInferRequest, ModelMetadataRequest};
use serde_json::json;
use tonic::transport::Channel;

use super::super::Session;
use super::{Load, percentiles, repeat, rounded, show};
use crate::advice::EXIT_DONE;
use crate::args::model::BenchInfer;
use crate::client::within;

/// The tensors are the same in every run.
const SEED: u64 = 42;
/// Elements of a tensor of the largest request.
const ELEMENTS_MAX: u64 = 16 << 20;

/// Measures and prints.
pub(in crate::command) async fn run(session: &Session, args: &BenchInfer) -> Result<ExitCode, ApiError> {
    let channel = session.context.net.channel(session.client.authority());
    let request = Arc::new(request(channel.clone(), args).await?);
    let call = move || {
        let (mut client, request) = (GrpcInferenceServiceClient::new(channel.clone()), request.clone());
        async move {
            let answer = client.model_infer(within(request.as_ref().clone())).await;
            answer.map(drop).map_err(|status| error::from_status(&status))
        }
    };
    let load = Load {
        count: args.count,
        concurrency: args.concurrency,
        rate: args.rate,
    };
    let (measured, seconds) = repeat(session.context.clock, load, call).await?;
    let calls = measured.len();
    let (p50, p99) = percentiles(measured);
    let answer = json!({
        "model": args.model, "rows": args.rows, "count": calls, "concurrency": args.concurrency,
        "seconds": rounded(seconds), "callsPerS": rounded(calls as f64 / seconds.max(1e-9)),
        "answerMs": { "p50": p50, "p99": p99 },
    });
    let figures = ["model", "rows", "count", "concurrency", "seconds", "callsPerS"];
    session.print(answer.to_string().as_bytes(), |answer| show("infer", &figures, answer))?;
    Ok(EXIT_DONE)
}

/// A request that fits the model's signature.
async fn request(channel: Channel, args: &BenchInfer) -> Result<ModelInferRequest, ApiError> {
    let request = ModelMetadataRequest {
        name: args.model.clone(),
        version: String::new(),
    };
    let metadata = GrpcInferenceServiceClient::new(channel)
        .model_metadata(within(request))
        .await;
    let metadata = metadata.map_err(|status| error::from_status(&status))?.into_inner();
    let random = Random::seeded(SEED);
    let mut request = ModelInferRequest {
        model_name: args.model.clone(),
        ..ModelInferRequest::default()
    };
    for input in metadata.inputs {
        // The first axis of any length is that of the rows; others get one element.
        let mut rows = Some(i64::from(args.rows));
        let shape: Vec<i64> = input
            .shape
            .iter()
            .map(|axis| if *axis < 0 { rows.take().unwrap_or(1) } else { *axis })
            .collect();
        request.raw_input_contents.push(fill(&input, &shape, &random)?.freeze());
        request.inputs.push(InferInputTensor {
            name: input.name,
            datatype: input.datatype,
            shape,
            ..InferInputTensor::default()
        });
    }
    Ok(request)
}

fn fill(input: &TensorMetadata, shape: &[i64], random: &Random) -> Result<BytesMut, ApiError> {
    let elements = shape
        .iter()
        .try_fold(1_u64, |product, axis| product.checked_mul(u64::try_from(*axis).ok()?))
        .filter(|elements| *elements <= ELEMENTS_MAX)
        .ok_or_else(|| {
            let message = format!("input {} of shape {shape:?} is too large to be made up", input.name);
            ApiError::new(Reason::TensorShape, message)
        })?;
    let mut bytes = BytesMut::new();
    for _element in 0..elements {
        // The high 53 bits of a draw are a number from 0 to 1 without a rounding.
        let unit = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        match input.datatype.as_str() {
            "FP32" => bytes.put_f32_le(unit as f32),
            "FP64" => bytes.put_f64_le(unit),
            "INT64" | "UINT64" => bytes.put_u64_le(0),
            "INT32" | "UINT32" => bytes.put_u32_le(0),
            "FP16" | "BF16" | "INT16" | "UINT16" => bytes.put_u16_le(0),
            "INT8" | "UINT8" | "BOOL" => bytes.put_u8(0),
            other => {
                let message = format!("input {} is of type {other}, which cannot be made up", input.name);
                return Err(ApiError::new(Reason::TensorType, message));
            }
        }
    }
    Ok(bytes)
}
