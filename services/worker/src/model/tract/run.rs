//! One run of a plan, node by node.
//!
//! Promises: before a node is computed, the size of its outputs is added to what the run holds, and a run that would hold
//! more than it may ends there; so does one that is stopped. A size that only the numbers decide is counted as soon as it
//! is known. Leaves the computation of a node, and its duration, to tract.

use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::logic::IfThenElse;
use tract_onnx::tract_core::ops::scan::{OptScan, Scan};
use tract_onnx::tract_core::ops::source::TypedSource;
use tract_onnx::tract_core::plan::eval;
use tract_onnx::tract_hir::internal::*;

/// Longest input whose numbers are constants when a node infers the size of its outputs: shapes and counts.
const CONST_ELEMENTS_MAX: usize = 64;

/// Bounds of a run, or of the making of a plan.
#[derive(Clone, Copy)]
pub(super) struct RunBounds<'a> {
    /// Bytes of tensors that a run holds at once, its inputs among them and the model's weights not.
    pub(super) memory_bytes_max: u64,
    /// Predicate to poll: whether to stop.
    pub(super) stop: &'a dyn Fn() -> bool,
}

/// A run that ended before it was done, by its [`RunBounds`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Halt {
    /// Stopped by its caller.
    #[error("it was stopped")]
    Stopped,
    /// Too much memory.
    #[error("its node {node:?} would make it hold {needed} bytes of tensors, and a run may hold {most}")]
    Memory {
        /// The node that is one too many.
        node: String,
        /// Bytes held with its outputs.
        needed: u64,
        /// Bytes that may be held.
        most: u64,
    },
}

impl Halt {
    /// The halt in an error of tract's, if it is one.
    pub(super) fn of(error: &TractError) -> Option<&Self> {
        error.downcast_ref()
    }
}

impl RunBounds<'_> {
    /// Fails with [`Halt::Stopped`] once the run is stopped.
    pub(super) fn check_stop(&self) -> Result<(), Halt> {
        if (self.stop)() { Err(Halt::Stopped) } else { Ok(()) }
    }
}

/// A plan, ready to run.
#[derive(Debug)]
pub(super) struct RunPlan {
    runnable: Arc<TypedRunnableModel>,
    /// By node: the nodes whose outputs are not needed any more once it is computed.
    ends: Vec<TVec<usize>>,
}

impl RunPlan {
    /// The plan of a model that has been optimised.
    pub(super) fn new(model: TypedModel) -> TractResult<Self> {
        let runnable = model.into_runnable()?;
        let mut last = vec![None; runnable.model().nodes().len()];
        for &node in runnable.order_without_consts() {
            last[node] = Some(node);
            for input in &runnable.model().node(node).inputs {
                last[input.node] = Some(node);
            }
        }
        for output in runnable.model().output_outlets()? {
            last[output.node] = None;
        }
        let mut ends = vec![TVec::new(); last.len()];
        for (node, last) in last.into_iter().enumerate() {
            if let Some(last) = last {
                ends[last].push(node);
            }
        }
        Ok(Self { runnable, ends })
    }

    /// Model of the plan.
    pub(super) fn model(&self) -> &TypedModel {
        self.runnable.model()
    }

    /// Bytes of the constants, which are the model's weights in the form in which they are used.
    pub(super) fn bytes(&self) -> u64 {
        let constants = self.model().nodes().iter().filter(|node| node.op_is::<Const>());
        let facts = constants.flat_map(|node| &node.outputs).map(|outlet| &outlet.fact);
        facts
            .filter_map(|fact| fact_bytes(fact, &SymbolValues::default(), 0))
            .fold(0, u64::saturating_add)
    }

    /// Runs the plan; the error may be a [`Halt`].
    pub(super) fn run(&self, inputs: TVec<TValue>, bounds: RunBounds<'_>) -> TractResult<TVec<TValue>> {
        let mut held = RunMemory::new(self, &inputs, bounds)?;
        let mut state = self.runnable.spawn()?;
        state.run_plan_with_eval(inputs, |context, state, node, inputs| {
            held.compute(context, state, node, inputs)
        })
    }
}

/// Memory that a run of a [`RunPlan`] holds.
struct RunMemory<'a> {
    plan: &'a RunPlan,
    bounds: RunBounds<'a>,
    bytes: u64,
    of_nodes: Vec<u64>,
}

impl<'a> RunMemory<'a> {
    fn new(plan: &'a RunPlan, inputs: &[TValue], bounds: RunBounds<'a>) -> TractResult<Self> {
        let mut held = Self {
            plan,
            bounds,
            bytes: 0,
            of_nodes: vec![0; plan.ends.len()],
        };
        for (outlet, input) in plan.model().input_outlets()?.iter().zip(inputs) {
            held.add(outlet.node, value_bytes(input));
        }
        Ok(held)
    }

