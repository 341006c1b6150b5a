//! The backend that is always there: tract, in pure Rust.
//!
//! Promises: what it does not support is refused by the operator's name before anything is built; a panic in it becomes
//! an error. Leaves aborts and endless work to the process that [`super::inspect`] starts for a file that is new.

use std::collections::BTreeMap;
use std::sync::Arc;

use lepton_analysis::onnx::{self, Element, Outline, Port};
use lepton_domain::model::{DataType, Signature, Tensor as Typed};
use lepton_domain::reason::{Fault, Reason};
use prost::Message;
use tract_onnx::pb::ModelProto;
use tract_onnx::tract_hir::internal::*;

use super::contain::contained;
use super::tensor::Tensor;
use super::{Backend, Loaded, invalid, shortened};
use plans::Plans;

mod plans;
#[cfg(test)]
mod tests;
mod value;
mod warm;

/// The domain of classical operators, as the outline writes it before their names.
const CLASSICAL: &str = "ai.onnx.ml.";

/// The backend.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tract;

/// A model that tract runs.
#[derive(Debug)]
struct Ready {
    signature: Signature,
    metadata: BTreeMap<String, String>,
    plans: Plans,
}

impl Backend for Tract {
    fn name(&self) -> &'static str {
        "tract"
    }

    fn load(&self, file: &[u8]) -> Result<Arc<dyn Loaded>, Fault> {
        let refused = |refusal: onnx::Refusal| Fault::new(Reason::ModelInvalid, refusal.to_string());
        let outline = onnx::check(file).map_err(refused)?;
        supported(&outline)?;
        let inputs = inputs(&outline)?;
        let loaded = contained(|| load(file, inputs, &outline)).unwrap_or_else(|panic| Err(format_err!(panic)));
        let ready = loaded.map_err(|error| invalid(explained(&error)))?;
        Ok(Arc::new(Ready {
            metadata: outline.metadata,
            ..ready
        }))
    }
}

impl Loaded for Ready {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, Fault> {
        let ran = contained(|| run(&self.plans, &self.signature, &inputs));
        let unusable = |error: &TractError| {
            let message = format!("the model does not run on these inputs: {}", explained(error));
            Fault::new(Reason::TensorData, message)
        };
        match ran {
            Ok(ran) => ran.map_err(|error| unusable(&error)),
            Err(panic) => {
                let message = format!("the model broke down on these inputs: {}", shortened(&panic));
                Err(Fault::new(Reason::Internal, message))
            }
        }
    }
}

fn run(plans: &Plans, signature: &Signature, inputs: &[Tensor]) -> TractResult<Vec<Tensor>> {
    let values = inputs.iter().map(value::to_tract).collect::<TractResult<TVec<_>>>()?;
    let outputs = plans.run(values)?;
    let named = signature.outputs.iter().zip(&outputs);
    named
        .map(|(output, value)| value::of_tract(&output.name, value))
        .collect()
}

/// Refuses operators that tract does not have.
fn supported(outline: &Outline) -> Result<(), Fault> {
    let known = tract_onnx::onnx().op_register.0;
    let bare = |operator: &str| operator.strip_prefix(CLASSICAL).unwrap_or(operator).to_owned();
    let unknown: Vec<&str> = outline
        .operators
        .iter()
        .map(String::as_str)
        .filter(|operator| !known.contains_key(&bare(operator)))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let operators = unknown.join(", ");
    let fault = invalid(format!(
        "it uses operators that are not supported: {}",
        shortened(&operators)
    ));
    Err(fault.with("operators", shortened(&operators)))
}

/// What a caller gives, as the file declares it.
fn inputs(outline: &Outline) -> Result<Vec<Typed>, Fault> {
    let input = |port: &Port| {
        let datatype = datatype(port).filter(|datatype| value::datum_type(*datatype).is_some());
        let of = port.element.map_or("no tensor type", Element::name);
        let datatype =
            datatype.ok_or_else(|| invalid(format!("input {:?} is of {of}, which is not supported", port.name)))?;
        let shape = port.shape.clone().ok_or_else(|| {
            let name = &port.name;
            invalid(format!(
                "input {name:?} does not declare its dimensions; export it with its shape"
            ))
        })?;
        Ok(Typed {
            name: port.name.clone(),
            datatype,
            shape,
        })
    };
    outline.inputs.iter().map(input).collect()
}

