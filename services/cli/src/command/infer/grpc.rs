//! The same request over gRPC: a request of the Open Inference Protocol in JSON, as its protobuf message and back.
//!
//! Promises: numbers go as they stand, 64-bit integers without a detour over doubles. Leaves checking them against the
//! model to the mesh.

use lepton_core::error;
use lepton_domain::reason::{ApiError, Reason};
use lepton_proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use lepton_proto::inference::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use lepton_proto::inference::model_infer_response::InferOutputTensor;
use lepton_proto::inference::{InferTensorContents, ModelInferRequest, ModelInferResponse};
use serde_json::{Value, json};

use super::super::Session;
use crate::args::model::Infer;
use crate::client::within;

/// Sends the request; gives the answer in the form that REST has.
pub(super) async fn call(session: &Session, args: &Infer, written: &str) -> Result<String, ApiError> {
    let request = request(args, written)?;
    let channel = session.context.net.channel(session.client.authority());
    let answer = GrpcInferenceServiceClient::new(channel)
        .model_infer(within(request))
        .await;
    response(&answer.map_err(|status| error::from_status(&status))?.into_inner())
}

fn request(args: &Infer, written: &str) -> Result<ModelInferRequest, ApiError> {
    let parsed: Value = serde_json::from_str(written)
        .map_err(|error| ApiError::new(Reason::InvalidJson, format!("the request is not JSON: {error}")))?;
    let inputs = parsed["inputs"]
        .as_array()
        .ok_or_else(|| ApiError::new(Reason::TensorMissing, "the request has no array `inputs`"))?;
    let requested = parsed["outputs"].as_array().into_iter().flatten();
    let output = |requested: &Value| InferRequestedOutputTensor {
        name: requested["name"].as_str().unwrap_or_default().to_owned(),
        ..InferRequestedOutputTensor::default()
    };
    Ok(ModelInferRequest {
        model_name: args.model.clone(),
        model_version: args.version.map(|version| version.to_string()).unwrap_or_default(),
        id: parsed["id"].as_str().unwrap_or_default().to_owned(),
        inputs: inputs.iter().map(input).collect::<Result<_, _>>()?,
        outputs: requested.map(output).collect(),
        ..ModelInferRequest::default()
    })
}

