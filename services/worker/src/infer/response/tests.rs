//! A request's tensors come back in the response: both forms, every type.

use lepton_domain::model::{DataType, Signature, Tensor as TensorSpec};
use lepton_proto::inference::ModelInferRequest;
use lepton_proto::inference::model_infer_request::InferInputTensor;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::request::decode;
use super::*;

/// A model that gives what it takes.
fn echo(datatype: DataType) -> Signature {
    let tensor = TensorSpec {
        name: "x".to_owned(),
        datatype,
        shape: vec![-1],
    };
    Signature {
        inputs: vec![tensor.clone()],
        outputs: vec![tensor],
    }
}

/// The answer as the next request.
fn asked_again(response: ModelInferResponse) -> ModelInferRequest {
    let input = |output: InferOutputTensor| InferInputTensor {
        name: output.name,
        datatype: output.datatype,
        shape: output.shape,
        contents: output.contents,
        ..InferInputTensor::default()
    };
    ModelInferRequest {
        inputs: response.outputs.into_iter().map(input).collect(),
        raw_input_contents: response.raw_output_contents,
        ..ModelInferRequest::default()
    }
}

fn tensor() -> impl Strategy<Value = Tensor> {
    (0..DataType::ALL.len(), vec(vec(any::<u8>(), 8), 1..20)).prop_map(|(place, elements)| {
        let (datatype, shape) = (DataType::ALL[place], vec![elements.len()]);
        let Some(size) = datatype.size_bytes() else {
            return Tensor::texts("x", shape, elements.into_iter().map(Bytes::from).collect()).unwrap();
        };
        let truth = if datatype == DataType::Bool { 1 } else { u8::MAX };
        let content: Vec<u8> = elements
            .iter()
            .flat_map(|element| &element[..size])
            .map(|byte| byte & truth)
            .collect();
        Tensor::raw("x", datatype, shape, content.into()).unwrap()
    })
}

proptest! {
    #[test]
    fn every_tensor_survives_both_forms(tensor in tensor(), raw: bool) {
        let response = encode(std::slice::from_ref(&tensor), raw).unwrap();
        let half = matches!(tensor.datatype(), DataType::Fp16 | DataType::Bf16);
        prop_assert_eq!(response.raw_output_contents.len(), usize::from(raw || half));
        let asked = decode(&echo(tensor.datatype()), asked_again(response)).unwrap();
        prop_assert_eq!(asked.inputs, vec![tensor]);
    }
}
