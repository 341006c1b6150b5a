//! Errors of models that arise in the gateway: of routing a call to one, and of pushing one.
//!
//! Promises: one conversion each to the [`ApiError`] that callers read. Leaves rules about models to [`lepton_domain::model`].

use std::time::Duration;

use lepton_domain::reason::{ApiError, Reason};

/// Delay before another try.
const RETRY: Duration = Duration::from_secs(1);

/// An error of the choice of a worker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoutingError {
    /// No worker answers at all.
    #[error("no worker answers at the moment; try again shortly")]
    NoWorker,
    /// No worker that answers has the model loaded.
    #[error("no worker that answers has {}model {model:?} in memory yet; try again shortly", of(.version))]
    NotReady {
        /// Its name.
        model: String,
        /// Its version, where the call names one.
        version: Option<u32>,
    },
    /// The model is registered, and no version of it is deployed.
    #[error("model {model:?} is kept, but no version of it is deployed; deploy one")]
    NotDeployed {
        /// Its name.
        model: String,
    },
    /// The version is registered and not deployed.
    #[error("version {version} of model {model:?} is not deployed; deploy it, or leave the version out")]
    VersionNotDeployed {
        /// The model's name.
        model: String,
        /// The version.
        version: u32,
    },
    /// The model is not in this gateway's view, and etcd cannot be asked.
    #[error("model {model:?} is not known here, and etcd, which may know it, cannot be asked: {why}")]
    Unknown {
        /// Its name.
        model: String,
        /// The error of etcd.
        why: String,
    },
    /// The version answers requests while its successor is loaded.
    #[error("version {version} of model {model:?} is served; deploy another one or undeploy it first")]
    StillServed {
        /// The model's name.
        model: String,
        /// The version.
        version: u32,
    },
}

fn of(version: &Option<u32>) -> String {
    version.map_or_else(String::new, |version| format!("version {version} of "))
}

impl RoutingError {
    fn reason(&self) -> Reason {
        match self {
            Self::NoWorker => Reason::NoWorker,
            Self::NotReady { .. } => Reason::ModelNotReady,
            Self::NotDeployed { .. } | Self::VersionNotDeployed { .. } => Reason::ModelNotDeployed,
            Self::Unknown { .. } => Reason::JournalUnavailable,
            Self::StillServed { .. } => Reason::ModelInUse,
        }
    }
}

impl From<RoutingError> for ApiError {
    fn from(error: RoutingError) -> Self {
        use RoutingError::{NoWorker, NotDeployed, NotReady, StillServed, Unknown, VersionNotDeployed};
        let api_error = Self::new(error.reason(), error.to_string());
        match error {
            NoWorker => api_error.retry_after(RETRY),
            NotReady { model, .. } | Unknown { model, .. } => api_error.with("model", model).retry_after(RETRY),
            NotDeployed { model } | VersionNotDeployed { model, .. } => api_error.with("model", model),
            StillServed { model, version } => api_error.with("model", model).with("version", version.to_string()),
        }
    }
}

/// An error of a push or of another change of a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The limit of pushes is reached. Who waits would hold a file in memory meanwhile.
    #[error("as many files as may are being pushed here already; try again shortly or elsewhere")]
    Busy,
    /// A body without a byte.
    #[error("the file is empty; send the ONNX file as the body")]
    Empty,
    /// The file is no model.
    #[error("{0}")]
    Invalid(String),
    /// The workers broke off over the file.
    #[error("no worker finished the validation of the file, and it may be repeated: {0}")]
    NotValidated(String),
    /// The task that stores the file has panicked, or was asked twice.
    #[error("a model's file is lost: {0}")]
    FileLost(String),
    /// The task that makes a change has panicked.
    #[error("a change of a model broke off: {0}")]
    BrokeOff(String),
}

impl From<PushError> for ApiError {
    fn from(error: PushError) -> Self {
        let message = error.to_string();
        match error {
            PushError::Busy => Self::new(Reason::Overloaded, message).retry_after(RETRY),
            PushError::Empty | PushError::Invalid(_) => Self::new(Reason::ModelInvalid, message),
            PushError::NotValidated(_) => Self::new(Reason::NoWorker, message).retry_after(RETRY),
            // Neither task panics, and the file is taken once, after it was written.
            PushError::FileLost(_) | PushError::BrokeOff(_) => Self::new(Reason::Internal, message),
        }
    }
}
