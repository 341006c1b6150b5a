//! The same request over gRPC: a request of the Open Inference Protocol in JSON, as its protobuf message and back.
//!
//! Promises: numbers go as they stand, 64-bit integers without a detour over doubles. Leaves checking them against the
//! model to the mesh.

use lepton_domain::reason::{Fault, Reason};
use lepton_mesh::error;
use lepton_proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use lepton_proto::inference::model_infer_request::InferInputTensor;
use lepton_proto::inference::model_infer_response::InferOutputTensor;
use lepton_proto::inference::{InferTensorContents, ModelInferRequest, ModelInferResponse};
use serde_json::{Value, json};

use super::super::Session;
use crate::args::model::Infer;

/// Sends the request; gives the answer in the form that REST has.
pub(super) async fn call(session: &Session, wish: &Infer, written: &str) -> Result<Value, Fault> {
    let request = request(wish, written)?;
    let channel = session.context.net.channel(session.client.authority());
    let answer = GrpcInferenceServiceClient::new(channel).model_infer(request).await;
    response(&answer.map_err(|status| error::fault(&status))?.into_inner())
}

fn request(wish: &Infer, written: &str) -> Result<ModelInferRequest, Fault> {
    let asked: Value = serde_json::from_str(written)
        .map_err(|error| Fault::new(Reason::InvalidJson, format!("the request is not JSON: {error}")))?;
    let inputs = asked["inputs"]
        .as_array()
        .ok_or_else(|| Fault::new(Reason::TensorMissing, "the request has no array `inputs`"))?;
    Ok(ModelInferRequest {
        model_name: wish.model.clone(),
        model_version: wish.version.map(|version| version.to_string()).unwrap_or_default(),
        id: asked["id"].as_str().unwrap_or_default().to_owned(),
        inputs: inputs.iter().map(input).collect::<Result<_, _>>()?,
        ..ModelInferRequest::default()
    })
}

fn input(tensor: &Value) -> Result<InferInputTensor, Fault> {
    let name = tensor["name"].as_str().unwrap_or_default();
    let datatype = tensor["datatype"].as_str().unwrap_or_default();
    let wrong = || {
        let message =
            format!("input {name:?}: `data` does not hold what {datatype:?} does, or `shape` is no list of sizes");
        Fault::new(Reason::TensorData, message)
    };
    let sizes = tensor["shape"].as_array().ok_or_else(wrong)?;
    let shape: Option<Vec<i64>> = sizes.iter().map(Value::as_i64).collect();
    let mut elements = Vec::new();
    flatten(&tensor["data"], &mut elements);
    Ok(InferInputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.ok_or_else(wrong)?,
        contents: Some(contents(datatype, &elements).ok_or_else(wrong)?),
        ..InferInputTensor::default()
    })
}

/// Elements in row-major order, however deep they nest.
fn flatten<'a>(data: &'a Value, out: &mut Vec<&'a Value>) {
    match data {
        Value::Array(inner) => inner.iter().for_each(|element| flatten(element, out)),
        element => out.push(element),
    }
}

fn contents(datatype: &str, elements: &[&Value]) -> Option<InferTensorContents> {
    fn all<T>(elements: &[&Value], read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
        elements.iter().map(|element| read(element)).collect()
    }
    let mut contents = InferTensorContents::default();
    match datatype {
        "BOOL" => contents.bool_contents = all(elements, Value::as_bool)?,
        "INT8" | "INT16" | "INT32" => contents.int_contents = all(elements, |it| i32::try_from(it.as_i64()?).ok())?,
        "INT64" => contents.int64_contents = all(elements, Value::as_i64)?,
        "UINT8" | "UINT16" | "UINT32" => {
            contents.uint_contents = all(elements, |it| u32::try_from(it.as_u64()?).ok())?;
        }
        "UINT64" => contents.uint64_contents = all(elements, Value::as_u64)?,
        // A text in JSON is a double; the type of the tensor says how much of it counts.
        "FP32" => contents.fp32_contents = all(elements, |it| Some(it.as_f64()? as f32))?,
        "FP64" => contents.fp64_contents = all(elements, Value::as_f64)?,
        "BYTES" => contents.bytes_contents = all(elements, |it| Some(it.as_str()?.to_owned().into()))?,
        _ => return None,
    }
    Some(contents)
}

fn response(answer: &ModelInferResponse) -> Result<Value, Fault> {
    let raw = |index: usize| answer.raw_output_contents.get(index);
    let outputs: Result<Vec<Value>, Fault> = answer
        .outputs
        .iter()
        .enumerate()
        .map(|(index, output)| {
            let data = match raw(index) {
                Some(bytes) => unpack(&output.datatype, bytes),
                None => listed(output),
            };
            let data = data.ok_or_else(|| {
                let message = format!("output {} of type {} cannot be shown", output.name, output.datatype);
                Fault::new(Reason::TensorType, message)
            })?;
            Ok(json!({ "name": output.name, "datatype": output.datatype, "shape": output.shape, "data": data }))
        })
        .collect();
    Ok(json!({
        "model_name": answer.model_name, "model_version": answer.model_version, "id": answer.id, "outputs": outputs?,
    }))
}

fn listed(output: &InferOutputTensor) -> Option<Value> {
    let contents = output.contents.as_ref()?;
    Some(match output.datatype.as_str() {
        "BOOL" => json!(contents.bool_contents),
        "INT8" | "INT16" | "INT32" => json!(contents.int_contents),
        "INT64" => json!(contents.int64_contents),
        "UINT8" | "UINT16" | "UINT32" => json!(contents.uint_contents),
        "UINT64" => json!(contents.uint64_contents),
        "FP32" => json!(contents.fp32_contents),
        "FP64" => json!(contents.fp64_contents),
        "BYTES" => contents
            .bytes_contents
            .iter()
            .map(|text| Value::from(String::from_utf8_lossy(text)))
            .collect(),
        _ => return None,
    })
}

/// Little-endian elements as JSON numbers.
fn unpack(datatype: &str, bytes: &[u8]) -> Option<Value> {
    macro_rules! numbers {
        ($type:ty) => {{
            let (elements, []) = bytes.as_chunks::<{ size_of::<$type>() }>() else {
                return None;
            };
            elements
                .iter()
                .map(|element| json!(<$type>::from_le_bytes(*element)))
                .collect()
        }};
    }
    Some(match datatype {
        "BOOL" => bytes.iter().map(|byte| Value::from(*byte != 0)).collect(),
        "INT8" => numbers!(i8),
        "INT16" => numbers!(i16),
        "INT32" => numbers!(i32),
        "INT64" => numbers!(i64),
        "UINT8" => numbers!(u8),
        "UINT16" => numbers!(u16),
        "UINT32" => numbers!(u32),
        "UINT64" => numbers!(u64),
        "FP32" => numbers!(f32),
        "FP64" => numbers!(f64),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_become_lists_and_bytes_become_numbers() {
        let tensor =
            json!({ "name": "x", "datatype": "INT64", "shape": [1, 2], "data": [[9_007_199_254_740_993_i64, -1]] });
        let read = input(&tensor).expect("a tensor");
        assert_eq!(
            read.contents.expect("contents").int64_contents,
            [9_007_199_254_740_993, -1]
        );
        let wrong = json!({ "name": "x", "datatype": "INT64", "shape": [1], "data": ["a"] });
        assert_eq!(input(&wrong).expect_err("refused").reason, Reason::TensorData);
        assert_eq!(unpack("FP64", &1.5_f64.to_le_bytes()), Some(json!([1.5])));
        assert_eq!(unpack("FP64", &[0; 7]), None);
    }
}
