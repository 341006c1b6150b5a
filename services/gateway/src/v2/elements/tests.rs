//! Elements of every type, exact; shapes and values that do not fit.

use bytes::BufMut as _;
use lepton_domain::reason::{ApiError, Reason};
use proptest::prelude::*;

use super::*;
use crate::v2::print;

/// Reads data for a tensor of this type and shape.
fn take(datatype: DataType, shape: &[i64], data: &str) -> Result<Bytes, ApiError> {
    let expected = Expected {
        name: "x",
        datatype,
        shape,
        count: shape.iter().map(|dimension| *dimension as usize).product(),
    };
    let mut reader = Reader::new(data.as_bytes()).expect("UTF-8");
    let mut room = 1_000;
    let content = read(&mut reader, 0, &expected, &mut room)?;
    reader.end().expect("read to its end");
    assert_eq!(room, 1_000 - content.len());
    Ok(content)
}

fn refusal(datatype: DataType, shape: &[i64], data: &str) -> (Reason, String) {
    let error = take(datatype, shape, data).expect_err(data);
    (error.reason, error.message)
}

#[test]
fn integers_are_exact_to_the_last_digit() {
    let cases = [
        (
            DataType::Uint64,
            "[18446744073709551615]",
            u64::MAX.to_le_bytes().to_vec(),
        ),
        (
            DataType::Uint64,
            "[9007199254740993]",
            9_007_199_254_740_993_u64.to_le_bytes().to_vec(),
        ),
        (
            DataType::Int64,
            "[-9223372036854775808]",
            i64::MIN.to_le_bytes().to_vec(),
        ),
        (DataType::Int32, "[-2147483648]", i32::MIN.to_le_bytes().to_vec()),
        (DataType::Uint32, "[4294967295]", u32::MAX.to_le_bytes().to_vec()),
        (DataType::Int16, "[-32768]", i16::MIN.to_le_bytes().to_vec()),
        (DataType::Uint16, "[65535]", u16::MAX.to_le_bytes().to_vec()),
        (DataType::Int8, "[-128]", vec![0x80]),
        (DataType::Uint8, "[255]", vec![255]),
    ];
    for (datatype, data, expected) in cases {
        assert_eq!(take(datatype, &[1], data).expect(data), expected, "{datatype} {data}");
    }
}

#[test]
fn what_a_type_does_not_take_is_refused_with_its_place() {
    let cases = [
        (
            DataType::Uint8,
            "[256]",
            "element 0: UINT8 takes whole numbers from 0 to 255, without point and exponent, not 256 (line 1, column 2)",
        ),
        (DataType::Int8, "[-129]", "from -128 to 127"),
        (DataType::Uint64, "[18446744073709551616]", "18446744073709551615"),
        (DataType::Int64, "[1.0]", "not 1.0"),
        (DataType::Int64, "[1e3]", "not 1e3"),
        (DataType::Uint32, "[-1]", "not -1"),
        (DataType::Fp32, "[1e39]", "not beyond its largest, not 1e39"),
        (DataType::Fp64, "[1e309]", "not 1e309"),
        (DataType::Fp32, "[\"1\"]", "FP32 takes numbers"),
        (DataType::Fp32, "[null]", "FP32 takes numbers"),
        (DataType::Fp32, "[true]", "FP32 takes numbers"),
        (DataType::Bool, "[1]", "BOOL takes true and false"),
        (DataType::Bytes, "[1]", "BYTES takes texts"),
        (
            DataType::Fp16,
            "[1]",
            "FP16 cannot be told in JSON: send it as binary data",
        ),
        (DataType::Bf16, "[1]", "BF16 cannot be told in JSON"),
        (DataType::Fp32, "7", "must be a list"),
    ];
    for (datatype, data, expected) in cases {
        let (reason, message) = refusal(datatype, &[1], data);
        assert_eq!(reason, Reason::TensorData, "{data}: {message}");
        assert!(
            message.contains(expected) && message.contains("\"x\""),
            "{data}: {message}"
        );
    }
    for data in ["[NaN]", "[-Infinity]", "[1", "[,]", "[01]"] {
        let (reason, message) = refusal(DataType::Fp64, &[1], data);
        assert_eq!(reason, Reason::InvalidJson, "{data}: {message}");
    }
    assert!(refusal(DataType::Fp64, &[1], "[NaN]").1.contains("binary"));
}

