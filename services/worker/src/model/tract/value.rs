//! Conversion of tensors to those of tract, and back.

use bytes::Bytes;
use lepton_domain::model::DataType;
use tract_onnx::tract_hir::internal::*;

use crate::model::tensor::{self, Data, TensorError};

/// The data type in tract's terms; `None` for BF16, which it does not have.
pub(super) fn datum_type(datatype: DataType) -> Option<DatumType> {
    Some(match datatype {
        DataType::Bool => DatumType::Bool,
        DataType::Uint8 => DatumType::U8,
        DataType::Uint16 => DatumType::U16,
        DataType::Uint32 => DatumType::U32,
        DataType::Uint64 => DatumType::U64,
        DataType::Int8 => DatumType::I8,
        DataType::Int16 => DatumType::I16,
        DataType::Int32 => DatumType::I32,
        DataType::Int64 => DatumType::I64,
        DataType::Fp16 => DatumType::F16,
        DataType::Fp32 => DatumType::F32,
        DataType::Fp64 => DatumType::F64,
        DataType::Bytes => DatumType::String,
        DataType::Bf16 => return None,
    })
}

/// The data type of a type of tract's.
pub(super) fn datatype(datum_type: DatumType) -> TractResult<DataType> {
    Ok(match datum_type.unquantized() {
        DatumType::Bool => DataType::Bool,
        DatumType::U8 => DataType::Uint8,
        DatumType::U16 => DataType::Uint16,
        DatumType::U32 => DataType::Uint32,
        DatumType::U64 => DataType::Uint64,
        DatumType::I8 => DataType::Int8,
        DatumType::I16 => DataType::Int16,
        DatumType::I32 => DataType::Int32,
        // Dimensions are numbers as soon as they are known, which they are when the model has run.
        DatumType::I64 | DatumType::TDim => DataType::Int64,
        DatumType::F16 => DataType::Fp16,
        DatumType::F32 => DataType::Fp32,
        DatumType::F64 => DataType::Fp64,
        DatumType::String => DataType::Bytes,
        other => bail!("outputs of {other:?} have no name in the protocol"),
    })
}

/// Converts a tensor for tract. Fails with [`TensorError::Data`] for a text that is not UTF-8, the only one tract has.
pub(super) fn to_tract(tensor: &tensor::Tensor) -> Result<TValue, TensorError> {
    let broken = |error: TractError| TensorError::data(tensor.name(), format!("cannot be used: {error:#}"));
    let shape = tensor.shape();
    match tensor.data() {
        Data::Raw(content) => {
            let raw = || -> TractResult<TValue> {
                let datum_type = datum_type(tensor.datatype()).context("BF16 is not supported")?;
                let mut made = Tensor::zero_dt(datum_type, shape)?;
                made.try_as_plain_ram_mut()?.as_bytes_mut().copy_from_slice(content);
                Ok(made.into_tvalue())
            };
            raw().map_err(broken)
        }
        Data::Texts(texts) => {
            let utf8 = |(at, text): (usize, &Bytes)| match std::str::from_utf8(text) {
                Ok(text) => Ok(text.to_owned()),
                Err(_) => Err(TensorError::data(
                    tensor.name(),
                    format!("has an element {at} that is not UTF-8; the model takes texts"),
                )),
            };
            let texts: Vec<String> = texts.iter().enumerate().map(utf8).collect::<Result<_, TensorError>>()?;
            let made = tract_ndarray::ArrayD::from_shape_vec(shape, texts).map_err(|error| broken(error.into()))?;
            Ok(Tensor::from(made).into_tvalue())
        }
    }
}

/// Converts a tensor of tract's, under the name that the model gives it.
pub(super) fn from_tract(name: &str, value: &Tensor) -> TractResult<tensor::Tensor> {
    let datatype = datatype(value.datum_type())?;
    let shape = value.shape().to_vec();
    let made = if datatype == DataType::Bytes {
        let view = value.try_as_plain_ram()?;
        let texts = view.as_slice::<String>()?.iter().map(|text| Bytes::from(text.clone()));
        tensor::Tensor::texts(name, shape, texts.collect())
    } else if value.datum_type() == DatumType::TDim {
        let numbers = value.cast_to::<i64>()?;
        let content = Bytes::copy_from_slice(numbers.try_as_plain_ram()?.as_bytes());
        tensor::Tensor::raw(name, datatype, shape, content)
    } else {
        let content = Bytes::copy_from_slice(value.try_as_plain_ram()?.as_bytes());
        tensor::Tensor::raw(name, datatype, shape, content)
    };
    made.map_err(|error| format_err!("{error}"))
}
