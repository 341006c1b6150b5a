//! The built-in backend: tract, in pure Rust.
//!
//! Promises: an unsupported file is refused by the operator's name before anything is built; a panic in it becomes
//! an error; a run holds no more memory than it may. Leaves aborts and endless work to the process that
//! [`sandbox`](super::sandbox) starts for a file that is new.

use std::collections::BTreeMap;
use std::sync::Arc;

use lepton_analysis::onnx::{self, Element, Outline, Port};
use lepton_domain::model::{DataType, Signature, Tensor as TensorSpec};
use prost::Message;
use tract_onnx::pb::ModelProto;
use tract_onnx::tract_hir::internal::*;

use super::tensor::{Tensor, TensorError};
use super::{Backend, LoadError, LoadedModel, RunError, shortened, signature};
use crate::panics::catch_panic;
use plans::PlanSet;
use run::{Halt, RunBounds};

mod plans;
mod run;
#[cfg(test)]
mod tests;
mod value;
mod warm_up;

/// Domain of classical operators, as the outline writes it before their names.
const CLASSICAL: &str = "ai.onnx.ml.";

/// The backend.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tract {
    run_memory_bytes_max: u64,
}

/// A model that tract runs.
#[derive(Debug)]
struct TractModel {
    signature: Signature,
    metadata: BTreeMap<String, String>,
    plans: PlanSet,
    /// Names of the inputs' dimensions, empty where one has none. Dimensions of one name have one length.
    names: Vec<Vec<String>>,
    run_memory_bytes_max: u64,
}

impl Tract {
    /// A backend whose runs hold so many bytes of tensors at once, each by itself.
    pub(crate) fn new(run_memory_bytes_max: u64) -> Self {
        Self { run_memory_bytes_max }
    }
}

impl Backend for Tract {
    fn load(&self, file: &[u8], stop: &dyn Fn() -> bool) -> Result<Arc<dyn LoadedModel>, LoadError> {
        let refused = |invalid: onnx::InvalidModel| LoadError::Unreadable(invalid.to_string());
        let outline = onnx::check(file).map_err(refused)?;
        check_operators(&outline)?;
        let inputs = declared_inputs(&outline)?;
        let bounds = RunBounds {
            memory_bytes_max: self.run_memory_bytes_max,
            stop,
        };
        let loaded =
            catch_panic(|| load(file, inputs, &outline, bounds)).unwrap_or_else(|panic| Err(format_err!(panic)));
        let ready = loaded.map_err(|error| match Halt::of(&error) {
            Some(Halt::Stopped) => LoadError::Stopped,
            _ => LoadError::unsupported(explain(&error)),
        })?;
        Ok(Arc::new(TractModel {
            metadata: outline.metadata,
            ..ready
        }))
    }
}

impl LoadedModel for TractModel {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    fn run(&self, inputs: Vec<Tensor>, stop: &dyn Fn() -> bool) -> Result<Vec<Tensor>, RunError> {
        signature::check_shared_dimensions(&self.names, &inputs)?;
        let values = inputs
            .iter()
            .map(value::to_tract)
            .collect::<Result<TVec<_>, TensorError>>()?;
        let shapes = describe(&inputs);
        // Copied by now: only one of them is needed.
        drop(inputs);
        let bounds = RunBounds {
            memory_bytes_max: self.run_memory_bytes_max,
            stop,
        };
        match catch_panic(|| run(&self.plans, &self.signature, values, bounds)) {
            Ok(outputs) => outputs.map_err(|error| run_error(&error, shapes)),
            Err(panic) => Err(RunError::Panicked(shortened(&panic))),
        }
    }
}

fn run(
    plans: &PlanSet,
    signature: &Signature,
    inputs: TVec<TValue>,
    bounds: RunBounds<'_>,
) -> TractResult<Vec<Tensor>> {
    let outputs = plans.run(inputs, bounds)?;
    let named = signature.outputs.iter().zip(outputs);
    named
        .map(|(output, value)| value::from_tract(&output.name, &value))
        .collect()
}

