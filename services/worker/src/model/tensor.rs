//! Tensors between callers and backends: plain bytes in row-major order, little-endian, or texts.
//!
//! Promises: a tensor that exists has as many elements as its shape has, and only zeros and ones where it is of truth
//! values. Leaves the expectations of a model to [`signature`](super::signature).

use bytes::Bytes;
use lepton_domain::model::DataType;

pub(crate) use error::{SharedDimension, TensorError};

mod error;

#[cfg(target_endian = "big")]
compile_error!("tensors are little-endian bytes, which are handed to backends as they are");

/// Elements of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Elements of a type with one size.
    Raw(Bytes),
    /// Elements of type BYTES.
    Texts(Vec<Bytes>),
}

/// A tensor with its elements.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    name: String,
    datatype: DataType,
    shape: Vec<usize>,
    data: Data,
}

impl Tensor {
    /// A tensor of elements with one size. Fails when there are more or fewer bytes than the shape needs.
    pub fn raw(name: &str, datatype: DataType, shape: Vec<usize>, content: Bytes) -> Result<Self, TensorError> {
        let Some(size) = datatype.size_bytes() else {
            return Err(TensorError::data(name, "is of BYTES, which have no common size"));
        };
        let count = element_count(&shape);
        let expected = count.and_then(|count| count.checked_mul(size));
        if expected != Some(content.len()) {
            let needed = expected.map_or_else(|| "more than memory has".to_owned(), |bytes| bytes.to_string());
            let why = format!(
                "has {} bytes; {datatype} of shape {shape:?} takes {needed}",
                content.len()
            );
            return Err(TensorError::data(name, why));
        }
        if datatype == DataType::Bool
            && let Some(at) = content.iter().position(|byte| *byte > 1)
        {
            let why = format!("has {} as element {at}; BOOL takes 0 and 1", content[at]);
            return Err(TensorError::data(name, why));
        }
        Ok(Self {
            name: name.to_owned(),
            datatype,
            shape,
            data: Data::Raw(content),
        })
    }

