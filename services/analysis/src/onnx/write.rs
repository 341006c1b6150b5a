//! A linear model as an ONNX file: `prediction = features x coefficients + intercept`, in double precision.

use prost::Message as _;

use super::element::Element;
use super::proto::{
    Dimension, Entry, Graph, Length, Model, Node, OperatorSet, Shape, Tensor, TensorType, Type, ValueInfo,
};

/// The version of the format, which ONNX 1.10 and later read.
const IR_VERSION: i64 = 8;
/// The standard operator set that the file imports.
pub const OPSET: i64 = 13;
/// The name of the one input, a double for each row and feature.
pub const INPUT: &str = "features";
/// The name of the one output, a double for each row.
pub const OUTPUT: &str = "prediction";
/// The property that names the features: a JSON list, in the order of the input's last axis.
pub const FEATURES: &str = "lepton.features";

/// A linear model.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// The prediction at zero features.
    pub intercept: f64,
    /// The features in order, each with its coefficient.
    pub coefficients: Vec<(String, f64)>,
}

impl Linear {
    /// The file. Equal models give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let width = self.coefficients.len() as i64;
        let node = |operator: &str, inputs: [&str; 2], output: &str| Node {
            input: inputs.map(str::to_owned).into(),
            output: vec![output.to_owned()],
            name: operator.to_lowercase(),
            op_type: operator.to_owned(),
            ..Node::default()
        };
        let values: Vec<f64> = self.coefficients.iter().map(|(_, value)| *value).collect();
        let graph = Graph {
            node: vec![
                node("MatMul", [INPUT, "coefficients"], "weighted"),
                node("Add", ["weighted", "intercept"], OUTPUT),
            ],
            name: "linear".to_owned(),
            initializer: vec![
                tensor("coefficients", vec![width], &values),
                tensor("intercept", vec![], &[self.intercept]),
            ],
            input: vec![value(INPUT, [Length::Named("rows".to_owned()), Length::Fixed(width)])],
            output: vec![value(OUTPUT, [Length::Named("rows".to_owned())])],
        };
        let model = Model {
            ir_version: IR_VERSION,
            producer_name: "lepton".to_owned(),
            graph: Some(graph),
            opset_import: vec![OperatorSet {
                domain: String::new(),
                version: OPSET,
            }],
            metadata_props: vec![Entry {
                key: FEATURES.to_owned(),
                value: json_list(self.coefficients.iter().map(|(name, _)| name.as_str())),
            }],
        };
        model.encode_to_vec()
    }
}

fn tensor(name: &str, dims: Vec<i64>, values: &[f64]) -> Tensor {
    Tensor {
        dims,
        data_type: Element::Double as i32,
        name: name.to_owned(),
        raw_data: Some(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        ..Tensor::default()
    }
}

fn value(name: &str, shape: impl IntoIterator<Item = Length>) -> ValueInfo {
    let dim = shape.into_iter().map(|length| Dimension { length: Some(length) });
    let tensor = TensorType {
        elem_type: Element::Double as i32,
        shape: Some(Shape { dim: dim.collect() }),
    };
    ValueInfo {
        name: name.to_owned(),
        kind: Some(Type { tensor: Some(tensor) }),
    }
}

/// A JSON list of texts (RFC 8259).
fn json_list<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let texts: Vec<String> = texts.map(json_text).collect();
    format!("[{}]", texts.join(","))
}

fn json_text(text: &str) -> String {
    let mut json = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => json.extend(['\\', letter]),
            '\0'..='\x1f' => json.push_str(&format!("\\u{:04x}", u32::from(letter))),
            _ => json.push(letter),
        }
    }
    json.push('"');
    json
}
