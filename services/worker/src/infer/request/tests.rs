//! Every way in which a request can be wrong has its reason, and its message names the tensor.

use lepton_domain::model::DataType;

use lepton_domain::reason::{ApiError, Reason};

use super::*;

fn typed(name: &str, datatype: DataType) -> TensorSpec {
    TensorSpec {
        name: name.to_owned(),
        datatype,
        shape: vec![-1],
    }
}

fn signature(datatype: DataType) -> Signature {
    Signature {
        inputs: vec![typed("x", datatype)],
        outputs: vec![typed("y", datatype), typed("z", datatype)],
    }
}

fn input(datatype: DataType, elements: i64) -> InferInputTensor {
    InferInputTensor {
        name: "x".to_owned(),
        datatype: datatype.as_str().to_owned(),
        shape: vec![elements],
        ..InferInputTensor::default()
    }
}

fn raw(datatype: DataType, elements: i64, content: &[u8]) -> ModelInferRequest {
    ModelInferRequest {
        inputs: vec![input(datatype, elements)],
        raw_input_contents: vec![Bytes::copy_from_slice(content)],
        ..ModelInferRequest::default()
    }
}

fn listed(datatype: DataType, elements: i64, contents: InferTensorContents) -> ModelInferRequest {
    let mut input = input(datatype, elements);
    input.contents = Some(contents);
    ModelInferRequest {
        inputs: vec![input],
        ..ModelInferRequest::default()
    }
}

fn refused(datatype: DataType, request: ModelInferRequest) -> (Reason, String) {
    let error = ApiError::from(decode(&signature(datatype), request).unwrap_err());
    (error.reason, error.message)
}

#[test]
fn raw_contents_that_do_not_fit_are_refused() {
    let (reason, message) = refused(DataType::Fp32, raw(DataType::Fp32, 2, &[0; 7]));
    assert_eq!(reason, Reason::TensorData);
    assert_eq!(message, "tensor \"x\" has 7 bytes; FP32 of shape [2] takes 8");
    let mut two = raw(DataType::Fp32, 1, &[0; 4]);
    two.raw_input_contents.push(Bytes::new());
    assert_eq!(refused(DataType::Fp32, two).0, Reason::TensorData);
    let mut both = raw(DataType::Fp32, 1, &[0; 4]);
    both.inputs[0].contents = Some(InferTensorContents {
        fp32_contents: vec![1.0],
        ..Default::default()
    });
    let (reason, message) = refused(DataType::Fp32, both);
    assert_eq!(reason, Reason::TensorData);
    assert!(message.contains("both"), "{message}");
}

#[test]
fn texts_end_where_they_say() {
    let whole = [2, 0, 0, 0, b'a', b'b', 0, 0, 0, 0];
    let decoded = decode(&signature(DataType::Bytes), raw(DataType::Bytes, 2, &whole)).unwrap();
    assert_eq!(
        *decoded.inputs[0].data(),
        crate::model::tensor::Data::Texts(vec!["ab".into(), "".into()])
    );
    for (elements, content, words) in [
        (2, &whole[..8], "ends inside element 1"),
        (2, &whole[..5], "ends inside element 0"),
        (1, &whole[..], "4 bytes beyond its 1 elements"),
        (3, &whole[..], "has 2 texts; its shape is [3]"),
        (1, &[0xff, 0xff, 0xff, 0xff][..], "ends inside element 0"),
    ] {
        let (reason, message) = refused(DataType::Bytes, raw(DataType::Bytes, elements, content));
        assert_eq!(reason, Reason::TensorData);
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn lists_hold_what_their_type_holds() {
    let wide = InferTensorContents {
        int_contents: vec![1, 300],
        ..Default::default()
    };
    let (reason, message) = refused(DataType::Int8, listed(DataType::Int8, 2, wide.clone()));
    assert_eq!(reason, Reason::TensorData);
    assert_eq!(message, "tensor \"x\" has 300 as element 1; INT8 does not hold it");
    assert!(decode(&signature(DataType::Int16), listed(DataType::Int16, 2, wide.clone())).is_ok());
    let (_, message) = refused(DataType::Fp32, listed(DataType::Fp32, 2, wide));
    assert!(
        message.contains("`fp32_contents`; `int_contents` is filled"),
        "{message}"
    );
    let (_, message) = refused(
        DataType::Fp16,
        listed(DataType::Fp16, 1, InferTensorContents::default()),
    );
    assert!(message.contains("raw_input_contents"), "{message}");
    let (_, message) = refused(
        DataType::Fp64,
        listed(DataType::Fp64, 1, InferTensorContents::default()),
    );
    assert!(message.contains("has 0 bytes"), "{message}");
}

#[test]
fn only_outputs_of_the_model_are_given() {
    let wanting = |names: &[&str]| {
        let mut request = raw(DataType::Fp32, 1, &[0; 4]);
        let output = |name: &&str| InferRequestedOutputTensor {
            name: (*name).to_owned(),
            ..Default::default()
        };
        request.outputs = names.iter().map(output).collect();
        decode(&signature(DataType::Fp32), request)
    };
    let reason = |decoded: Result<DecodedRequest, Error>| ApiError::from(decoded.unwrap_err()).reason;
    assert_eq!(wanting(&[]).unwrap().outputs, [0, 1]);
    assert_eq!(wanting(&["z"]).unwrap().outputs, [1]);
    assert_eq!(reason(wanting(&["q"])), Reason::TensorUnknown);
    assert_eq!(reason(wanting(&["z", "z"])), Reason::FieldInvalid);
}

#[test]
fn what_is_not_built_says_so() {
    let mut request = raw(DataType::Fp32, 1, &[0; 4]);
    request.inputs[0]
        .parameters
        .insert("shared_memory_region".to_owned(), InferParameter::default());
    let (reason, message) = refused(DataType::Fp32, request);
    assert_eq!(reason, Reason::NotBuilt);
    assert!(message.contains("shared memory"), "{message}");
}

#[test]
fn what_is_made_of_a_request_counts_and_what_it_claims_does_not() {
    let plain = raw(DataType::Fp32, 1 << 40, &[0; 4_000]);
    assert_eq!(memory_bytes(&plain), plain.encoded_len());
    let texts = raw(DataType::Bytes, 1_000, &[0; 4_000]);
    assert_eq!(memory_bytes(&texts), texts.encoded_len() + 100_000);
    let lists = InferTensorContents {
        bool_contents: vec![true; 1_000],
        bytes_contents: vec![Bytes::new(); 10],
        ..Default::default()
    };
    let lists = listed(DataType::Bool, 1_000, lists);
    assert_eq!(memory_bytes(&lists), lists.encoded_len() + 8_000 + 1_000);
}

#[test]
fn texts_are_counted_before_they_are_made() {
    let count = contents::TEXTS_MAX as i64 + 1;
    let many = raw(DataType::Bytes, count, &vec![0; 4 * (contents::TEXTS_MAX + 1)]);
    let (reason, message) = refused(DataType::Bytes, many);
    assert_eq!(reason, Reason::TensorData);
    assert!(message.contains("\"x\" has 4194305 elements"), "{message}");
    let lists = InferTensorContents {
        bytes_contents: vec![Bytes::new(); contents::TEXTS_MAX + 1],
        ..Default::default()
    };
    let (reason, _) = refused(DataType::Bytes, listed(DataType::Bytes, count, lists));
    assert_eq!(reason, Reason::TensorData);
}
