//! Bodies that are nothing but the content of a model's only input.
//!
//! Triton's extension, too, announced by a JSON length of 0. Only models whose shapes leave one question open can take it.
//!
//! Promises: the shape follows from the model's and the body's length, or the body is refused. Leaves knowing the model to
//! its caller.

use std::collections::BTreeMap;

use bytes::{BufMut as _, Bytes, BytesMut};
use lepton_domain::model::DataType;
use lepton_domain::reason::ApiError;
use lepton_proto::inference::model_infer_request::InferInputTensor;
use lepton_proto::inference::model_metadata_response::TensorMetadata;

use super::{Asked, Form};
use crate::v2::error::RequestError;

/// Decodes a body without JSON for a model with these inputs.
pub fn read(body: Bytes, inputs: &[TensorMetadata]) -> Result<Asked, ApiError> {
    let [input] = inputs else {
        return Err(RequestError::InputCount(inputs.len()).into());
    };
    let datatype: DataType = input.datatype.parse().map_err(RequestError::RecordedType)?;
    let (shape, content) = match datatype.size_bytes() {
        Some(size) => (shape(input, size, body.len())?, body),
        None => (one(input)?, text(&body)),
    };
    Ok(Asked {
        inputs: vec![InferInputTensor {
            name: input.name.clone(),
            datatype: input.datatype.clone(),
            shape,
            ..Default::default()
        }],
        contents: vec![content],
        // Who sends bytes alone reads bytes; there is no place where the caller could say otherwise.
        form: Form {
            binary: true,
            by_output: BTreeMap::new(),
        },
        ..Default::default()
    })
}

/// The shape that so many bytes have.
fn shape(input: &TensorMetadata, size: usize, length: usize) -> Result<Vec<i64>, RequestError> {
    let known = input.shape.iter().filter(|dimension| **dimension >= 0);
    let bytes = known.fold(size, |bytes, dimension| {
        bytes.saturating_mul(usize::try_from(*dimension).unwrap_or(usize::MAX))
    });
    let open = input.shape.iter().filter(|dimension| **dimension < 0).count();
    let entries = match open {
        0 if bytes == length => 1,
        1 if bytes > 0 && length.is_multiple_of(bytes) => length / bytes,
        0 | 1 => {
            let takes = if open == 0 { "" } else { "a multiple of " };
            return Err(refused(input, &format!("takes {takes}{bytes} bytes; {length} came")));
        }
        _ => {
            return Err(refused(
                input,
                "has more than one open dimension; say its shape in JSON",
            ));
        }
    };
    let entries = i64::try_from(entries).expect("a body lies in memory");
    let told = input.shape.iter();
    Ok(told
        .map(|dimension| if *dimension < 0 { entries } else { *dimension })
        .collect())
}

/// The shape of a single text.
fn one(input: &TensorMetadata) -> Result<Vec<i64>, RequestError> {
    match input.shape.iter().all(|dimension| matches!(dimension, -1 | 1)) {
        true => Ok(vec![1; input.shape.len()]),
        false => Err(refused(input, "takes more than one text; say them in JSON")),
    }
}

/// The body as the single element that the protocol would put a length before.
fn text(body: &Bytes) -> Bytes {
    let length = u32::try_from(body.len()).expect("bodies are bounded far below 4 GiB");
    let mut content = BytesMut::with_capacity(4 + body.len());
    content.put_u32_le(length);
    content.put_slice(body);
    content.freeze()
}

fn refused(input: &TensorMetadata, why: &str) -> RequestError {
    let (name, datatype, shape) = (&input.name, &input.datatype, &input.shape);
    RequestError::data(name, format!("input {name:?}, {datatype} {shape:?}, {why}"))
}

#[cfg(test)]
mod tests {
    use lepton_domain::reason::Reason;

    use super::*;

    fn input(datatype: &str, shape: &[i64]) -> TensorMetadata {
        TensorMetadata {
            name: "x".into(),
            datatype: datatype.into(),
            shape: shape.to_vec(),
        }
    }

    fn take(datatype: &str, shape: &[i64], body: &'static [u8]) -> Result<(Vec<i64>, Bytes), ApiError> {
        let asked = read(Bytes::from_static(body), &[input(datatype, shape)])?;
        assert!(asked.form.is_binary("y"));
        Ok((asked.inputs[0].shape.clone(), asked.contents[0].clone()))
    }

    #[test]
    fn the_open_dimension_follows_from_the_length() {
        let shape = |datatype, shape: &[i64], body| take(datatype, shape, body).expect("it fits").0;
        assert_eq!(shape("FP32", &[-1, 2], b"12345678abcdefgh"), [2, 2]);
        assert_eq!(shape("FP32", &[-1], b""), [0]);
        assert_eq!(shape("UINT8", &[1, 3], b"123"), [1, 3]);
        let (shape, content) = take("BYTES", &[-1], b"text").expect("it fits");
        assert_eq!((shape, &content[..]), (vec![1], &b"\x04\0\0\0text"[..]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let reason = |datatype, shape: &[i64], body| take(datatype, shape, body).expect_err("refused").reason;
        assert_eq!(reason("FP32", &[-1, 2], b"1234567"), Reason::TensorData);
        assert_eq!(reason("FP32", &[2], b"1234"), Reason::TensorData);
        assert_eq!(reason("FP32", &[-1, -1], b"1234"), Reason::TensorData);
        assert_eq!(reason("FP32", &[-1, 0], b"1234"), Reason::TensorData);
        assert_eq!(reason("BYTES", &[2], b"1234"), Reason::TensorData);
        let two = [input("INT8", &[1]), input("INT8", &[1])];
        let error = read(Bytes::new(), &two).expect_err("two inputs");
        assert_eq!(error.reason, Reason::TensorMissing);
    }
}
