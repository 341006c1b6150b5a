//! Why nothing was learnt, as the caller is told.

use lepton_analysis::train::Error;
use lepton_domain::reason::{Fault, Reason};

use crate::analysis::refusal;

/// The fault of an error.
pub(super) fn fault(error: Error) -> Fault {
    let message = error.to_string();
    match error {
        Error::Table(error) => refusal::fault(error),
        Error::FeatureNotFound { .. }
        | Error::FeatureNotNumeric { .. }
        | Error::FeatureIsTarget { .. }
        | Error::FeatureTwice { .. } => Fault::field("features", message),
        Error::NoFeature | Error::TooFewRows { .. } | Error::TargetConstant { .. } | Error::OutOfRange { .. } => {
            Fault::new(Reason::TrainingDataInsufficient, message)
        }
        Error::Diverged {
            learning_rate, epoch, ..
        } => Fault::new(Reason::TrainingDiverged, message)
            .with("learningRate", learning_rate.to_string())
            .with("epoch", epoch.to_string()),
    }
}