    /// A tensor of type BYTES. Fails when there are more or fewer texts than the shape needs.
    pub fn texts(name: &str, shape: Vec<usize>, texts: Vec<Bytes>) -> Result<Self, TensorError> {
        if element_count(&shape) != Some(texts.len()) {
            return Err(TensorError::data(
                name,
                format!("has {} texts; its shape is {shape:?}", texts.len()),
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            datatype: DataType::Bytes,
            shape,
            data: Data::Texts(texts),
        })
    }

    /// A tensor of doubles, in a floating-point or integer type that holds them; for callers that have columns of numbers.
    /// Fails with [`TensorError::NotNumeric`] where the type has no numbers, and with [`TensorError::Data`] for a number
    /// that the type does not hold.
    pub fn from_numbers(
        name: &str,
        datatype: DataType,
        shape: Vec<usize>,
        numbers: impl Iterator<Item = f64>,
    ) -> Result<Self, TensorError> {
        let mut content = Vec::with_capacity(numbers.size_hint().0 * datatype.size_bytes().unwrap_or(0));
        for (at, number) in numbers.enumerate() {
            if !put_number(name, datatype, number, &mut content)? {
                let why = format!("has {number} as element {at}; {datatype} does not hold it");
                return Err(TensorError::data(name, why));
            }
        }
        Self::raw(name, datatype, shape, content.into())
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn datatype(&self) -> DataType {
        self.datatype
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Elements as doubles; `None` where they are no numbers.
    pub fn numbers(&self) -> Option<Vec<f64>> {
        let Data::Raw(content) = &self.data else { return None };
        let size = self.datatype.size_bytes()?;
        content
            .chunks_exact(size)
            .map(|bytes| number(self.datatype, bytes))
            .collect()
    }
}

/// Number of elements of a shape; `None` for more than a computer can count.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1_usize, |count, dimension| count.checked_mul(*dimension))
}

macro_rules! put_number {
    ($name:expr, $number:expr, $content:expr, $datatype:expr, whole $($whole:ident => $type:ty),*;
     broken $($broken:ident => $of:expr),*) => {
        match $datatype {
            $(DataType::$whole => {
                let whole = $number as $type;
                // As large integers too: at the ends of a type, doubles are sparser than integers.
                if whole as f64 != $number || i128::from(whole) != $number as i128 {
                    return Ok(false);
                }
                $content.extend_from_slice(&whole.to_le_bytes());
            })*
            $(DataType::$broken => {
                let near = $of($number);
                if near.is_infinite() && $number.is_finite() {
                    return Ok(false);
                }
                $content.extend_from_slice(&near.to_le_bytes());
            })*
            DataType::Bool | DataType::Bytes => {
                return Err(TensorError::NotNumeric {
                    name: $name.to_owned(),
                    datatype: $datatype,
                });
            }
        }
    };
}

/// Appends a number to a content, unless the type does not hold it.
fn put_number(name: &str, datatype: DataType, number: f64, content: &mut Vec<u8>) -> Result<bool, TensorError> {
    put_number!(name, number, content, datatype,
        whole Uint8 => u8, Uint16 => u16, Uint32 => u32, Uint64 => u64, Int8 => i8, Int16 => i16, Int32 => i32,
            Int64 => i64;
        broken Fp16 => half::f16::from_f64, Bf16 => half::bf16::from_f64, Fp32 => |number: f64| number as f32,
            Fp64 => f64::from);
    Ok(true)
}

/// Reads one element as a double; `None` where it is no number. 64-bit integers beyond 2^53 are rounded.
fn number(datatype: DataType, bytes: &[u8]) -> Option<f64> {
    Some(match datatype {
        DataType::Uint8 => f64::from(*bytes.first()?),
        DataType::Int8 => f64::from(bytes.first()?.cast_signed()),
        DataType::Uint16 => f64::from(u16::from_le_bytes(bytes.try_into().ok()?)),
        DataType::Int16 => f64::from(i16::from_le_bytes(bytes.try_into().ok()?)),
        DataType::Uint32 => f64::from(u32::from_le_bytes(bytes.try_into().ok()?)),
        DataType::Int32 => f64::from(i32::from_le_bytes(bytes.try_into().ok()?)),
        DataType::Uint64 => u64::from_le_bytes(bytes.try_into().ok()?) as f64,
        DataType::Int64 => i64::from_le_bytes(bytes.try_into().ok()?) as f64,
        DataType::Fp16 => half::f16::from_le_bytes(bytes.try_into().ok()?).to_f64(),
        DataType::Bf16 => half::bf16::from_le_bytes(bytes.try_into().ok()?).to_f64(),
        DataType::Fp32 => f64::from(f32::from_le_bytes(bytes.try_into().ok()?)),
        DataType::Fp64 => f64::from_le_bytes(bytes.try_into().ok()?),
        DataType::Bool | DataType::Bytes => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_fits_its_shape() {
        let made = |bytes: Vec<u8>| Tensor::raw("x", DataType::Fp32, vec![2], bytes.into());
        assert!(made(vec![0; 8]).is_ok());
        let error = made(vec![0; 7]).unwrap_err();
        assert!(matches!(error, TensorError::Data { .. }));
        assert_eq!(error.to_string(), "tensor \"x\" has 7 bytes; FP32 of shape [2] takes 8");
        let huge = Tensor::raw("x", DataType::Fp64, vec![usize::MAX, 2], Bytes::new());
        assert!(matches!(huge, Err(TensorError::Data { .. })));
        let truth = Tensor::raw("x", DataType::Bool, vec![2], Bytes::from_static(&[1, 2]));
        assert!(matches!(truth, Err(TensorError::Data { .. })));
        assert!(Tensor::texts("x", vec![2], vec![Bytes::new()]).is_err());
    }

    #[test]
    fn numbers_come_back_from_every_type_that_holds_them() {
        for &datatype in DataType::ALL {
            let made = Tensor::from_numbers("x", datatype, vec![2], [3.0, 7.0].into_iter());
            if matches!(datatype, DataType::Bool | DataType::Bytes) {
                assert!(matches!(made, Err(TensorError::NotNumeric { .. })));
            } else {
                assert_eq!(made.unwrap().numbers(), Some(vec![3.0, 7.0]), "{datatype}");
            }
        }
        let two: f64 = 2.0;
        for (datatype, held, beyond) in [
            (DataType::Int64, -two.powi(63), two.powi(63)),
            (DataType::Uint64, two.powi(63), two.powi(64)),
            (DataType::Uint8, 255.0, 256.0),
            (DataType::Uint32, 0.0, -1.0),
            (DataType::Int64, 1.0, 0.5),
            (DataType::Int64, 1.0, f64::NAN),
            (DataType::Fp16, 65504.0, 70_000.0),
            (DataType::Bf16, 1.0, 1e39),
            (DataType::Fp32, f64::INFINITY, 1e39),
        ] {
            let made = |last| Tensor::from_numbers("x", datatype, vec![2], [held, last].into_iter());
            assert_eq!(made(held).unwrap().numbers(), Some(vec![held; 2]), "{datatype}");
            let error = made(beyond).unwrap_err();
            assert!(matches!(error, TensorError::Data { .. }));
            let words = format!("tensor \"x\" has {beyond} as element 1; {datatype} does not hold it");
            assert_eq!(error.to_string(), words);
        }
    }
}
