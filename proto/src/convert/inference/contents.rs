//! Elements of tensors in the two forms of the Open Inference Protocol: typed lists, and little-endian bytes.
//!
//! Promises: exact; a number that the type does not hold is refused, and a claimed count takes memory only as far as the bytes
//! could hold it. Half precision has no list. Leaves shapes and limits to the receiver.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use lepton_domain::model::DataType;

use crate::inference::InferTensorContents;

/// Bytes of the length before each element of a raw tensor of BYTES.
pub const LENGTH_BYTES: usize = 4;
/// Name of the list of texts.
const TEXTS: &str = "bytes_contents";

/// A content that its data type does not have; reads on after the tensor's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentsError {
    /// The type has no list.
    #[error("is of {0}, which has no list in `contents`; send it in `raw_input_contents`")]
    NoList(DataType),
    /// The list of another type is filled.
    #[error("is of {datatype} and takes its elements in `{list}`; `{filled}` is filled")]
    OtherList {
        /// The type.
        datatype: DataType,
        /// Its list.
        list: &'static str,
        /// The filled one.
        filled: &'static str,
    },
    /// A number that the type does not hold.
    #[error("has {value} as element {at}; {datatype} does not hold it")]
    TooWide {
        /// The number.
        value: i64,
        /// Its place.
        at: usize,
        /// The type.
        datatype: DataType,
    },
    /// Bytes behind the last text.
    #[error("has {bytes} bytes beyond its {count} elements")]
    Beyond {
        /// Their number.
        bytes: usize,
        /// The number of texts.
        count: usize,
    },
    /// Bytes that end too early.
    #[error("ends inside element {element}: byte {at} needs {needs} more")]
    CutOff {
        /// The text.
        element: usize,
        /// Offset of its length.
        at: usize,
        /// Bytes that its length, or what follows it, takes.
        needs: usize,
    },
    /// A text that no length can stand before.
    #[error("has an element over 4 GiB, which no length prefix holds")]
    TooLong,
}

/// Checks that only the list of the data type is filled.
pub fn check_lists(datatype: DataType, contents: &InferTensorContents) -> Result<(), ContentsError> {
    let list = list_of(datatype).ok_or(ContentsError::NoList(datatype))?;
    let mut others = lists(contents).into_iter().filter(|(name, _)| *name != list);
    match others.find(|(_, length)| *length > 0) {
        None => Ok(()),
        Some((filled, _)) => Err(ContentsError::OtherList { datatype, list, filled }),
    }
}

/// Number of entries in all lists, texts left out.
pub fn entries(contents: &InferTensorContents) -> usize {
    let lists = lists(contents).into_iter();
    lists.map(|(list, length)| if list == TEXTS { 0 } else { length }).sum()
}

/// Elements of the list of a data type, as bytes.
pub fn to_raw(datatype: DataType, contents: &InferTensorContents) -> Result<Bytes, ContentsError> {
    let (ints, uints) = (&contents.int_contents, &contents.uint_contents);
    let raw = match datatype {
        DataType::Bool => contents.bool_contents.iter().map(|flag| u8::from(*flag)).collect(),
        DataType::Int8 => narrow(datatype, ints, |it| i8::try_from(it).ok().map(i8::to_le_bytes))?,
        DataType::Int16 => narrow(datatype, ints, |it| i16::try_from(it).ok().map(i16::to_le_bytes))?,
        DataType::Int32 => flat(ints, i32::to_le_bytes),
        DataType::Int64 => flat(&contents.int64_contents, i64::to_le_bytes),
        DataType::Uint8 => narrow(datatype, uints, |it| u8::try_from(it).ok().map(u8::to_le_bytes))?,
        DataType::Uint16 => narrow(datatype, uints, |it| u16::try_from(it).ok().map(u16::to_le_bytes))?,
        DataType::Uint32 => flat(uints, u32::to_le_bytes),
        DataType::Uint64 => flat(&contents.uint64_contents, u64::to_le_bytes),
        DataType::Fp32 => flat(&contents.fp32_contents, f32::to_le_bytes),
        DataType::Fp64 => flat(&contents.fp64_contents, f64::to_le_bytes),
        DataType::Bytes => return pack(&contents.bytes_contents),
        DataType::Fp16 | DataType::Bf16 => return Err(ContentsError::NoList(datatype)),
    };
    Ok(raw.into())
}

