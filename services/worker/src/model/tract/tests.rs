//! What tract loads, runs and refuses. Files that others made are in the tests' crate.

use lepton_analysis::onnx::Linear;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension::Value as Length};
use tract_onnx::pb::type_proto::{Tensor as TensorType, Value as Kind};
use tract_onnx::pb::{GraphProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto};

use super::*;

/// A value of these dimensions, where a text is an open one.
fn value(name: &str, element: Element, shape: &[&str]) -> ValueInfoProto {
    let length = |text: &&str| match text.parse() {
        Ok(number) => Length::DimValue(number),
        Err(_) => Length::DimParam((*text).to_owned()),
    };
    let dimension = |text: &&str| Dimension {
        value: (!text.is_empty()).then(|| length(text)),
        ..Default::default()
    };
    let shape = TensorShapeProto {
        dim: shape.iter().map(dimension).collect(),
    };
    let tensor = TensorType {
        elem_type: element as i32,
        shape: Some(shape),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(Kind::TensorType(tensor)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: operator.to_owned(),
        name: operator.to_lowercase(),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..Default::default()
    }
}

fn file(inputs: Vec<ValueInfoProto>, nodes: Vec<NodeProto>, output: ValueInfoProto) -> Vec<u8> {
    let graph = GraphProto {
        name: "test".to_owned(),
        node: nodes,
        input: inputs,
        output: vec![output],
        ..Default::default()
    };
    let model = ModelProto {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: 13,
        }],
        ..Default::default()
    };
    model.encode_to_vec()
}

fn doubles(name: &str, shape: Vec<usize>, numbers: &[f64]) -> Tensor {
    Tensor::of_numbers(name, DataType::Fp64, shape, numbers.iter().copied()).unwrap()
}

#[test]
fn a_linear_model_takes_any_number_of_rows() {
    let linear = Linear {
        intercept: 0.5,
        coefficients: vec![("a".to_owned(), 2.0), ("b".to_owned(), -1.0)],
    };
    let model = Tract.load(&linear.encode()).unwrap();
    let signature = model.signature();
    assert_eq!(signature.inputs[0].shape, [-1, 2]);
    assert_eq!(
        (signature.outputs[0].datatype, &signature.outputs[0].shape),
        (DataType::Fp64, &vec![-1])
    );
    assert_eq!(model.metadata()["lepton.features"], r#"["a","b"]"#);
    for rows in 1..4 {
        let numbers: Vec<f64> = (0..rows * 2).map(|number| number as f64).collect();
        let outputs = model.run(vec![doubles("features", vec![rows, 2], &numbers)]).unwrap();
        let expected: Vec<f64> = numbers.chunks(2).map(|row| 2.0 * row[0] - row[1] + 0.5).collect();
        assert_eq!(outputs[0].numbers(), Some(expected));
    }
}

#[test]
fn dimensions_without_a_name_are_open_too() {
    let inputs = vec![value("x", Element::Double, &["", "3"])];
    let nodes = vec![node("Neg", &["x"], "y")];
    let model = Tract
        .load(&file(inputs, nodes, value("y", Element::Double, &["", ""])))
        .unwrap();
    assert_eq!(model.signature().outputs[0].shape, [-1, 3]);
    let outputs = model.run(vec![doubles("x", vec![2, 3], &[1.0; 6])]).unwrap();
    assert_eq!(outputs[0].numbers(), Some(vec![-1.0; 6]));
}

#[test]
fn texts_and_truth_values_pass_through() {
    let inputs = vec![
        value("text", Element::String, &["n"]),
        value("flag", Element::Bool, &["n"]),
    ];
    let nodes = vec![node("Identity", &["text"], "same"), node("Not", &["flag"], "not")];
    let model = Tract
        .load(&file(inputs, nodes, value("same", Element::String, &["n"])))
        .unwrap();
    let text = Tensor::texts("text", vec![2], vec!["a".into(), "\u{e9}".into()]).unwrap();
    let flag = Tensor::raw("flag", DataType::Bool, vec![2], vec![0, 1].into()).unwrap();
    let outputs = model.run(vec![text.clone(), flag.clone()]).unwrap();
    assert_eq!(outputs[0].data(), text.data());
    let latin1 = Tensor::texts("text", vec![2], vec!["a".into(), vec![0xe9].into()]).unwrap();
    let fault = model.run(vec![latin1, flag]).unwrap_err();
    assert_eq!(fault.reason, Reason::TensorData);
    assert!(fault.message.contains("text 1 is not UTF-8"), "{fault}");
}

#[test]
fn an_operator_that_is_not_supported_is_named() {
    let inputs = vec![value("x", Element::Double, &["n"])];
    let nodes = vec![node("StringNormalizer", &["x"], "y")];
    let fault = Tract
        .load(&file(inputs, nodes, value("y", Element::Double, &["n"])))
        .unwrap_err();
    assert_eq!(fault.reason, Reason::ModelInvalid);
    assert!(fault.message.contains("StringNormalizer"), "{fault}");
}

#[test]
fn inputs_whose_type_or_shape_is_no_use_are_refused() {
    let half = file(
        vec![value("x", Element::Bfloat16, &["n"])],
        vec![node("Neg", &["x"], "y")],
        value("y", Element::Bfloat16, &["n"]),
    );
    let fault = Tract.load(&half).unwrap_err();
    assert!(fault.message.contains("BFLOAT16"), "{fault}");
}

#[test]
fn inputs_that_do_not_go_together_are_the_callers_fault() {
    let inputs = vec![value("x", Element::Double, &["n"]), value("z", Element::Double, &["n"])];
    let nodes = vec![node("Add", &["x", "z"], "y")];
    let model = Tract
        .load(&file(inputs, nodes, value("y", Element::Double, &["n"])))
        .unwrap();
    let fault = model
        .run(vec![doubles("x", vec![2], &[1.0; 2]), doubles("z", vec![3], &[1.0; 3])])
        .unwrap_err();
    assert_eq!(fault.reason, Reason::TensorData, "{fault}");
}
