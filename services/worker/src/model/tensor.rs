//! A tensor as callers and backends hand it to each other: plain bytes in row-major order, little-endian, or texts.
//!
//! Promises: a tensor that exists has as many elements as its shape says, and only zeros and ones where it is of truth
//! values. Leaves what a model expects to `check`.

use bytes::Bytes;
use lepton_domain::model::DataType;
use lepton_domain::reason::{Fault, Reason};

#[cfg(target_endian = "big")]
compile_error!("tensors are little-endian bytes, which are handed to backends as they are");

/// The elements of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Of a type whose elements have one size.
    Raw(Bytes),
    /// Of type BYTES.
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
    /// Of elements with one size. Fails with TENSOR_DATA when there are more or fewer bytes than the shape needs.
    pub fn raw(name: &str, datatype: DataType, shape: Vec<usize>, content: Bytes) -> Result<Self, Fault> {
        let Some(size) = datatype.size_bytes() else {
            return Err(wrong(name, "is of BYTES, which have no common size"));
        };
        let count = count(&shape);
        let expected = count.and_then(|count| count.checked_mul(size));
        if expected != Some(content.len()) {
            let needed = expected.map_or_else(|| "more than memory has".to_owned(), |bytes| bytes.to_string());
            let why = format!(
                "has {} bytes; {datatype} of shape {shape:?} takes {needed}",
                content.len()
            );
            return Err(wrong(name, why));
        }
        if datatype == DataType::Bool
            && let Some(at) = content.iter().position(|byte| *byte > 1)
        {
            let why = format!("has {} as element {at}; BOOL takes 0 and 1", content[at]);
            return Err(wrong(name, why));
        }
        Ok(Self {
            name: name.to_owned(),
            datatype,
            shape,
            data: Data::Raw(content),
        })
    }

    /// Of type BYTES. Fails with TENSOR_DATA when there are more or fewer texts than the shape needs.
    pub fn texts(name: &str, shape: Vec<usize>, texts: Vec<Bytes>) -> Result<Self, Fault> {
        if count(&shape) != Some(texts.len()) {
            return Err(wrong(
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

    /// Doubles, in a floating-point or integer type that holds them; for callers that have columns of numbers. Fails
    /// with TENSOR_TYPE where the type has no numbers, and with TENSOR_DATA for a number that the type does not hold.
    pub fn of_numbers(
        name: &str,
        datatype: DataType,
        shape: Vec<usize>,
        numbers: impl Iterator<Item = f64>,
    ) -> Result<Self, Fault> {
        let mut content = Vec::with_capacity(numbers.size_hint().0 * datatype.size_bytes().unwrap_or(0));
        for (at, number) in numbers.enumerate() {
            if !put_number(name, datatype, number, &mut content)? {
                let why = format!("has {number} as element {at}; {datatype} does not hold it");
                return Err(wrong(name, why));
            }
        }
        Self::raw(name, datatype, shape, content.into())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its elements are.
    pub fn datatype(&self) -> DataType {
        self.datatype
    }

    /// Its dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Its elements as doubles; `None` where they are no numbers.
    pub fn numbers(&self) -> Option<Vec<f64>> {
        let Data::Raw(content) = &self.data else { return None };
        let size = self.datatype.size_bytes()?;
        content
            .chunks_exact(size)
            .map(|bytes| number(self.datatype, bytes))
            .collect()
    }
}

/// How many elements a shape has; `None` for more than a computer can count.
pub fn count(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1_usize, |count, dimension| count.checked_mul(*dimension))
}

/// A tensor whose content does not fit.
pub fn wrong(name: &str, why: impl std::fmt::Display) -> Fault {
    Fault::new(Reason::TensorData, format!("tensor {name:?} {why}")).with("tensor", name)
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
                let message = format!("tensor {:?} takes {}, not numbers", $name, $datatype);
                return Err(Fault::new(Reason::TensorType, message).with("tensor", $name));
            }
        }
    };
}

/// Adds a number to a content, unless the type does not hold it.
fn put_number(name: &str, datatype: DataType, number: f64, content: &mut Vec<u8>) -> Result<bool, Fault> {
    put_number!(name, number, content, datatype,
        whole Uint8 => u8, Uint16 => u16, Uint32 => u32, Uint64 => u64, Int8 => i8, Int16 => i16, Int32 => i32,
            Int64 => i64;
        broken Fp16 => half::f16::from_f64, Bf16 => half::bf16::from_f64, Fp32 => |number: f64| number as f32,
            Fp64 => f64::from);
    Ok(true)
}

/// One element as a double; `None` where it is no number. 64-bit integers beyond 2^53 are rounded.
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
        let fault = made(vec![0; 7]).unwrap_err();
        assert_eq!(fault.reason, Reason::TensorData);
        assert_eq!(fault.message, "tensor \"x\" has 7 bytes; FP32 of shape [2] takes 8");
        let huge = Tensor::raw("x", DataType::Fp64, vec![usize::MAX, 2], Bytes::new());
        assert_eq!(huge.unwrap_err().reason, Reason::TensorData);
        let truth = Tensor::raw("x", DataType::Bool, vec![2], Bytes::from_static(&[1, 2]));
        assert_eq!(truth.unwrap_err().reason, Reason::TensorData);
        assert!(Tensor::texts("x", vec![2], vec![Bytes::new()]).is_err());
    }

    #[test]
    fn numbers_come_back_from_every_type_that_holds_them() {
        for &datatype in DataType::ALL {
            let made = Tensor::of_numbers("x", datatype, vec![2], [3.0, 7.0].into_iter());
            if matches!(datatype, DataType::Bool | DataType::Bytes) {
                assert_eq!(made.unwrap_err().reason, Reason::TensorType);
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
            let made = |last| Tensor::of_numbers("x", datatype, vec![2], [held, last].into_iter());
            assert_eq!(made(held).unwrap().numbers(), Some(vec![held; 2]), "{datatype}");
            let fault = made(beyond).unwrap_err();
            assert_eq!(fault.reason, Reason::TensorData);
            let words = format!("tensor \"x\" has {beyond} as element 1; {datatype} does not hold it");
            assert_eq!(fault.message, words);
        }
    }
}
