//! The backend that is always there: tract, in pure Rust.
//!
//! Promises: what it does not support is refused by the operator's name before anything is built; a panic in it becomes
//! an error; a run holds no more memory than it may. Leaves aborts and endless work to the process that
//! [`super::inspect`] starts for a file that is new.

use std::collections::BTreeMap;
use std::sync::Arc;

use lepton_analysis::onnx::{self, Element, Outline, Port};
use lepton_domain::model::{DataType, Signature, Tensor as Typed};
use lepton_domain::reason::{Fault, Reason};
use prost::Message;
use tract_onnx::pb::ModelProto;
use tract_onnx::tract_hir::internal::*;

use super::check;
use super::contain::contained;
use super::tensor::Tensor;
use super::{Backend, Loaded, invalid, shortened, stopped};
use plans::Plans;
use run::{Bounds, Halt};

mod plans;
mod run;
#[cfg(test)]
mod tests;
mod value;
mod warm;

/// The domain of classical operators, as the outline writes it before their names.
const CLASSICAL: &str = "ai.onnx.ml.";

/// The backend.
#[derive(Debug, Clone, Copy)]
pub struct Tract {
    run_memory_bytes_max: u64,
}

/// A model that tract runs.
#[derive(Debug)]
struct Ready {
    signature: Signature,
    metadata: BTreeMap<String, String>,
    plans: Plans,
    /// The names of the inputs' dimensions, empty where one has none. What has one name has one length.
    names: Vec<Vec<String>>,
    run_memory_bytes_max: u64,
}

impl Tract {
    /// The backend whose runs hold so many bytes of tensors at once, each by itself.
    pub fn new(run_memory_bytes_max: u64) -> Self {
        Self { run_memory_bytes_max }
    }
}

impl Backend for Tract {
    fn name(&self) -> &'static str {
        "tract"
    }

    fn load(&self, file: &[u8], stop: &dyn Fn() -> bool) -> Result<Arc<dyn Loaded>, Fault> {
        let refused = |refusal: onnx::Refusal| Fault::new(Reason::ModelInvalid, refusal.to_string());
        let outline = onnx::check(file).map_err(refused)?;
        supported(&outline)?;
        let inputs = inputs(&outline)?;
        let bounds = Bounds {
            memory_bytes_max: self.run_memory_bytes_max,
            stop,
        };
        let loaded = contained(|| load(file, inputs, &outline, bounds)).unwrap_or_else(|panic| Err(format_err!(panic)));
        let ready = loaded.map_err(|error| match Halt::of(&error) {
            Some(Halt::Stopped) => stopped(),
            _ => invalid(explained(&error)),
        })?;
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

    fn run(&self, inputs: Vec<Tensor>, stop: &dyn Fn() -> bool) -> Result<Vec<Tensor>, Fault> {
        check::shared(&self.names, &inputs)?;
        let values = inputs.iter().map(value::to_tract).collect::<Result<TVec<_>, Fault>>()?;
        let shapes = listed(&inputs);
        // Copied by now: only one of them is needed.
        drop(inputs);
        let bounds = Bounds {
            memory_bytes_max: self.run_memory_bytes_max,
            stop,
        };
        match contained(|| run(&self.plans, &self.signature, values, bounds)) {
            Ok(ran) => ran.map_err(|error| unusable(&error, &shapes)),
            Err(panic) => {
                let message = format!("the model broke down on these inputs: {}", shortened(&panic));
                Err(Fault::new(Reason::Internal, message))
            }
        }
    }
}

fn run(plans: &Plans, signature: &Signature, inputs: TVec<TValue>, bounds: Bounds<'_>) -> TractResult<Vec<Tensor>> {
    let outputs = plans.run(inputs, bounds)?;
    let named = signature.outputs.iter().zip(outputs);
    named
        .map(|(output, value)| value::of_tract(&output.name, &value))
        .collect()
}

/// Why a run gave nothing.
fn unusable(error: &TractError, shapes: &str) -> Fault {
    match Halt::of(error) {
        Some(Halt::Stopped) => stopped(),
        Some(halt @ Halt::Memory { most, .. }) => {
            let message = format!("the model takes too much memory for {shapes}: {halt}; send smaller tensors");
            Fault::new(Reason::TensorShape, message).with("limit", most.to_string())
        }
        None => {
            let message = format!("the model does not run on these inputs: {}", explained(error));
            Fault::new(Reason::TensorData, message)
        }
    }
}

/// Inputs in words, as `"x" FP32 [60000, 1]`.
fn listed(inputs: &[Tensor]) -> String {
    let dimensions = |tensor: &Tensor| {
        tensor
            .shape()
            .iter()
            .map(|it| i64::try_from(*it).unwrap_or(i64::MAX))
            .collect()
    };
    let typed = |tensor: &Tensor| Typed {
        name: tensor.name().to_owned(),
        datatype: tensor.datatype(),
        shape: dimensions(tensor),
    };
    check::listed(&inputs.iter().map(typed).collect::<Vec<_>>())
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

fn load(file: &[u8], inputs: Vec<Typed>, outline: &Outline, bounds: Bounds<'_>) -> TractResult<Ready> {
    let read = || ModelProto::decode(file).context("its bytes are damaged");
    let model = tract_onnx::onnx().model_for_proto_model(&read()?)?;
    let model = with_open_dimensions(model, &inputs)?;
    let opened = contained(|| Plans::open(model, bounds)).unwrap_or_else(|panic| Err(format_err!(panic)));
    let warm = opened.and_then(|plans| Ok((warm::up(&plans, &inputs, bounds)?, plans)));
    let names = |port: &Port| port.names.clone();
    let (outputs, plans, names) = match warm {
        Ok((outputs, plans)) => (outputs, plans, outline.inputs.iter().map(names).collect()),
        Err(error) if Halt::of(&error) == Some(&Halt::Stopped) => return Err(error),
        // Some models, most of all those that compute shapes from shapes, only make sense with numbers. Nothing holds
        // them to the names of their dimensions.
        Err(_) if inputs.iter().any(|input| input.shape.contains(&-1)) => {
            let plans = Plans::closed(read()?);
            (warm::up(&plans, &inputs, bounds)?, plans, Vec::new())
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
        names,
        run_memory_bytes_max: bounds.memory_bytes_max,
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