fn input(tensor: &Value) -> Result<InferInputTensor, ApiError> {
    let name = tensor["name"].as_str().unwrap_or_default();
    let datatype = tensor["datatype"].as_str().unwrap_or_default();
    let wrong = || {
        let message =
            format!("input {name:?}: `data` does not hold what {datatype:?} does, or `shape` is no list of sizes");
        ApiError::new(Reason::TensorData, message)
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

/// The answer as REST writes it, to the letter.
fn response(answer: &ModelInferResponse) -> Result<String, ApiError> {
    let outputs = answer.outputs.iter().enumerate().map(|(index, output)| {
        let data = match answer.raw_output_contents.get(index) {
            Some(bytes) => unpack(&output.datatype, bytes),
            None => listed(output),
        };
        let data = data.ok_or_else(|| {
            let message = format!("output {} of type {} cannot be shown", output.name, output.datatype);
            ApiError::new(Reason::TensorType, message)
        })?;
        let (name, datatype, shape) = (json!(output.name), json!(output.datatype), json!(output.shape));
        let data = data.join(",");
        Ok(format!(
            r#"{{"name":{name},"datatype":{datatype},"shape":{shape},"data":[{data}]}}"#
        ))
    });
    let outputs = outputs.collect::<Result<Vec<String>, ApiError>>()?.join(",");
    let id = match answer.id.as_str() {
        "" => String::new(),
        id => format!(r#""id":{},"#, json!(id)),
    };
    let (name, version) = (json!(answer.model_name), json!(answer.model_version));
    Ok(format!(
        r#"{{{id}"model_name":{name},"model_version":{version},"outputs":[{outputs}]}}"#
    ))
}

fn listed(output: &InferOutputTensor) -> Option<Vec<String>> {
    fn all<T: ToString>(elements: &[T]) -> Vec<String> {
        elements.iter().map(ToString::to_string).collect()
    }
    let contents = output.contents.as_ref()?;
    Some(match output.datatype.as_str() {
        "BOOL" => all(&contents.bool_contents),
        "INT8" | "INT16" | "INT32" => all(&contents.int_contents),
        "INT64" => all(&contents.int64_contents),
        "UINT8" | "UINT16" | "UINT32" => all(&contents.uint_contents),
        "UINT64" => all(&contents.uint64_contents),
        "FP32" => contents.fp32_contents.iter().map(|it| float((*it).into())).collect(),
        "FP64" => contents.fp64_contents.iter().map(|it| float(*it)).collect(),
        "BYTES" => contents.bytes_contents.iter().map(|text| quoted(text)).collect(),
        _ => return None,
    })
}

/// Elements as they lie in bytes, little-endian.
fn unpack(datatype: &str, bytes: &[u8]) -> Option<Vec<String>> {
    macro_rules! numbers {
        ($type:ty, $show:expr) => {{
            let (elements, []) = bytes.as_chunks::<{ size_of::<$type>() }>() else {
                return None;
            };
            let numbers = elements.iter().map(|element| <$type>::from_le_bytes(*element));
            numbers.map($show).collect()
        }};
    }
    Some(match datatype {
        "BOOL" => bytes.iter().map(|byte| (*byte != 0).to_string()).collect(),
        "INT8" => numbers!(i8, |it| it.to_string()),
        "INT16" => numbers!(i16, |it| it.to_string()),
        "INT32" => numbers!(i32, |it| it.to_string()),
        "INT64" => numbers!(i64, |it| it.to_string()),
        "UINT8" => numbers!(u8, |it| it.to_string()),
        "UINT16" => numbers!(u16, |it| it.to_string()),
        "UINT32" => numbers!(u32, |it| it.to_string()),
        "UINT64" => numbers!(u64, |it| it.to_string()),
        "FP32" => numbers!(f32, |it| float(it.into())),
        "FP64" => numbers!(f64, float),
        "BYTES" => texts(bytes)?,
        _ => return None,
    })
}

/// Texts, each after its length.
fn texts(mut bytes: &[u8]) -> Option<Vec<String>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (text, rest) = rest.split_at_checked(length)?;
        found.push(quoted(text));
        bytes = rest;
    }
    Some(found)
}

fn quoted(text: &[u8]) -> String {
    json!(String::from_utf8_lossy(text)).to_string()
}

/// The shortest text that reads back as the same; whole numbers without a fraction, but for the sign of a negative zero.
fn float(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let text = format!("{number:?}");
    match text.strip_suffix(".0") {
        Some(whole) if whole != "-0" => whole.to_owned(),
        _ => text,
    }
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
        assert_eq!(unpack("FP64", &[0; 7]), None);
        assert_eq!(unpack("BYTES", b"\x02\0\0\0k"), None);
    }

    #[test]
    fn an_answer_reads_as_over_rest() {
        let output = |name: &str, datatype: &str| InferOutputTensor {
            name: name.to_owned(),
            datatype: datatype.to_owned(),
            shape: vec![2],
            ..InferOutputTensor::default()
        };
        let floats = [-0.0_f32, 3.0].iter().flat_map(|number| number.to_le_bytes());
        let mut answer = ModelInferResponse {
            model_name: "m".to_owned(),
            model_version: "3".to_owned(),
            outputs: vec![output("y", "FP32"), output("z", "BYTES")],
            raw_output_contents: vec![floats.collect::<Vec<u8>>().into(), b"\x01\0\0\0k\0\0\0\0"[..].into()],
            ..ModelInferResponse::default()
        };
        assert_eq!(
            response(&answer).expect("an answer"),
            r#"{"model_name":"m","model_version":"3","outputs":[{"name":"y","datatype":"FP32","shape":[2],"data":[-0.0,3]},{"name":"z","datatype":"BYTES","shape":[2],"data":["k",""]}]}"#
        );
        answer.id = "a \"b\"".to_owned();
        assert!(
            response(&answer)
                .expect("an answer")
                .starts_with(r#"{"id":"a \"b\"","model_name""#)
        );
        let shown = [f64::NAN, f64::NEG_INFINITY, 0.1, 1e300, -2.0].map(float);
        assert_eq!(shown, ["NaN", "-Infinity", "0.1", "1e300", "-2"]);
    }
}
