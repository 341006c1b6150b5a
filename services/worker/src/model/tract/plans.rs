//! How tract runs one model: with open dimensions where it can, else with a plan for each shape that comes.
//!
//! Promises: at most [`PLANS_MAX`] plans of a model are kept. Leaves what fits the model to `model::check`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tract_onnx::tract_hir::internal::*;

/// Plans for shapes, of the newest uses. Each holds its own copy of what the model's weights were packed into.
const PLANS_MAX: usize = 8;

/// A plan, ready to run. Runs share it.
type Plan = Arc<TypedRunnableModel>;
/// The shapes of a model's inputs, in order.
type Shapes = Vec<Vec<usize>>;

/// The ways to run one model.
#[derive(Debug)]
pub(super) enum Plans {
    /// One plan takes every shape.
    Open(Plan),
    /// tract does not see through the model while dimensions are open.
    Closed {
        model: Box<InferenceModel>,
        plans: Mutex<VecDeque<(Shapes, Plan)>>,
    },
}

impl Plans {
    /// One plan for all shapes.
    pub(super) fn open(model: InferenceModel) -> TractResult<Self> {
        Ok(Self::Open(model.into_optimized()?.into_runnable()?))
    }

    /// A plan for each shape.
    pub(super) fn closed(model: InferenceModel) -> Self {
        Self::Closed {
            model: Box::new(model),
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
    pub(super) fn run(&self, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        match self {
            Self::Open(plan) => plan.run(inputs),
            Self::Closed { model, plans } => {
                let shapes: Shapes = inputs.iter().map(|input| input.shape().to_vec()).collect();
                // Not made under the lock, since that takes long. Two that make the same one do so for nothing.
                let plan = match kept(plans, &shapes) {
                    Some(plan) => plan,
                    None => keep(plans, shapes, closed_plan(model, &inputs)?),
                };
                plan.run(inputs)
            }
        }
    }
}

fn closed_plan(model: &InferenceModel, inputs: &[TValue]) -> TractResult<Plan> {
    let mut model = model.clone();
    for (place, input) in inputs.iter().enumerate() {
        let fact = InferenceFact::dt_shape(input.datum_type(), input.shape());
        model.set_input_fact(place, fact)?;
    }
    model.into_optimized()?.into_runnable()
}

fn kept(plans: &Mutex<VecDeque<(Shapes, Plan)>>, shapes: &Shapes) -> Option<Plan> {
    // A panic elsewhere leaves a list that is whole after every step.
    let mut plans = plans.lock().unwrap_or_else(PoisonError::into_inner);
    let place = plans.iter().position(|(of, _)| of == shapes)?;
    let found = plans.remove(place)?;
    let plan = Arc::clone(&found.1);
    plans.push_back(found);
    Some(plan)
}

fn keep(plans: &Mutex<VecDeque<(Shapes, Plan)>>, shapes: Shapes, plan: Plan) -> Plan {
    let mut plans = plans.lock().unwrap_or_else(PoisonError::into_inner);
    plans.retain(|(of, _)| *of != shapes);
    plans.push_back((shapes, Arc::clone(&plan)));
    if plans.len() > PLANS_MAX {
        plans.pop_front();
    }
    plan
}