    fn compute(
        &mut self,
        context: &EvalContext<'_>,
        state: Option<&mut (dyn OpState + 'static)>,
        node: &TypedNode,
        inputs: TVec<TValue>,
    ) -> TractResult<TVec<TValue>> {
        self.bounds.check_stop()?;
        // Inputs are held from the start.
        let given = node.op_is::<TypedSource>();
        let outputs = if given {
            0
        } else {
            outputs_bytes(node, &inputs, context.symbols)
        };
        self.check_memory(node, outputs.saturating_add(inner_bytes(node, context.symbols)))?;
        let values = eval(context, state, node, inputs)?;
        if !given {
            let found = values.iter().map(value_bytes).fold(0, u64::saturating_add);
            self.add(node.id, found.max(outputs));
            self.check_memory(node, 0)?;
        }
        for ended in &self.plan.ends[node.id] {
            self.bytes -= std::mem::take(&mut self.of_nodes[*ended]);
        }
        Ok(values)
    }

    fn add(&mut self, node: usize, bytes: u64) {
        // What is held fits into memory, and all of it together into the number.
        self.of_nodes[node] = bytes;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn check_memory(&self, node: &TypedNode, bytes: u64) -> Result<(), Halt> {
        let (needed, most) = (self.bytes.saturating_add(bytes), self.bounds.memory_bytes_max);
        if needed <= most {
            return Ok(());
        }
        let node = node.name.clone();
        Err(Halt::Memory { node, needed, most })
    }
}

/// Bytes of a node's outputs, as far as they are known before it is computed.
fn outputs_bytes(node: &TypedNode, inputs: &[TValue], symbols: &SymbolValues) -> u64 {
    let text = longest_text(inputs);
    let inferred = || all(facts_from_values(node, inputs)?.iter(), symbols, text);
    declared_bytes(node, symbols, text).or_else(inferred).unwrap_or(0)
}

/// Bytes of a node's outputs as the plan declares them.
fn declared_bytes(node: &TypedNode, symbols: &SymbolValues, text_bytes: u64) -> Option<u64> {
    all(node.outputs.iter().map(|outlet| &outlet.fact), symbols, text_bytes)
}

fn all<'f>(facts: impl IntoIterator<Item = &'f TypedFact>, symbols: &SymbolValues, text_bytes: u64) -> Option<u64> {
    let mut sizes = facts.into_iter().map(|fact| fact_bytes(fact, symbols, text_bytes));
    sizes.try_fold(0_u64, |sum, size| Some(sum.saturating_add(size?)))
}

/// Infers the facts of a node's outputs from the values of its inputs, as nodes that repeat or count need to.
fn facts_from_values(node: &TypedNode, inputs: &[TValue]) -> Option<TVec<TypedFact>> {
    let fact = |value: &TValue| {
        value.is_plain().then(|| {
            let konst = (value.len() <= CONST_ELEMENTS_MAX).then(|| value.clone().into_arc_tensor());
            let shape = TypedFact::shape_and_dt_of(value);
            TypedFact { konst, ..shape }
        })
    };
    let facts: TVec<TypedFact> = inputs.iter().map(fact).collect::<Option<_>>()?;
    let facts: TVec<&TypedFact> = facts.iter().collect();
    node.op.output_facts(&facts).ok()
}

/// Bytes that a node takes inside: the tensors of the graphs that it runs, as if it held all of them at once.
fn inner_bytes(node: &TypedNode, symbols: &SymbolValues) -> u64 {
    let graph = |model: &TypedModel| {
        let nodes = model.nodes().iter().filter(|node| !node.op_is::<Const>());
        let bytes = nodes.map(|node| {
            let outputs = declared_bytes(node, symbols, 0).unwrap_or(0);
            outputs.saturating_add(inner_bytes(node, symbols))
        });
        bytes.fold(0, u64::saturating_add)
    };
    if let Some(scan) = node.op_as::<OptScan>() {
        return graph(scan.plan.model());
    }
    if let Some(scan) = node.op_as::<Scan>() {
        return graph(&scan.body);
    }
    match node.op_as::<IfThenElse>() {
        Some(branches) => graph(&branches.then_body).max(graph(&branches.else_body)),
        None => 0,
    }
}

/// Bytes of a tensor of this kind, where its dimensions are known; `text_bytes` is the size of one of its texts.
fn fact_bytes(fact: &TypedFact, symbols: &SymbolValues, text_bytes: u64) -> Option<u64> {
    let number = |dimension: &TDim| u64::try_from(dimension.maybe_eval_to_i64(symbols)?).ok();
    let elements = fact
        .shape
        .iter()
        .try_fold(1_u64, |count, dimension| Some(count.saturating_mul(number(dimension)?)))?;
    let texts = if fact.datum_type == DatumType::String {
        text_bytes
    } else {
        0
    };
    let plain = elements.saturating_mul((fact.datum_type.size_of() as u64).saturating_add(texts));
    let packed = fact.exotic_fact().into_iter().flat_map(|packed| packed.buffer_sizes());
    packed
        .map(|size| number(&size))
        .try_fold(plain, |sum, size| Some(sum.saturating_add(size?)))
}

/// Bytes of a tensor.
fn value_bytes(value: &TValue) -> u64 {
    let plain = (value.len() as u64).saturating_mul(value.datum_type().size_of() as u64);
    texts(value)
        .map(|text| text.len() as u64)
        .fold(plain, u64::saturating_add)
}

fn longest_text(inputs: &[TValue]) -> u64 {
    let texts = inputs.iter().flat_map(texts);
    texts.map(|text| text.len() as u64).max().unwrap_or(0)
}

fn texts(value: &TValue) -> impl Iterator<Item = &String> {
    let view = (value.datum_type() == DatumType::String).then(|| value.try_as_plain_ram().ok());
    let texts = view.flatten().and_then(|view| view.as_slice::<String>().ok());
    texts.unwrap_or_default().iter()
}