/// Elements in the list of a data type; `None` for a type that has none, and for texts, which are [`pack`]ed.
pub fn from_raw(datatype: DataType, raw: &Bytes) -> Option<InferTensorContents> {
    let mut contents = InferTensorContents::default();
    match datatype {
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

/// Texts as the bytes of a tensor of BYTES, each with its length before it.
pub fn pack(texts: &[Bytes]) -> Result<Bytes, ContentsError> {
    let bytes: usize = texts.iter().map(|text| LENGTH_BYTES + text.len()).sum();
    let mut raw = BytesMut::with_capacity(bytes);
    for text in texts {
        raw.put_u32_le(u32::try_from(text.len()).map_err(|_| ContentsError::TooLong)?);
        raw.put_slice(text);
    }
    Ok(raw.freeze())
}

/// The at most `count` texts of a tensor of BYTES, the inverse of [`pack`].
pub fn unpack(count: usize, mut raw: Bytes) -> Result<Vec<Bytes>, ContentsError> {
    let bytes = raw.len();
    let mut texts = Vec::with_capacity(count.min(bytes / LENGTH_BYTES));
    while raw.has_remaining() {
        let (element, at) = (texts.len(), bytes - raw.remaining());
        if element == count {
            let bytes = raw.remaining();
            return Err(ContentsError::Beyond { bytes, count });
        }
        let cut_off = |needs| ContentsError::CutOff { element, at, needs };
        if raw.remaining() < LENGTH_BYTES {
            return Err(cut_off(LENGTH_BYTES));
        }
        let length = usize::try_from(raw.get_u32_le()).unwrap_or(usize::MAX);
        if raw.remaining() < length {
            return Err(cut_off(length));
        }
        texts.push(raw.split_to(length));
    }
    Ok(texts)
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
fn narrow<T: Copy + Into<i64>, const N: usize>(
    datatype: DataType,
    list: &[T],
    bytes: impl Fn(T) -> Option<[u8; N]>,
) -> Result<Vec<u8>, ContentsError> {
    let mut raw = Vec::with_capacity(list.len() * N);
    for (at, value) in list.iter().copied().enumerate() {
        let narrowed = bytes(value).ok_or_else(|| ContentsError::TooWide {
            value: value.into(),
            at,
            datatype,
        })?;
        raw.extend_from_slice(&narrowed);
    }
    Ok(raw)
}

fn flat<T: Copy, const N: usize>(list: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    list.iter().flat_map(|value| bytes(*value)).collect()
}

fn each<T, const N: usize>(raw: &Bytes, decode: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks::<N>().0.iter().map(|bytes| decode(*bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_become_little_endian_bytes() {
        let lists = InferTensorContents {
            bool_contents: vec![true, false],
            int_contents: vec![-2, 127],
            uint_contents: vec![255],
            int64_contents: vec![i64::MIN],
            uint64_contents: vec![u64::MAX],
            fp32_contents: vec![0.5],
            fp64_contents: vec![0.1],
            bytes_contents: vec![Bytes::from_static(b"ab"), Bytes::new()],
        };
        let raw = |datatype| to_raw(datatype, &lists).ok().map(|bytes| bytes.to_vec());
        assert_eq!(raw(DataType::Bool), Some(vec![1, 0]));
        assert_eq!(raw(DataType::Int8), Some(vec![0xfe, 127]));
        assert_eq!(raw(DataType::Int16), Some(vec![0xfe, 0xff, 127, 0]));
        assert_eq!(raw(DataType::Uint32), Some(vec![255, 0, 0, 0]));
        assert_eq!(raw(DataType::Int64), Some(i64::MIN.to_le_bytes().to_vec()));
        assert_eq!(raw(DataType::Uint64), Some(vec![255; 8]));
        assert_eq!(raw(DataType::Fp32), Some(0.5_f32.to_le_bytes().to_vec()));
        assert_eq!(raw(DataType::Fp64), Some(0.1_f64.to_le_bytes().to_vec()));
        assert_eq!(raw(DataType::Bytes), Some(b"\x02\0\0\0ab\0\0\0\0".to_vec()));
        assert_eq!(raw(DataType::Fp16), None);
    }

    #[test]
    fn packed_texts_are_unpacked_and_broken_ones_refused() {
        let texts = [Bytes::from_static(b"ab"), Bytes::new()];
        let raw = pack(&texts).expect("short");
        assert_eq!(unpack(2, raw.clone()), Ok(texts.to_vec()));
        assert_eq!(
            unpack(1, raw.clone()),
            Err(ContentsError::Beyond { bytes: 4, count: 1 })
        );
        let cut_off = |element, at, needs| Err(ContentsError::CutOff { element, at, needs });
        assert_eq!(unpack(usize::MAX, raw.slice(..5)), cut_off(0, 0, 2));
        assert_eq!(unpack(usize::MAX, raw.slice(..7)), cut_off(1, 6, 4));
    }
}
