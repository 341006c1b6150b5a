//! The writer's files pass the check; what is wrong with a file is told, with where it stands.

use proptest::prelude::*;
use prost::Message as _;

use super::proto::{Attribute, Entry, Graph, Model, Node, OperatorSet, Tensor, ValueInfo};
use super::*;

fn linear() -> Linear {
    Linear {
        intercept: 0.5,
        coefficients: vec![("a".into(), 1.25), ("say \"b\"\n".into(), -2.0)],
    }
}

fn node(operator: &str, inputs: &[&str], outputs: &[&str]) -> Node {
    Node {
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: outputs.iter().map(|&name| name.to_owned()).collect(),
        op_type: operator.into(),
        ..Node::default()
    }
}

fn named(name: &str) -> ValueInfo {
    ValueInfo {
        name: name.into(),
        kind: None,
    }
}

fn floats(name: &str, dims: &[i64], values: usize) -> Tensor {
    Tensor {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: Element::Float as i32,
        float_data: vec![1.0; values],
        ..Tensor::default()
    }
}

fn graph(nodes: Vec<Node>) -> Graph {
    Graph {
        node: nodes,
        name: "g".into(),
        initializer: vec![floats("w", &[2, 3], 6)],
        input: vec![named("x")],
        output: vec![named("y")],
    }
}

fn model(graph: Graph) -> Model {
    let opset = |domain: &str, version| OperatorSet {
        domain: domain.into(),
        version,
    };
    Model {
        ir_version: 8,
        graph: Some(graph),
        opset_import: vec![opset("", 13), opset("ai.onnx.ml", 3), opset("com.example", 1)],
        ..Model::default()
    }
}

fn checked(graph: Graph) -> Result<Outline, InvalidModel> {
    check(&model(graph).encode_to_vec())
}

fn refused(result: Result<Outline, InvalidModel>, words: &[&str]) {
    let message = result.expect_err("refused").to_string();
    for word in words {
        assert!(message.contains(word), "{message:?} does not say {word:?}");
    }
}

fn with_weight(weight: Tensor) -> Result<Outline, InvalidModel> {
    checked(Graph {
        initializer: vec![weight],
        ..graph(vec![node("MatMul", &["x", "w"], &["y"])])
    })
}

/// A node with a graph as an attribute, as `If` has.
fn holding(inner: Graph, inputs: &[&str], outputs: &[&str]) -> Node {
    let attribute = Attribute {
        name: "then_branch".into(),
        graph: Some(inner),
        kind: 5,
        tensor: None,
    };
    Node {
        attribute: vec![attribute],
        ..node("If", inputs, outputs)
    }
}

