//! Plans of one model: a single one with open dimensions where tract can, else one for each shape that comes.
//!
//! Promises: of a model, at most [`PLANS_MAX`] plans with [`PLANS_BYTES_MAX`] of weights are kept, and the newest in any
//! case. Leaves the check of inputs to [`signature`](crate::model::signature).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tract_onnx::pb::ModelProto;
use tract_onnx::tract_hir::internal::*;

use super::run::{RunBounds, RunPlan};

/// Plans in a [`PlanCache`].
const PLANS_MAX: usize = 8;
/// Bytes of weights in these plans: each holds its own copy of the model's, in packed form.
const PLANS_BYTES_MAX: u64 = 256 << 20;

/// Shapes of a model's inputs, in order.
type Shapes = Vec<Vec<usize>>;

/// Plans of one model.
#[derive(Debug)]
pub(super) enum PlanSet {
    /// One [`RunPlan`] for every shape.
    Open(Box<RunPlan>),
    /// One plan for each shape, where tract cannot analyse the model while dimensions are open.
    Closed {
        /// Read anew for each plan: names of dimensions that tract makes up would gather in a shared scope.
        file: Box<ModelProto>,
        plans: Mutex<PlanCache>,
    },
}

/// Plans by the shapes that they take, the newest use last.
#[derive(Debug, Default)]
pub(super) struct PlanCache(VecDeque<(Shapes, Arc<RunPlan>)>);

impl PlanSet {
    /// Makes one plan for all shapes.
    pub(super) fn open(model: InferenceModel, bounds: RunBounds<'_>) -> TractResult<Self> {
        Ok(Self::Open(Box::new(make(model, bounds)?)))
    }

    /// Prepares plans that are made for each shape as it comes.
    pub(super) fn closed(file: ModelProto) -> Self {
        Self::Closed {
            file: Box::new(file),
            plans: Mutex::default(),
        }
    }

    /// Dimensions of an output before a run: -1 where one is open; `None` where all are.
    pub(super) fn output_shape(&self, output: usize) -> Option<Vec<i64>> {
        let Self::Open(plan) = self else { return None };
        let fact = plan.model().output_fact(output).ok()?;
        Some(
            fact.shape
                .iter()
                .map(|dimension| dimension.to_i64().unwrap_or(-1))
                .collect(),
        )
    }

    /// Runs the model.
    pub(super) fn run(&self, inputs: TVec<TValue>, bounds: RunBounds<'_>) -> TractResult<TVec<TValue>> {
        match self {
            Self::Open(plan) => plan.run(inputs, bounds),
            Self::Closed { file, plans } => {
                let shapes: Shapes = inputs.iter().map(|input| input.shape().to_vec()).collect();
                let kept = || plans.lock().unwrap_or_else(PoisonError::into_inner);
                let found = kept().get(&shapes);
                // Not made under the lock, since that takes long. Two that make the same one do so for nothing.
                let plan = match found {
                    Some(plan) => plan,
                    None => {
                        let plan = Arc::new(closed_plan(file, &inputs, bounds)?);
                        kept().insert(shapes, Arc::clone(&plan));
                        plan
                    }
                };
                plan.run(inputs, bounds)
            }
        }
    }
}

impl PlanCache {
    fn get(&mut self, shapes: &Shapes) -> Option<Arc<RunPlan>> {
        let position = self.0.iter().position(|(of, _)| of == shapes)?;
        let found = self.0.remove(position)?;
        let plan = Arc::clone(&found.1);
        self.0.push_back(found);
        Some(plan)
    }

    fn insert(&mut self, shapes: Shapes, plan: Arc<RunPlan>) {
        self.0.retain(|(of, _)| *of != shapes);
        self.0.push_back((shapes, plan));
        let bytes = |kept: &Self| kept.0.iter().map(|(_, plan)| plan.bytes()).fold(0, u64::saturating_add);
        while self.0.len() > 1 && (self.0.len() > PLANS_MAX || bytes(self) > PLANS_BYTES_MAX) {
            self.0.pop_front();
        }
    }
}

fn closed_plan(file: &ModelProto, inputs: &[TValue], bounds: RunBounds<'_>) -> TractResult<RunPlan> {
    let mut model = tract_onnx::onnx().model_for_proto_model(file)?;
    for (place, input) in inputs.iter().enumerate() {
        let fact = InferenceFact::dt_shape(input.datum_type(), input.shape());
        model.set_input_fact(place, fact)?;
    }
    make(model, bounds)
}

/// Makes the plan of a model. tract cannot be stopped within a step, so the bounds are checked between them.
fn make(model: InferenceModel, bounds: RunBounds<'_>) -> TractResult<RunPlan> {
    bounds.check_stop()?;
    let mut model = model.into_typed()?;
    bounds.check_stop()?;
    model.declutter()?;
    bounds.check_stop()?;
    model.optimize()?;
    bounds.check_stop()?;
    RunPlan::new(model)
}