fn datatype(port: &Port) -> Option<DataType> {
    Some(match port.element? {
        Element::Bool => DataType::Bool,
        Element::Uint8 => DataType::Uint8,
        Element::Uint16 => DataType::Uint16,
        Element::Uint32 => DataType::Uint32,
        Element::Uint64 => DataType::Uint64,
        Element::Int8 => DataType::Int8,
        Element::Int16 => DataType::Int16,
        Element::Int32 => DataType::Int32,
        Element::Int64 => DataType::Int64,
        Element::Float16 => DataType::Fp16,
        Element::Bfloat16 => DataType::Bf16,
        Element::Float => DataType::Fp32,
        Element::Double => DataType::Fp64,
        Element::String => DataType::Bytes,
        _ => return None,
    })
}

fn load(file: &[u8], inputs: Vec<Typed>, outline: &Outline) -> TractResult<Ready> {
    let proto = ModelProto::decode(file).context("its bytes are damaged")?;
    let model = tract_onnx::onnx().model_for_proto_model(&proto)?;
    drop(proto);
    let model = with_open_dimensions(model, &inputs)?;
    let opened = contained(|| Plans::open(model.clone())).unwrap_or_else(|panic| Err(format_err!(panic)));
    let warm = opened.and_then(|plans| Ok((warm::up(&plans, &inputs)?, plans)));
    let (outputs, plans) = match warm {
        Ok(warm) => warm,
        // Some models, most of all those that compute shapes from shapes, only make sense with numbers.
        Err(_) if inputs.iter().any(|input| input.shape.contains(&-1)) => {
            let plans = Plans::closed(model);
            (warm::up(&plans, &inputs)?, plans)
        }
        Err(error) => return Err(error),
    };
    let outputs = outputs.iter().zip(&outline.outputs).enumerate();
    let outputs = outputs.map(|(place, (value, port))| {
        let rank = value.rank();
        let declared = port.shape.clone().filter(|shape| shape.len() == rank);
        let shape = plans
            .output_shape(place)
            .filter(|shape| shape.len() == rank)
            .or(declared);
        Ok(Typed {
            name: port.name.clone(),
            datatype: value::datatype(value.datum_type())?,
            shape: shape.unwrap_or_else(|| vec![-1; rank]),
        })
    });
    let outputs = outputs.collect::<TractResult<Vec<_>>>()?;
    Ok(Ready {
        signature: Signature { inputs, outputs },
        metadata: BTreeMap::new(),
        plans,
    })
}

/// Gives dimensions without a name one of their own, and checks that inputs stand in tract's model as they do in ours.
fn with_open_dimensions(mut model: InferenceModel, inputs: &[Typed]) -> TractResult<InferenceModel> {
    let found = model.input_outlets()?.len();
    ensure!(
        found == inputs.len(),
        "it has {found} inputs, but declares {}",
        inputs.len()
    );
    for (place, input) in inputs.iter().enumerate() {
        let outlet = model.input_outlets()?[place];
        let name = &model.node(outlet.node).name;
        ensure!(
            *name == input.name,
            "its input {:?} is called {name:?} inside",
            input.name
        );
        let mut fact = model.input_fact(place)?.clone();
        for (axis, wanted) in input.shape.iter().enumerate() {
            let known = fact.shape.dim(axis).and_then(|dimension| dimension.concretize());
            if *wanted == -1 && known.is_none() {
                let symbol = model.symbols.new_with_prefix("lepton");
                fact.shape.set_dim(axis, symbol.to_dim());
            }
        }
        model.set_input_fact(place, fact)?;
    }
    Ok(model)
}

/// An error of tract's in one line: it puts what it was at before what went wrong.
fn explained(error: &TractError) -> String {
    shortened(&format!("{error:#}").replace('\n', " "))
}
