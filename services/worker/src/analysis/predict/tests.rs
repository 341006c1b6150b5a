//! Columns find their inputs in each of the three ways, and what does not fit says what would.

use std::collections::BTreeMap;
use std::sync::Arc;

use lepton_analysis::onnx::Linear;
use lepton_analysis::{Packed, PackedColumn};
use lepton_domain::reason::{ApiError, Reason};

use super::*;
use crate::model::{Backend, RunError, Tract};

/// A model that adds up what it is given, by row.
#[derive(Debug)]
struct Sum {
    signature: Signature,
    metadata: BTreeMap<String, String>,
}

impl Sum {
    fn of(inputs: &[(&str, DataType, &[i64])]) -> Self {
        let typed = |(name, datatype, shape): &(&str, DataType, &[i64])| TensorSpec {
            name: (*name).to_owned(),
            datatype: *datatype,
            shape: shape.to_vec(),
        };
        let output = TensorSpec {
            name: "sum".to_owned(),
            datatype: DataType::Fp64,
            shape: vec![-1],
        };
        Self {
            signature: Signature {
                inputs: inputs.iter().map(typed).collect(),
                outputs: vec![output],
            },
            metadata: BTreeMap::new(),
        }
    }
}

impl LoadedModel for Sum {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    fn run(&self, inputs: Vec<Tensor>, _stop: &dyn Fn() -> bool) -> Result<Vec<Tensor>, RunError> {
        let rows = inputs[0].shape()[0];
        let mut sums = vec![0.0; rows];
        for input in inputs {
            let numbers = input.numbers().unwrap_or_else(|| vec![0.0; rows]);
            for (sum, row) in sums.iter_mut().zip(numbers.chunks(numbers.len() / rows)) {
                *sum += row.iter().sum::<f64>();
            }
        }
        Ok(vec![Tensor::from_numbers(
            "sum",
            DataType::Fp64,
            vec![rows],
            sums.into_iter(),
        )?])
    }
}

fn table() -> Table {
    let column = |name: &str, values: Packed, valid: &[bool]| PackedColumn {
        name: name.to_owned(),
        values,
        valid: valid.to_vec(),
    };
    Table::from_columns([
        column("a", Packed::Numbers(vec![1.0, 2.0, 3.0]), &[true, false, true]),
        column("b", Packed::Numbers(vec![10.0, 20.0, 30.0]), &[]),
        column(
            "word",
            Packed::Text(vec!["x".to_owned(), "y".to_owned(), "z".to_owned()]),
            &[],
        ),
        column("y", Packed::Numbers(vec![0.0; 3]), &[]),
        column("never", Packed::Numbers(vec![0.0; 3]), &[false; 3]),
    ])
    .unwrap()
}

fn predicted(model: &dyn LoadedModel) -> Result<Vec<Option<f64>>, ApiError> {
    Ok(predict(model, &table(), Some("y"), &|| false)?)
}

fn refused(model: &dyn LoadedModel) -> String {
    let error = predicted(model).unwrap_err();
    assert_eq!(error.reason, Reason::ModelMismatch);
    error.message
}

#[test]
fn the_files_own_list_of_features_decides() {
    let linear = |names: [&str; 2]| {
        let coefficients = names.map(|name| (name.to_owned(), 2.0)).to_vec();
        let linear = Linear {
            intercept: 1.0,
            coefficients,
        };
        let model: Arc<dyn LoadedModel> = Tract::new(1 << 30).load(&linear.encode(), &|| false).unwrap();
        model
    };
    let expected = vec![Some(23.0), None, Some(67.0)];
    assert_eq!(predicted(&*linear(["b", "a"])).unwrap(), expected);
    assert!(refused(&*linear(["b", "c"])).contains("there is no column \"c\""));
    assert!(refused(&*linear(["b", "word"])).contains("column \"word\" is text"));
    assert_eq!(predicted(&*linear(["b", "never"])).unwrap(), [None; 3]);
}

#[test]
fn inputs_may_have_the_names_of_columns() {
    let model = Sum::of(&[
        ("b", DataType::Fp32, &[-1, 1]),
        ("word", DataType::Bytes, &[-1]),
        ("a", DataType::Int64, &[-1]),
    ]);
    assert_eq!(predicted(&model).unwrap(), [Some(11.0), None, Some(33.0)]);
    let texts = Sum::of(&[("a", DataType::Bytes, &[-1])]);
    assert!(refused(&texts).contains("column \"a\" is number, and input \"a\" is BYTES"));
}

#[test]
fn one_input_may_take_all_columns_from_numbers() {
    assert_eq!(
        predicted(&Sum::of(&[("features", DataType::Fp32, &[-1, 2])])).unwrap(),
        [Some(11.0), None, Some(33.0)]
    );
    assert_eq!(
        predicted(&Sum::of(&[("features", DataType::Fp32, &[1, 2])])).unwrap(),
        [Some(11.0), None, Some(33.0)]
    );
    let message = refused(&Sum::of(&[("features", DataType::Fp32, &[-1, 3])]));
    assert!(
        message.contains(r#"2 columns of numbers besides the target, ["a", "b"]"#),
        "{message}"
    );
    assert!(message.contains(r#"it takes "features" FP32 [-1, 3]"#), "{message}");
    refused(&Sum::of(&[("image", DataType::Fp32, &[-1, 3, 224, 224])]));
    refused(&Sum::of(&[]));
}

#[test]
fn a_wish_to_stop_is_heard() {
    let model = Sum::of(&[("features", DataType::Fp32, &[-1, 2])]);
    let error = ApiError::from(predict(&model, &table(), Some("y"), &|| true).unwrap_err());
    assert_eq!(error.reason, Reason::Cancelled);
}
