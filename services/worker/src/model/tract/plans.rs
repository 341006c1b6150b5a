//! How tract runs one model: with open dimensions where it can, else with a plan for each shape that comes.
//!
//! Promises: of a model, at most [`PLANS_MAX`] plans with [`PLANS_BYTES_MAX`] of weights are kept, and the newest in any
//! case. Leaves what fits the model to `model::check`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tract_onnx::pb::ModelProto;
use tract_onnx::tract_hir::internal::*;

use super::run::{Bounds, Plan};

/// Plans for shapes, of the newest uses.
const PLANS_MAX: usize = 8;
/// Bytes of weights in them: each holds its own copy of what the model's were packed into.
const PLANS_BYTES_MAX: u64 = 256 << 20;

/// The shapes of a model's inputs, in order.
type Shapes = Vec<Vec<usize>>;

/// The ways to run one model.
#[derive(Debug)]
pub(super) enum Plans {
    /// One plan takes every shape.
    Open(Box<Plan>),
    /// tract does not see through the model while dimensions are open.
    Closed {
        /// Read anew for each plan: names of dimensions that tract makes up would gather in what two plans share.
        file: Box<ModelProto>,
        plans: Mutex<Kept>,
    },
}

/// Plans by the shapes that they take, the newest use last.
#[derive(Debug, Default)]
pub(super) struct Kept(VecDeque<(Shapes, Arc<Plan>)>);

impl Plans {
    /// One plan for all shapes.
    pub(super) fn open(model: InferenceModel, bounds: Bounds<'_>) -> TractResult<Self> {
        Ok(Self::Open(Box::new(made(model, bounds)?)))
    }

    /// A plan for each shape.
    pub(super) fn closed(file: ModelProto) -> Self {
        Self::Closed {
            file: Box::new(file),
            plans: Mutex::default(),
        }
    }

    /// What is known of the dimensions of an output before a run: -1 where one is open, nothing where all are.
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
    pub(super) fn run(&self, inputs: TVec<TValue>, bounds: Bounds<'_>) -> TractResult<TVec<TValue>> {
        match self {
            Self::Open(plan) => plan.run(inputs, bounds),
            Self::Closed { file, plans } => {
                let shapes: Shapes = inputs.iter().map(|input| input.shape().to_vec()).collect();
                let kept = || plans.lock().unwrap_or_else(PoisonError::into_inner);
                let found = kept().find(&shapes);
                // Not made under the lock, since that takes long. Two that make the same one do so for nothing.
                let plan = match found {
                    Some(plan) => plan,
                    None => {
                        let plan = Arc::new(closed_plan(file, &inputs, bounds)?);
                        kept().keep(shapes, Arc::clone(&plan));
                        plan
                    }
                };
                plan.run(inputs, bounds)
            }
        }
    }
}

impl Kept {
    fn find(&mut self, shapes: &Shapes) -> Option<Arc<Plan>> {
        let place = self.0.iter().position(|(of, _)| of == shapes)?;
        let found = self.0.remove(place)?;
        let plan = Arc::clone(&found.1);
        self.0.push_back(found);
        Some(plan)
    }

    fn keep(&mut self, shapes: Shapes, plan: Arc<Plan>) {
        self.0.retain(|(of, _)| *of != shapes);
        self.0.push_back((shapes, plan));
        let bytes = |kept: &Self| kept.0.iter().map(|(_, plan)| plan.bytes()).fold(0, u64::saturating_add);
        while self.0.len() > 1 && (self.0.len() > PLANS_MAX || bytes(self) > PLANS_BYTES_MAX) {
            self.0.pop_front();
        }
    }
}

fn closed_plan(file: &ModelProto, inputs: &[TValue], bounds: Bounds<'_>) -> TractResult<Plan> {
    let mut model = tract_onnx::onnx().model_for_proto_model(file)?;
    for (place, input) in inputs.iter().enumerate() {
        let fact = InferenceFact::dt_shape(input.datum_type(), input.shape());
        model.set_input_fact(place, fact)?;
    }
    made(model, bounds)
}

/// The plan of a model. tract cannot be stopped within a step, so it is asked between them whether it is still wanted.
fn made(model: InferenceModel, bounds: Bounds<'_>) -> TractResult<Plan> {
    bounds.go_on()?;
    let mut model = model.into_typed()?;
    bounds.go_on()?;
    model.declutter()?;
    bounds.go_on()?;
    model.optimize()?;
    bounds.go_on()?;
    Plan::new(model)
}
