//! Outputs that come as lists, as those of a model without inputs do: as the bytes that all others come in.

use bytes::Bytes;
use lepton_domain::model::DataType;
use lepton_proto::inference::InferTensorContents;

/// The elements of a list, little-endian; none for types that have no list.
pub fn raw(datatype: DataType, lists: &InferTensorContents) -> Option<Bytes> {
    let size = datatype.size_bytes().unwrap_or_default();
    let bytes: Vec<u8> = match datatype {
        DataType::Bool => lists.bool_contents.iter().map(|it| u8::from(*it)).collect(),
        // The values are in range, so what is cut off says nothing.
        DataType::Int8 | DataType::Int16 | DataType::Int32 => cut(&lists.int_contents, size, i32::to_le_bytes),
        DataType::Uint8 | DataType::Uint16 | DataType::Uint32 => cut(&lists.uint_contents, size, u32::to_le_bytes),
        DataType::Int64 => lists.int64_contents.iter().flat_map(|it| it.to_le_bytes()).collect(),
        DataType::Uint64 => lists.uint64_contents.iter().flat_map(|it| it.to_le_bytes()).collect(),
        DataType::Fp32 => lists.fp32_contents.iter().flat_map(|it| it.to_le_bytes()).collect(),
        DataType::Fp64 => lists.fp64_contents.iter().flat_map(|it| it.to_le_bytes()).collect(),
        DataType::Bytes => {
            let mut bytes = Vec::new();
            for text in &lists.bytes_contents {
                bytes.extend_from_slice(&u32::try_from(text.len()).ok()?.to_le_bytes());
                bytes.extend_from_slice(text);
            }
            bytes
        }
        DataType::Fp16 | DataType::Bf16 => return None,
    };
    Some(bytes.into())
}

/// The low bytes of each value: the protocol has one list for all small integers.
fn cut<T: Copy>(list: &[T], size: usize, bytes: impl Fn(T) -> [u8; 4]) -> Vec<u8> {
    let mut out = Vec::with_capacity(list.len() * size);
    list.iter()
        .for_each(|value| out.extend_from_slice(&bytes(*value)[..size]));
    out
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
        let raw = |datatype| raw(datatype, &lists).map(|bytes| bytes.to_vec());
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
}