#[test]
fn lists_are_flat_or_have_the_shape() {
    let flat = take(DataType::Uint8, &[2, 3], "[1,2,3,4,5,6]").expect("flat");
    let nested = take(DataType::Uint8, &[2, 3], "[[1,2,3],\n[4,5,6]]").expect("nested");
    assert_eq!(flat, nested);
    assert!(take(DataType::Uint8, &[2, 0], "[[],[]]").expect("empty").is_empty());
    assert!(take(DataType::Uint8, &[0], "[]").expect("empty").is_empty());
    assert_eq!(take(DataType::Uint8, &[], "[7]").expect("a scalar"), vec![7]);
    let broken = [
        (
            "[[1,2],[3,4],[5,6]]",
            "dimension 2 of the data has 2 entries, its shape [2, 3] has 3",
        ),
        ("[[1,2,3]]", "dimension 1 of the data has 1 entries"),
        ("[[1,2,3],[4,5]]", "has 2 entries"),
        ("[[1,2,3],4]", "beside each other"),
        ("[1,[2,3]]", "beside each other"),
        ("[[[1],[2],[3]],[[4],[5],[6]]]", "nested deeper"),
        ("[1,2,3,4,5]", "has 5 elements, its shape 6"),
        ("[1,2,3,4,5,6,7]", "more than the 6 elements"),
        ("[]", "has 0 elements"),
    ];
    for (data, expected) in broken {
        let (reason, message) = refusal(DataType::Uint8, &[2, 3], data);
        assert_eq!(reason, Reason::TensorData, "{data}: {message}");
        assert!(message.contains(expected), "{data}: {message}");
    }
}

#[test]
fn a_small_body_cannot_ask_for_much_memory() {
    let (reason, message) = refusal(DataType::Uint8, &[1_000_000_000_000], "[1]");
    assert_eq!(reason, Reason::TensorData, "{message}");
    let many = format!("[{}0]", "0,".repeat(200));
    let (reason, message) = refusal(DataType::Int64, &[201], &many);
    assert_eq!(reason, Reason::RequestTooLarge, "{message}");
}

/// Elements of a type as JSON, the way of the answers.
fn printed(datatype: DataType, count: usize, content: &Bytes) -> String {
    let mut out = Vec::new();
    print::elements("x", datatype, count, content, &mut out).expect("well formed");
    String::from_utf8(out).expect("UTF-8")
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_to_the_bit(bytes in proptest::collection::vec(any::<u8>(), 0..96)) {
        for datatype in DataType::ALL {
            let Some(size) = datatype.size_bytes() else { continue };
            if matches!(datatype, DataType::Fp16 | DataType::Bf16) {
                continue;
            }
            let mut content = bytes[..bytes.len() / size * size].to_vec();
            match datatype {
                DataType::Bool => content.iter_mut().for_each(|byte| *byte &= 1),
                DataType::Fp32 => content.chunks_mut(4).filter(|it| !f32::from_le_bytes([it[0], it[1], it[2], it[3]]).is_finite()).for_each(|it| it.fill(0)),
                DataType::Fp64 => content.chunks_mut(8).filter(|it| it[7] & 0x7f == 0x7f && it[6] & 0xf0 == 0xf0).for_each(|it| it.fill(0)),
                _ => {}
            }
            let (content, count) = (Bytes::from(content.clone()), content.len() / size);
            let data = printed(*datatype, count, &content);
            let back = take(*datatype, &[count as i64], &data);
            prop_assert_eq!(back.map_err(|error| error.message), Ok(content), "{} {}", datatype, data);
        }
    }

    #[test]
    fn texts_read_back(texts in proptest::collection::vec(any::<String>(), 0..6)) {
        let mut content = Vec::new();
        for text in &texts {
            content.put_u32_le(text.len() as u32);
            content.extend_from_slice(text.as_bytes());
        }
        let content = Bytes::from(content);
        let data = printed(DataType::Bytes, texts.len(), &content);
        let mut room = 1 << 20;
        let shape = [texts.len() as i64];
        let expected = Expected { name: "x", datatype: DataType::Bytes, shape: &shape, count: texts.len() };
        let back = read(&mut Reader::new(data.as_bytes()).expect("UTF-8"), 0, &expected, &mut room);
        prop_assert_eq!(back.map_err(|error| ApiError::from(error).message), Ok(content));
    }

    #[test]
    fn any_text_is_taken_without_panic(data in r#"[\[\],0-9.eE"truefalsn\\ -]{0,60}"#, dimensions in proptest::collection::vec(0_i64..4, 0..4)) {
        for datatype in DataType::ALL {
            let count = dimensions.iter().map(|it| *it as usize).product();
            let expected = Expected { name: "x", datatype: *datatype, shape: &dimensions, count };
            let mut reader = Reader::new(data.as_bytes()).expect("UTF-8");
            let _ = read(&mut reader, 0, &expected, &mut 1_000);
        }
    }
}