/// The error of a run on inputs of these shapes.
fn run_error(error: &TractError, shapes: String) -> RunError {
    match Halt::of(error) {
        Some(Halt::Stopped) => RunError::Stopped,
        Some(halt @ Halt::Memory { most, .. }) => RunError::Tensor(TensorError::Memory {
            shapes,
            halt: halt.to_string(),
            limit: *most,
        }),
        None => RunError::Tensor(TensorError::Unusable(explain(error))),
    }
}

/// Describes inputs for people, as `"x" FP32 [60000, 1]`.
fn describe(inputs: &[Tensor]) -> String {
    let dimensions = |tensor: &Tensor| {
        tensor
            .shape()
            .iter()
            .map(|it| i64::try_from(*it).unwrap_or(i64::MAX))
            .collect()
    };
    let spec = |tensor: &Tensor| TensorSpec {
        name: tensor.name().to_owned(),
        datatype: tensor.datatype(),
        shape: dimensions(tensor),
    };
    signature::describe_all(&inputs.iter().map(spec).collect::<Vec<_>>())
}

/// Refuses operators that tract does not have.
fn check_operators(outline: &Outline) -> Result<(), LoadError> {
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
    Err(LoadError::Operators(shortened(&unknown.join(", "))))
}

/// The inputs that a caller gives, as the file declares them.
fn declared_inputs(outline: &Outline) -> Result<Vec<TensorSpec>, LoadError> {
    let input = |port: &Port| {
        let datatype = datatype(port).filter(|datatype| value::datum_type(*datatype).is_some());
        let of = port.element.map_or("no tensor type", Element::name);
        let name = &port.name;
        let datatype = datatype
            .ok_or_else(|| LoadError::unsupported(format_args!("input {name:?} is of {of}, which is not supported")))?;
        let shape = port.shape.clone().ok_or_else(|| {
            LoadError::unsupported(format_args!(
                "input {name:?} does not declare its dimensions; export it with its shape"
            ))
        })?;
        Ok(TensorSpec {
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

fn load(file: &[u8], inputs: Vec<TensorSpec>, outline: &Outline, bounds: RunBounds<'_>) -> TractResult<TractModel> {
    let read = || ModelProto::decode(file).context("its bytes are damaged");
    let model = tract_onnx::onnx().model_for_proto_model(&read()?)?;
    let model = with_open_dimensions(model, &inputs)?;
    let opened = catch_panic(|| PlanSet::open(model, bounds)).unwrap_or_else(|panic| Err(format_err!(panic)));
    let warm = opened.and_then(|plans| Ok((warm_up::run(&plans, &inputs, bounds)?, plans)));
    let names = |port: &Port| port.names.clone();
    let (outputs, plans, names) = match warm {
        Ok((outputs, plans)) => (outputs, plans, outline.inputs.iter().map(names).collect()),
        Err(error) if Halt::of(&error) == Some(&Halt::Stopped) => return Err(error),
        // Some models, most of all those that compute shapes from shapes, only make sense with numbers. Nothing holds
        // them to the names of their dimensions.
        Err(_) if inputs.iter().any(|input| input.shape.contains(&-1)) => {
            let plans = PlanSet::closed(read()?);
            (warm_up::run(&plans, &inputs, bounds)?, plans, Vec::new())
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
        Ok(TensorSpec {
            name: port.name.clone(),
            datatype: value::datatype(value.datum_type())?,
            shape: shape.unwrap_or_else(|| vec![-1; rank]),
        })
    });
    let outputs = outputs.collect::<TractResult<Vec<_>>>()?;
    Ok(TractModel {
        signature: Signature { inputs, outputs },
        metadata: BTreeMap::new(),
        plans,
        names,
        run_memory_bytes_max: bounds.memory_bytes_max,
    })
}

/// Gives dimensions without a name one of their own, and checks that inputs stand in tract's model as they do in ours.
fn with_open_dimensions(mut model: InferenceModel, inputs: &[TensorSpec]) -> TractResult<InferenceModel> {
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

/// Explains an error of tract's in one line: the context first, then the cause.
fn explain(error: &TractError) -> String {
    shortened(&format!("{error:#}").replace('\n', " "))
}