#[test]
fn a_linear_model_passes_and_says_what_it_takes() {
    let file = linear().encode();
    assert_eq!(file, linear().encode());
    let outline = check(&file).unwrap();
    let port = |name: &str, shape: &[i64], names: &[&str]| Port {
        name: name.into(),
        element: Some(Element::Double),
        shape: Some(shape.to_vec()),
        names: names.iter().map(|&name| name.to_owned()).collect(),
    };
    assert_eq!(outline.inputs, [port("features", &[-1, 2], &["rows", ""])]);
    assert_eq!(outline.outputs, [port("prediction", &[-1], &["rows"])]);
    assert_eq!(
        (outline.opsets[""], outline.ir_version, &*outline.producer),
        (OPSET, 8, "lepton")
    );
    assert_eq!(outline.metadata[FEATURES], r#"["a","say \"b\"\u000a"]"#);
    assert_eq!(outline.operators.iter().collect::<Vec<_>>(), ["Add", "MatMul"]);
}

#[test]
fn the_parts_of_a_model_are_needed() {
    let whole = || model(graph(vec![node("MatMul", &["x", "w"], &["y"])]));
    check(&whole().encode_to_vec()).unwrap();
    type Edit = (fn(&mut Model), &'static str);
    let edits: [Edit; 8] = [
        (|model| model.ir_version = 0, "ir_version"),
        (|model| model.graph = None, "no graph"),
        (|model| model.opset_import.clear(), "no operator set"),
        (
            |model| model.opset_import.retain(|it| !it.domain.is_empty()),
            "imports no operator set of domain",
        ),
        (|model| model.graph.as_mut().unwrap().node.clear(), "no nodes"),
        (|model| model.graph.as_mut().unwrap().output.clear(), "no outputs"),
        (
            |model| model.graph.as_mut().unwrap().output[0].name.clear(),
            "output has no name",
        ),
        (
            |model| model.graph.as_mut().unwrap().node[0].op_type.clear(),
            "node 0 has no operator",
        ),
    ];
    for (edit, words) in edits {
        let mut broken = whole();
        edit(&mut broken);
        refused(check(&broken.encode_to_vec()), &[words]);
    }
}

#[test]
fn other_files_are_no_models() {
    for file in [
        &b""[..],
        b"not a model",
        b"{}",
        b"\x89PNG\r\n",
        b"PK\x03\x04",
        &[0x3a, 0xff, 0xff],
    ] {
        refused(check(file), &["cannot be served as an ONNX model"]);
    }
    let whole = linear().encode();
    // Only where nothing but the properties at the end is missing, a piece is a model too.
    let whole_pieces = (1..whole.len()).filter(|&cut| check(&whole[..cut]).is_ok());
    assert_eq!(whole_pieces.count(), 1);
}

#[test]
fn content_outside_the_file_is_refused_with_its_path() {
    let outside = Tensor {
        float_data: Vec::new(),
        data_location: Some(1),
        external_data: vec![Entry {
            key: "location".into(),
            value: "../../etc/passwd".into(),
        }],
        ..floats("w", &[2], 0)
    };
    refused(with_weight(outside.clone()), &["\"w\"", "../../etc/passwd", "outside"]);
    let constant = Node {
        attribute: vec![Attribute {
            name: "value".into(),
            tensor: Some(Tensor {
                name: String::new(),
                ..outside
            }),
            kind: 4,
            graph: None,
        }],
        ..node("Constant", &[], &["y"])
    };
    refused(checked(graph(vec![constant])), &["in an attribute", "../../etc/passwd"]);
}

#[test]
fn a_claim_of_gigabytes_is_compared_with_the_file() {
    refused(
        with_weight(floats("w", &[1 << 15, 1 << 14], 3)),
        &["\"w\"", "536870912", "holds 3"],
    );
    refused(
        with_weight(floats("w", &[i64::MAX, i64::MAX], 3)),
        &["\"w\"", "not possible"],
    );
    refused(with_weight(floats("w", &[-1], 1)), &["[-1]", "not possible"]);
    let raw = |dims: &[i64], bytes| Tensor {
        float_data: Vec::new(),
        raw_data: Some(vec![0; bytes]),
        ..floats("w", dims, 0)
    };
    refused(with_weight(raw(&[4], 15)), &["claims 16 bytes", "holds 15"]);
    with_weight(raw(&[4], 16)).unwrap();
    with_weight(floats("w", &[0, 5], 0)).unwrap();
    let unknown = Tensor {
        data_type: 99,
        ..floats("w", &[1], 1)
    };
    refused(with_weight(unknown), &["element type 99"]);
    let small = Tensor {
        data_type: Element::Int4 as i32,
        ..raw(&[5], 3)
    };
    with_weight(small).unwrap();
}

#[test]
fn names_are_made_once_and_before_use() {
    let cases: [(Vec<Node>, &[&str]); 5] = [
        (
            vec![node("Add", &["x", "nowhere"], &["y"])],
            &["nowhere", "nothing makes"],
        ),
        (vec![node("Relu", &["x"], &["z"])], &["output \"y\"", "nothing makes"]),
        (
            vec![node("Relu", &["x"], &["y"]), node("Relu", &["x"], &["y"])],
            &["\"y\"", "twice"],
        ),
        (vec![node("Relu", &["x"], &["w"])], &["\"w\"", "twice"]),
        (
            vec![
                node("Relu", &["b"], &["y"]),
                node("Add", &["x", "b"], &["a"]),
                node("Relu", &["a"], &["b"]),
            ],
            &["depends on itself"],
        ),
    ];
    for (nodes, words) in cases {
        refused(checked(graph(nodes)), words);
    }
    let unsorted = vec![node("Relu", &["a"], &["y"]), node("Add", &["x", "w"], &["a"])];
    checked(graph(unsorted)).unwrap();
    let twice = Graph {
        output: vec![named("y"), named("y")],
        ..graph(vec![node("Relu", &["x"], &["y"])])
    };
    refused(checked(twice), &["output \"y\"", "twice"]);
}

#[test]
fn graphs_within_graphs_see_what_is_around_them() {
    let branch = |input: &str| Graph {
        initializer: vec![],
        input: vec![],
        ..graph(vec![node("Relu", &[input], &["y"])])
    };
    checked(graph(vec![holding(branch("x"), &["x"], &["y"])])).unwrap();
    refused(
        checked(graph(vec![holding(branch("nowhere"), &["x"], &["y"])])),
        &["nowhere"],
    );
    let around = vec![holding(branch("late"), &["x"], &["y"]), node("Relu", &["y"], &["late"])];
    refused(checked(graph(around)), &["depends on itself"]);
    let mut deep = branch("x");
    for _ in 0..14 {
        deep = Graph {
            input: vec![],
            initializer: vec![],
            ..graph(vec![holding(deep, &[], &["y"])])
        };
    }
    checked(graph(vec![holding(deep.clone(), &["x"], &["y"])])).unwrap();
    let deeper = graph(vec![holding(deep, &["x"], &["y"])]);
    refused(checked(graph(vec![holding(deeper, &["x"], &["y"])])), &["deep"]);
}

#[test]
fn only_operators_of_onnx_pass() {
    let foreign = Node {
        domain: "com.example".into(),
        name: "first".into(),
        ..node("Magic", &["x"], &["y"])
    };
    refused(
        checked(graph(vec![foreign.clone()])),
        &["\"first\"", "\"Magic\"", "\"com.example\""],
    );
    let inner = Graph {
        input: vec![],
        ..graph(vec![foreign])
    };
    refused(checked(graph(vec![holding(inner, &["x"], &["y"])])), &["\"Magic\""]);
    let classical = Node {
        domain: "ai.onnx.ml".into(),
        ..node("Scaler", &["x"], &["y"])
    };
    let outline = checked(graph(vec![classical])).unwrap();
    assert!(outline.operators.contains("ai.onnx.ml.Scaler"));
}

#[test]
fn what_protobuf_would_merge_is_refused() {
    let graph = graph(vec![node("Relu", &["x"], &["y"])]);
    let mut file = model(graph.clone()).encode_to_vec();
    let second = Model {
        graph: Some(graph),
        ..Model::default()
    };
    file.extend(second.encode_to_vec());
    refused(check(&file), &["twice"]);
}

#[test]
fn a_file_of_nothing_but_nodes_is_refused_before_it_fills_the_memory() {
    // A graph of millions of empty nodes, two bytes each.
    let nodes = [0x0a, 0x00].repeat(5_000_000);
    let mut file = vec![0x08, 0x08, 0x3a];
    let mut length = nodes.len();
    while length >= 0x80 {
        file.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    file.push(length as u8);
    file.extend(nodes);
    refused(check(&file), &["more than 500000"]);
}

#[test]
fn a_default_is_no_input() {
    let graph = Graph {
        input: vec![named("x"), named("w")],
        ..graph(vec![node("MatMul", &["x", "w"], &["y"])])
    };
    let outline = checked(graph).unwrap();
    let names: Vec<&str> = outline.inputs.iter().map(|port| &*port.name).collect();
    assert_eq!(names, ["x"]);
    assert_eq!((outline.inputs[0].element, &outline.inputs[0].shape), (None, &None));
}

proptest! {
    #[test]
    fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
        let _ = check(&bytes);
    }

    /// Near misses reach further than noise does.
    #[test]
    fn damaged_models_are_taken_without_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let branch = Graph { input: vec![], ..graph(vec![node("Relu", &["x"], &["y"])]) };
        let mut file = model(graph(vec![holding(branch, &["x"], &["y"])])).encode_to_vec();
        for (place, byte) in edits {
            let place = place.index(file.len());
            file[place] = byte;
        }
        let _ = check(&file);
    }
}
