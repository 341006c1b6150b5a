//! Codec of the protocol's typed lists, in which JSON and simple clients send and receive elements.
//!
//! Promises: exactly the list that belongs to the data type is decoded, and exactly: a number that the type does not hold
//! is refused. Half precision has no list and comes raw.

use bytes::Bytes;
use lepton_domain::model::{DataType, Tensor as TensorSpec};
use lepton_proto::inference::InferTensorContents;

use crate::model::tensor::{Data, Tensor, TensorError};

/// Name of the list of texts.
const TEXTS: &str = "bytes_contents";
/// The most elements of a tensor of BYTES: each takes far more memory than its bytes on the way.
pub(super) const TEXTS_MAX: usize = 1 << 22;

/// Decodes a tensor from its lists.
pub(super) fn decode(
    expected: &TensorSpec,
    shape: Vec<usize>,
    contents: InferTensorContents,
) -> Result<Tensor, TensorError> {
    let TensorSpec { name, datatype, .. } = expected;
    let Some(list) = list_of(*datatype) else {
        let message = format!("is of {datatype}, which has no list in `contents`; send it in `raw_input_contents`");
        return Err(TensorError::data(name, message));
    };
    if let Some((other, _)) = lists(&contents)
        .into_iter()
        .find(|(other, length)| *other != list && *length > 0)
    {
        let message = format!("is of {datatype} and takes its elements in `{list}`; `{other}` is filled");
        return Err(TensorError::data(name, message));
    }
    let too_wide = |value: &dyn std::fmt::Display, at: usize| {
        TensorError::data(
            name,
            format!("has {value} as element {at}; {datatype} does not hold it"),
        )
    };
    let InferTensorContents {
        bool_contents,
        int_contents,
        int64_contents,
        uint_contents,
        uint64_contents,
        fp32_contents,
        fp64_contents,
        bytes_contents,
    } = contents;
    let content = match datatype {
        DataType::Bool => bool_contents.into_iter().map(u8::from).collect(),
        DataType::Int8 => narrow(
            &int_contents,
            |it| i8::try_from(it).ok().map(i8::to_le_bytes),
            &too_wide,
        )?,
        DataType::Int16 => narrow(
            &int_contents,
            |it| i16::try_from(it).ok().map(i16::to_le_bytes),
            &too_wide,
        )?,
        DataType::Int32 => int_contents.into_iter().flat_map(i32::to_le_bytes).collect(),
        DataType::Int64 => int64_contents.into_iter().flat_map(i64::to_le_bytes).collect(),
        DataType::Uint8 => narrow(
            &uint_contents,
            |it| u8::try_from(it).ok().map(u8::to_le_bytes),
            &too_wide,
        )?,
        DataType::Uint16 => narrow(
            &uint_contents,
            |it| u16::try_from(it).ok().map(u16::to_le_bytes),
            &too_wide,
        )?,
        DataType::Uint32 => uint_contents.into_iter().flat_map(u32::to_le_bytes).collect(),
        DataType::Uint64 => uint64_contents.into_iter().flat_map(u64::to_le_bytes).collect(),
        DataType::Fp32 => fp32_contents.into_iter().flat_map(f32::to_le_bytes).collect(),
        DataType::Fp64 => fp64_contents.into_iter().flat_map(f64::to_le_bytes).collect(),
        DataType::Fp16 | DataType::Bf16 => Vec::new(),
        DataType::Bytes => {
            check_text_count(name, bytes_contents.len())?;
            return Tensor::texts(name, shape, bytes_contents);
        }
    };
    Tensor::raw(name, *datatype, shape, content.into())
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
    let mut contents = InferTensorContents::default();
    let raw: &Bytes = match tensor.data() {
        Data::Texts(texts) => {
            contents.bytes_contents = texts.clone();
            return Some(contents);
        }
        Data::Raw(raw) => raw,
    };
    match tensor.datatype() {
        DataType::Bool => contents.bool_contents = raw.iter().map(|byte| *byte != 0).collect(),
        DataType::Int8 => contents.int_contents = raw.iter().map(|byte| byte.cast_signed().into()).collect(),
        DataType::Int16 => contents.int_contents = each(raw, |bytes| i16::from_le_bytes(bytes).into()),
        DataType::Int32 => contents.int_contents = each(raw, i32::from_le_bytes),
        DataType::Int64 => contents.int64_contents = each(raw, i64::from_le_bytes),
        DataType::Uint8 => contents.uint_contents = raw.iter().map(|byte| u32::from(*byte)).collect(),
        DataType::Uint16 => contents.uint_contents = each(raw, |bytes| u16::from_le_bytes(bytes).into()),
        DataType::Uint32 => contents.uint_contents = each(raw, u32::from_le_bytes),
        DataType::Uint64 => contents.uint64_contents = each(raw, u64::from_le_bytes),
        DataType::Fp32 => contents.fp32_contents = each(raw, f32::from_le_bytes),
        DataType::Fp64 => contents.fp64_contents = each(raw, f64::from_le_bytes),
        DataType::Fp16 | DataType::Bf16 | DataType::Bytes => return None,
    }
    Some(contents)
}

/// Name of a data type's list; `None` where there is none.
fn list_of(datatype: DataType) -> Option<&'static str> {
    Some(match datatype {
        DataType::Bool => "bool_contents",
        DataType::Int8 | DataType::Int16 | DataType::Int32 => "int_contents",
        DataType::Int64 => "int64_contents",
        DataType::Uint8 | DataType::Uint16 | DataType::Uint32 => "uint_contents",
        DataType::Uint64 => "uint64_contents",
        DataType::Fp32 => "fp32_contents",
        DataType::Fp64 => "fp64_contents",
        DataType::Bytes => TEXTS,
        DataType::Fp16 | DataType::Bf16 => return None,
    })
}

/// Number of entries in all lists, texts left out.
pub(super) fn entries(contents: &InferTensorContents) -> usize {
    let lists = lists(contents).into_iter();
    lists.map(|(list, length)| if list == TEXTS { 0 } else { length }).sum()
}

/// Names of all lists, with their lengths.
fn lists(contents: &InferTensorContents) -> [(&'static str, usize); 8] {
    [
        ("bool_contents", contents.bool_contents.len()),
        ("int_contents", contents.int_contents.len()),
        ("int64_contents", contents.int64_contents.len()),
        ("uint_contents", contents.uint_contents.len()),
        ("uint64_contents", contents.uint64_contents.len()),
        ("fp32_contents", contents.fp32_contents.len()),
        ("fp64_contents", contents.fp64_contents.len()),
        (TEXTS, contents.bytes_contents.len()),
    ]
}

/// Narrows the entries of a list to a type that is narrower than they are.
fn narrow<T: Copy + std::fmt::Display, const N: usize>(
    list: &[T],
    bytes: impl Fn(T) -> Option<[u8; N]>,
    too_wide: &dyn Fn(&dyn std::fmt::Display, usize) -> TensorError,
) -> Result<Vec<u8>, TensorError> {
    let mut content = Vec::with_capacity(list.len() * N);
    for (at, value) in list.iter().enumerate() {
        content.extend_from_slice(&bytes(*value).ok_or_else(|| too_wide(value, at))?);
    }
    Ok(content)
}

fn each<T, const N: usize>(raw: &Bytes, decode: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks::<N>().0.iter().map(|bytes| decode(*bytes)).collect()
}
