//! Files that tract loads, runs and refuses. Files that others made are in the tests' crate.

use std::cell::Cell;

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
        name: format!("{operator} {output}"),
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

fn load(file: &[u8]) -> Result<Arc<dyn LoadedModel>, LoadError> {
    Tract::new(1 << 30).load(file, &|| false)
}

fn run(model: &Arc<dyn LoadedModel>, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, RunError> {
    model.run(inputs, &|| false)
}

fn doubles(name: &str, shape: Vec<usize>, numbers: &[f64]) -> Tensor {
    Tensor::from_numbers(name, DataType::Fp64, shape, numbers.iter().copied()).unwrap()
}

#[test]
fn a_linear_model_takes_any_number_of_rows() {
    let linear = Linear {
        intercept: 0.5,
        coefficients: vec![("a".to_owned(), 2.0), ("b".to_owned(), -1.0)],
    };
    let model = load(&linear.encode()).unwrap();
    let signature = model.signature();
    assert_eq!(signature.inputs[0].shape, [-1, 2]);
    assert_eq!(
        (signature.outputs[0].datatype, &signature.outputs[0].shape),
        (DataType::Fp64, &vec![-1])
    );
    assert_eq!(model.metadata()["lepton.features"], r#"["a","b"]"#);
    for rows in 1..4 {
        let numbers: Vec<f64> = (0..rows * 2).map(|number| number as f64).collect();
        let outputs = run(&model, vec![doubles("features", vec![rows, 2], &numbers)]).unwrap();
        let expected: Vec<f64> = numbers.chunks(2).map(|row| 2.0 * row[0] - row[1] + 0.5).collect();
        assert_eq!(outputs[0].numbers(), Some(expected));
    }
}

#[test]
fn dimensions_without_a_name_are_open_too() {
    let inputs = vec![value("x", Element::Double, &["", "3"])];
    let nodes = vec![node("Neg", &["x"], "y")];
    let model = load(&file(inputs, nodes, value("y", Element::Double, &["", ""]))).unwrap();
    assert_eq!(model.signature().outputs[0].shape, [-1, 3]);
    let outputs = run(&model, vec![doubles("x", vec![2, 3], &[1.0; 6])]).unwrap();
    assert_eq!(outputs[0].numbers(), Some(vec![-1.0; 6]));
}

#[test]
fn texts_and_truth_values_pass_through() {
    let inputs = vec![
        value("text", Element::String, &["n"]),
        value("flag", Element::Bool, &["n"]),
    ];
    let nodes = vec![node("Identity", &["text"], "same"), node("Not", &["flag"], "not")];
    let model = load(&file(inputs, nodes, value("same", Element::String, &["n"]))).unwrap();
    let text = Tensor::texts("text", vec![2], vec!["a".into(), "\u{e9}".into()]).unwrap();
    let flag = Tensor::raw("flag", DataType::Bool, vec![2], vec![0, 1].into()).unwrap();
    let outputs = run(&model, vec![text.clone(), flag.clone()]).unwrap();
    assert_eq!(outputs[0].data(), text.data());
    let latin1 = Tensor::texts("text", vec![2], vec!["a".into(), vec![0xe9].into()]).unwrap();
    let error = run(&model, vec![latin1, flag]).unwrap_err();
    assert!(matches!(error, RunError::Tensor(TensorError::Data { .. })));
    assert!(
        error
            .to_string()
            .contains("\"text\" has an element 1 that is not UTF-8"),
        "{error}"
    );
}

#[test]
fn an_operator_that_is_not_supported_is_named() {
    let inputs = vec![value("x", Element::Double, &["n"])];
    let nodes = vec![node("StringNormalizer", &["x"], "y")];
    let error = load(&file(inputs, nodes, value("y", Element::Double, &["n"]))).unwrap_err();
    assert!(matches!(error, LoadError::Operators(_)));
    assert!(error.to_string().contains("StringNormalizer"), "{error}");
}

#[test]
fn inputs_whose_type_or_shape_is_no_use_are_refused() {
    let half = file(
        vec![value("x", Element::Bfloat16, &["n"])],
        vec![node("Neg", &["x"], "y")],
        value("y", Element::Bfloat16, &["n"]),
    );
    let error = load(&half).unwrap_err();
    assert!(error.to_string().contains("BFLOAT16"), "{error}");
}

#[test]
fn inputs_that_do_not_go_together_are_the_callers_fault() {
    let inputs = vec![value("x", Element::Double, &["n"]), value("z", Element::Double, &["n"])];
    let nodes = vec![node("Add", &["x", "z"], "y")];
    let model = load(&file(inputs, nodes, value("y", Element::Double, &["n"]))).unwrap();
    let error = run(
        &model,
        vec![doubles("x", vec![2], &[1.0; 2]), doubles("z", vec![3], &[1.0; 3])],
    )
    .unwrap_err();
    assert!(
        matches!(error, RunError::Tensor(TensorError::SharedDimension(_))),
        "{error}"
    );
    let words = r#"inputs "x" and "z" share the dimension "n": 2 of it came in [2], 3 in [3]"#;
    assert_eq!(error.to_string(), words);
    assert!(
        run(
            &model,
            vec![doubles("x", vec![2], &[1.0; 2]), doubles("z", vec![2], &[1.0; 2])]
        )
        .is_ok()
    );
}

fn is_too_large(error: &RunError) -> bool {
    matches!(error, RunError::Tensor(TensorError::Memory { .. }))
}

/// Numbers of this type as an input.
fn numbers(name: &str, datatype: DataType, shape: &[usize], number: f64) -> Tensor {
    let count = shape.iter().product();
    Tensor::from_numbers(name, datatype, shape.to_vec(), std::iter::repeat_n(number, count)).unwrap()
}

/// A column times itself: of n numbers it makes n * n.
fn square() -> Vec<u8> {
    let inputs = vec![value("x", Element::Float, &["n", "1"])];
    let nodes = vec![node("Transpose", &["x"], "row"), node("MatMul", &["x", "row"], "y")];
    file(inputs, nodes, value("y", Element::Float, &["n", "n"]))
}

#[test]
fn a_run_that_would_take_too_much_memory_is_refused_before_it_does() {
    let model = load(&square()).unwrap();
    let of = |rows: usize| run(&model, vec![numbers("x", DataType::Fp32, &[rows, 1], 2.0)]);
    assert_eq!(of(300).unwrap()[0].shape(), [300, 300]);
    // 14.4 GB, more than there is; and what the kernels of this processor pad.
    let error = of(60_000).unwrap_err();
    assert!(is_too_large(&error), "{error}");
    for words in ["\"x\" FP32 [60000, 1]", "hold 1440", "may hold 1073741824"] {
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(matches!(
        error,
        RunError::Tensor(TensorError::Memory {
            limit: 1_073_741_824,
            ..
        })
    ));
}

#[test]
fn held_tensors_are_counted_and_freed_ones_are_not() {
    // Ten steps of a mebibyte each, of which a run holds two or three at once.
    let steps: Vec<String> = (0..=10).map(|step| format!("s{step}")).collect();
    let nodes = steps
        .windows(2)
        .map(|pair| node("Cos", &[&pair[0]], &pair[1]))
        .collect();
    let inputs = vec![value("s0", Element::Double, &["n"])];
    let file = file(inputs, nodes, value("s10", Element::Double, &["n"]));
    let within = |mebibytes: u64| {
        let model = Tract::new(mebibytes << 20).load(&file, &|| false).unwrap();
        run(&model, vec![doubles("s0", vec![1 << 17], &[1.0; 1 << 17])])
    };
    assert!(within(4).is_ok());
    assert!(is_too_large(&within(1).unwrap_err()));
}

#[test]
fn a_size_that_numbers_decide_is_bounded_too() {
    let inputs = ["start", "limit", "delta"]
        .map(|name| value(name, Element::Int64, &[]))
        .to_vec();
    let nodes = vec![node("Range", &["start", "limit", "delta"], "y")];
    let range = load(&file(inputs, nodes, value("y", Element::Int64, &["m"]))).unwrap();
    let to = |limit: f64| {
        let given = [("start", 0.0), ("limit", limit), ("delta", 1.0)];
        run(
            &range,
            given
                .map(|(name, number)| numbers(name, DataType::Int64, &[], number))
                .to_vec(),
        )
    };
    assert_eq!(to(5.0).unwrap()[0].numbers(), Some(vec![0.0, 1.0, 2.0, 3.0, 4.0]));
    assert!(is_too_large(&to(1e10).unwrap_err()));
}

#[test]
fn a_trial_run_is_bounded_like_any_other() {
    let inputs = vec![value("x", Element::Float, &["1024", "1"])];
    let nodes = vec![node("Transpose", &["x"], "row"), node("MatMul", &["x", "row"], "y")];
    let file = file(inputs, nodes, value("y", Element::Float, &["1024", "1024"]));
    let error = Tract::new(1 << 20).load(&file, &|| false).unwrap_err();
    assert!(matches!(error, LoadError::Unsupported(_)));
    assert!(error.to_string().contains("a run may hold 1048576"), "{error}");
    assert!(Tract::new(1 << 24).load(&file, &|| false).is_ok());
}

#[test]
fn loading_and_running_end_when_they_are_stopped() {
    let error = Tract::new(1 << 30).load(&square(), &|| true).unwrap_err();
    assert_eq!(error, LoadError::Stopped);
    let model = load(&square()).unwrap();
    let polls = Cell::new(0);
    let second = || polls.replace(polls.get() + 1) == 1;
    let error = model
        .run(vec![numbers("x", DataType::Fp32, &[4, 1], 1.0)], &second)
        .unwrap_err();
    assert_eq!((error, polls.get()), (RunError::Stopped, 2));
}
