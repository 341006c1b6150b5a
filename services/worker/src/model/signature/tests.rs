//! Each wrong input has its own reason and says what was expected and what came.

use bytes::Bytes;
use lepton_domain::model::DataType;

use super::*;

fn signature() -> Signature {
    let tensor = |name: &str, datatype, shape: &[i64]| TensorSpec {
        name: name.to_owned(),
        datatype,
        shape: shape.to_vec(),
    };
    Signature {
        inputs: vec![
            tensor("a", DataType::Fp32, &[-1, 2]),
            tensor("b", DataType::Int64, &[1]),
        ],
        outputs: vec![tensor("y", DataType::Fp32, &[-1])],
    }
}

fn a(rows: usize) -> Tensor {
    Tensor::raw("a", DataType::Fp32, vec![rows, 2], vec![0; rows * 8].into()).unwrap()
}

fn b() -> Tensor {
    Tensor::raw("b", DataType::Int64, vec![1], Bytes::from_static(&[0; 8])).unwrap()
}

fn refused(given: Vec<Tensor>) -> TensorError {
    order_inputs(&signature(), given).unwrap_err()
}

#[test]
fn inputs_come_in_any_order_and_leave_in_the_model_s() {
    let ordered = order_inputs(&signature(), vec![b(), a(3)]).unwrap();
    assert_eq!([ordered[0].name(), ordered[1].name()], ["a", "b"]);
    assert!(
        order_inputs(&signature(), vec![a(0), b()]).is_ok(),
        "an empty batch is one"
    );
}

#[test]
fn misfits_are_named() {
    let missing = refused(vec![a(1)]);
    assert!(matches!(missing, TensorError::Missing { .. }));
    assert_eq!(missing.to_string(), "input \"b\" INT64 [1] is missing");
    let c = Tensor::raw("c", DataType::Fp32, vec![1], vec![0; 4].into()).unwrap();
    let unknown = refused(vec![a(1), b(), c]);
    assert!(matches!(unknown, TensorError::UnknownInput { .. }));
    assert_eq!(
        unknown.to_string(),
        "the model has no input \"c\"; it takes \"a\" FP32 [-1, 2], \"b\" INT64 [1]"
    );
    let double = Tensor::raw("a", DataType::Fp64, vec![1, 2], vec![0; 16].into()).unwrap();
    let double = refused(vec![double]);
    assert!(matches!(double, TensorError::Type { .. }));
    assert_eq!(double.to_string(), "input \"a\" takes FP32; \"FP64\" came");
    let wide = Tensor::raw("a", DataType::Fp32, vec![1, 3], vec![0; 12].into()).unwrap();
    let wide = refused(vec![wide]);
    assert!(matches!(wide, TensorError::Shape { .. }));
    let words = "input \"a\" takes shape [-1, 2] (-1 for any); [1, 3] came";
    assert_eq!(wide.to_string(), words);
    let flat = Tensor::raw("a", DataType::Fp32, vec![2], vec![0; 8].into()).unwrap();
    assert!(matches!(refused(vec![flat]), TensorError::Shape { .. }));
    assert!(matches!(refused(vec![b(), b()]), TensorError::Twice { .. }));
}

#[test]
fn claims_alone_make_nothing_large() {
    let expected = TensorSpec {
        name: "a".to_owned(),
        datatype: DataType::Fp32,
        shape: vec![-1, -1],
    };
    assert_eq!(check_shape(&expected, &[0, 4]).unwrap(), [0, 4]);
    for claim in [[0, i64::MAX], [-1, 1], [i64::MIN, 0], [1 << 25, 0]] {
        let refused = check_shape(&expected, &claim);
        assert!(matches!(refused, Err(TensorError::Shape { .. })), "{claim:?}");
    }
}
