//! Tensors from and in the protocol's typed lists, in which JSON and simple clients send and receive elements.
//!
//! Promises: as many texts as are limited. Leaves the lists themselves to [`lepton_proto::convert::inference::contents`].

use lepton_domain::model::{DataType, Tensor as TensorSpec};
use lepton_proto::convert::inference::contents::{ContentsError, check_lists, from_raw, to_raw};
use lepton_proto::inference::InferTensorContents;

use crate::model::tensor::{Data, Tensor, TensorError};

/// The most elements of a tensor of BYTES: each takes far more memory than its bytes on the way.
pub(super) const TEXTS_MAX: usize = 1 << 22;

/// Decodes a tensor from its lists.
pub(super) fn decode(
    expected: &TensorSpec,
    shape: Vec<usize>,
    contents: InferTensorContents,
) -> Result<Tensor, TensorError> {
    let (name, datatype) = (&expected.name, expected.datatype);
    check_lists(datatype, &contents).map_err(refused(name))?;
    if datatype == DataType::Bytes {
        check_text_count(name, contents.bytes_contents.len())?;
        return Tensor::texts(name, shape, contents.bytes_contents);
    }
    let raw = to_raw(datatype, &contents).map_err(refused(name))?;
    Tensor::raw(name, datatype, shape, raw)
}

/// Turns an error of a content into that of its tensor.
pub(super) fn refused(name: &str) -> impl Fn(ContentsError) -> TensorError {
    move |error| TensorError::data(name, error.to_string())
}

/// Fails for more texts than a tensor may have.
pub(super) fn check_text_count(name: &str, texts: usize) -> Result<(), TensorError> {
    if texts <= TEXTS_MAX {
        return Ok(());
    }
    let problem = format!("has {texts} elements of BYTES; {TEXTS_MAX} are taken at once, send them in several calls");
    Err(TensorError::data(name, problem))
}

/// Encodes the elements of a tensor in their list; `None` for a type that has none.
pub(super) fn encode(tensor: &Tensor) -> Option<InferTensorContents> {
    match tensor.data() {
        Data::Raw(raw) => from_raw(tensor.datatype(), raw),
        Data::Texts(texts) => Some(InferTensorContents {
            bytes_contents: texts.clone(),
            ..InferTensorContents::default()
        }),
    }
}
