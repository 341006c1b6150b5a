//! Whether a file is an ONNX model: the few fields of its protobuf that every model has.
//!
//! Promises: whatever is sent, the answer is yes or MODEL_INVALID with what is missing. Leaves running the model, and with it
//! the check of its operators, to the workers.

use lepton_domain::reason::{Fault, Reason};
use prost::Message as _;

/// `onnx.ModelProto`, as far as it is looked at (https://github.com/onnx/onnx, Apache-2.0).
#[derive(Clone, PartialEq, prost::Message)]
struct ModelProto {
    #[prost(int64, optional, tag = "1")]
    ir_version: Option<i64>,
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSetIdProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OperatorSetIdProto {
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<ValueInfoProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct NodeProto {
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "4")]
    op_type: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ValueInfoProto {
    #[prost(string, tag = "1")]
    name: String,
}

/// Refuses what is not a model.
pub fn check(file: &[u8]) -> Result<(), Fault> {
    let invalid = |why: String| Fault::new(Reason::ModelInvalid, format!("the file is not an ONNX model: {why}"));
    if file.is_empty() {
        return Err(invalid("it is empty; send the file as the body".to_owned()));
    }
    let model = ModelProto::decode(file).map_err(|error| invalid(error.to_string()))?;
    match missing(&model) {
        Some(why) => Err(invalid(why)),
        None => Ok(()),
    }
}

fn missing(model: &ModelProto) -> Option<String> {
    if model.ir_version.is_none_or(|version| version < 1) {
        return Some("it has no ir_version".to_owned());
    }
    let Some(graph) = &model.graph else {
        return Some("it has no graph".to_owned());
    };
    if !model.opset_import.iter().any(|opset| opset.version > 0) {
        return Some("it imports no operator set".to_owned());
    }
    if graph.node.is_empty() {
        return Some("its graph has no nodes".to_owned());
    }
    if graph.output.is_empty() || graph.output.iter().any(|output| output.name.is_empty()) {
        return Some("its graph has no outputs, or one without a name".to_owned());
    }
    let idle = graph
        .node
        .iter()
        .position(|node| node.op_type.is_empty() || node.output.is_empty());
    idle.map(|index| format!("node {index} has no operator or no output"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn model() -> ModelProto {
        let node = NodeProto {
            output: vec!["y".into()],
            op_type: "Identity".into(),
        };
        let graph = GraphProto {
            node: vec![node],
            output: vec![ValueInfoProto { name: "y".into() }],
        };
        ModelProto {
            ir_version: Some(8),
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto { version: 13 }],
        }
    }

    #[test]
    fn a_model_passes_and_its_parts_are_needed() {
        assert_eq!(check(&model().encode_to_vec()), Ok(()));
        let broken = [
            ModelProto {
                ir_version: None,
                ..model()
            },
            ModelProto { graph: None, ..model() },
            ModelProto {
                opset_import: Vec::new(),
                ..model()
            },
            ModelProto {
                graph: Some(GraphProto {
                    node: Vec::new(),
                    ..model().graph.unwrap_or_default()
                }),
                ..model()
            },
            ModelProto {
                graph: Some(GraphProto {
                    output: Vec::new(),
                    ..model().graph.unwrap_or_default()
                }),
                ..model()
            },
        ];
        for model in broken {
            assert_eq!(
                check(&model.encode_to_vec()).expect_err("invalid").reason,
                Reason::ModelInvalid
            );
        }
    }

    #[test]
    fn text_is_no_model() {
        for file in [&b""[..], b"not a model", b"{}", b"\x89PNG\r\n"] {
            assert_eq!(check(file).expect_err("invalid").reason, Reason::ModelInvalid);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            let _ = check(&bytes);
        }
    }
}
