//! How elements look, and contents that do not fit their tensor.

use lepton_domain::reason::{ApiError, Reason};

use super::*;

fn shown(datatype: DataType, count: usize, content: &[u8]) -> Result<String, ApiError> {
    let mut out = Vec::new();
    elements("y", datatype, count, &Bytes::copy_from_slice(content), &mut out)?;
    Ok(String::from_utf8(out).expect("UTF-8"))
}

fn doubles(numbers: &[f64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

#[test]
fn numbers_are_short_and_words_are_those_of_triton() {
    let numbers = [3.0, -0.0, 0.1, 1e16, 5e-324, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    assert_eq!(
        shown(DataType::Fp64, 8, &doubles(&numbers)).expect("whole"),
        "[3,-0.0,0.1,1e16,5e-324,NaN,Infinity,-Infinity]"
    );
    let singles: Vec<u8> = [0.1_f32, 2.0].iter().flat_map(|number| number.to_le_bytes()).collect();
    assert_eq!(
        shown(DataType::Fp32, 2, &singles).expect("whole"),
        "[0.10000000149011612,2]"
    );
    assert_eq!(
        shown(DataType::Bool, 3, &[0, 1, 7]).expect("whole"),
        "[false,true,true]"
    );
    assert_eq!(
        shown(DataType::Uint64, 1, &u64::MAX.to_le_bytes()).expect("whole"),
        "[18446744073709551615]"
    );
    assert_eq!(
        shown(DataType::Bytes, 2, b"\x02\0\0\0a\"\0\0\0\0").expect("whole"),
        r#"["a\"",""]"#
    );
    assert_eq!(shown(DataType::Int8, 0, b"").expect("whole"), "[]");
}

#[test]
fn contents_that_do_not_fit_are_faults() {
    let cases: [(DataType, usize, &[u8], Reason); 7] = [
        (DataType::Fp32, 2, b"1234", Reason::Internal),
        (DataType::Fp32, usize::MAX, b"1234", Reason::Internal),
        (DataType::Bytes, 1, b"\x05\0\0\0ab", Reason::Internal),
        (DataType::Bytes, 1, b"\x01\0", Reason::Internal),
        (DataType::Bytes, 1, b"\x01\0\0\0aX", Reason::Internal),
        (DataType::Bytes, 1, b"\x01\0\0\0\xff", Reason::TensorData),
        (DataType::Fp16, 1, b"12", Reason::TensorType),
    ];
    for (datatype, count, content, reason) in cases {
        let error = shown(datatype, count, content).expect_err("it does not fit");
        assert_eq!(error.reason, reason, "{error}");
    }
}
