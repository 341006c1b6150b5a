//! Failures of the worker, typed where they arise, and their one conversion to the wire.
//!
//! Promises: every failure has one [`Reason`], given here and nowhere else; [`Reason::Internal`] stands for broken
//! invariants alone. Leaves messages to the types, which know the values, and status codes to the table of reasons.
//! Modules that fail in one way own their type, as [`TensorError`]; types of modules that fail in many stand here.

use lepton_domain::model::{not_found, version_not_found};
use lepton_domain::reason::{ApiError, Reason};
use lepton_proto::convert::ConvertError;
use lepton_proto::convert::analysis::invalid_row;
use lepton_proto::convert::inference::VersionError;
use lepton_proto::convert::value::JsonError;

use crate::admission::AdmissionError;
use crate::model::cache::CacheError;
use crate::model::sandbox::ValidationError;
use crate::model::{LoadError, RunError, TensorError};

pub(crate) use infer::InferError;
pub(crate) use input::InputError;
pub(crate) use kind::{KindError, OutputError};
pub(crate) use predict::PredictError;
pub(crate) use service::ServiceError;

mod infer;
mod input;
mod kind;
mod predict;
mod service;
#[cfg(test)]
mod tests;

/// Any failure of the worker; an [`ApiError`] on the wire.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A request that does not fit beside those under way.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// A failure of the numerics, [`lepton_analysis`].
    #[error(transparent)]
    Analysis(#[from] lepton_analysis::Error),
    /// A model that is not in memory.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A message of a peer that cannot be converted.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// A failure of a crate below, which knows its [`Reason`].
    #[error(transparent)]
    Api(#[from] ApiError),
    /// An inference request that no model could take.
    #[error(transparent)]
    Infer(#[from] InferError),
    /// An input or a table that is wrong.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Text that is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A failure of a kind of task.
    #[error(transparent)]
    Kind(#[from] KindError),
    /// A file that cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Rows that a model does not take.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// A run that gave nothing.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The end of a part of the service.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// Work in a [`CpuPool`](crate::cpu_pool::CpuPool) that was stopped by its caller.
    #[error("{0}")]
    Stopped(&'static str),
    /// A tensor that a model does not take.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A training without a result.
    #[error(transparent)]
    Training(#[from] lepton_analysis::train::Error),
    /// A file that is no usable model.
    #[error(transparent)]
    Validation(#[from] ValidationError),
    /// A version of a model that is no number.
    #[error(transparent)]
    Version(#[from] VersionError),
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Api(api_error) => api_error,
            Error::Admission(error) => ApiError::new(Reason::Overloaded, message).retry_after(error.retry_after()),
            Error::Analysis(error) => analysis(error, message),
            Error::Cache(error) => cache(error, message),
            Error::Convert(error) => error.into(),
            Error::Infer(error) => infer(error, message),
            Error::Input(error) => input(error, message),
            Error::Json(error) => error.into(),
            Error::Kind(error) => kind(error, message),
            Error::Load(error) => load(error, message),
            Error::Predict(error) => predict(error, message),
            Error::Run(RunError::Tensor(error)) | Error::Tensor(error) => tensor(error, message),
            Error::Run(RunError::Stopped) | Error::Stopped(_) => ApiError::new(Reason::Cancelled, message),
            Error::Run(RunError::Panicked(_)) | Error::Service(_) => broken(message),
            Error::Training(error) => training(error, message),
            Error::Validation(error) => validation(error, message),
            Error::Version(error) => error.into(),
        }
    }
}

/// The error of a broken invariant, [`Reason::Internal`].
fn broken(message: String) -> ApiError {
    // Tasks and handlers do not panic, and the child that validates a model gives its verdict: see the types.
    ApiError::new(Reason::Internal, message)
}

fn analysis(error: lepton_analysis::Error, message: String) -> ApiError {
    use lepton_analysis::Error;
    match error {
        Error::NoRows => ApiError::new(Reason::NoRows, message),
        Error::NotFinite { column, row } => invalid_row(
            row,
            Some(&column),
            "a number that is not finite: send null for a missing value",
        ),
        Error::TooManyColumns { .. } | Error::TooSparse { .. } => ApiError::new(Reason::InvalidRow, message),
        Error::ColumnLength { .. } | Error::DuplicateColumn { .. } => ApiError::field("table.columns", message),
        Error::TargetNotFound { target, .. } => ApiError::new(Reason::TargetNotFound, message).with("target", target),
        Error::TargetNotNumeric { target, kind } => ApiError::new(Reason::TargetNotNumeric, message)
            .with("target", target)
            .with("type", kind.to_string()),
        Error::Cancelled => ApiError::new(Reason::Cancelled, message),
    }
}

fn training(error: lepton_analysis::train::Error, message: String) -> ApiError {
    use lepton_analysis::train::Error;
    match error {
        Error::Table(error) => analysis(error, message),
        Error::FeatureNotFound { .. }
        | Error::FeatureNotNumeric { .. }
        | Error::FeatureIsTarget { .. }
        | Error::FeatureTwice { .. } => ApiError::field("features", message),
        Error::NoFeature | Error::TooFewRows { .. } | Error::TargetConstant { .. } | Error::OutOfRange { .. } => {
            ApiError::new(Reason::TrainingDataInsufficient, message)
        }
        Error::Diverged {
            learning_rate, epoch, ..
        } => ApiError::new(Reason::TrainingDiverged, message)
            .with("learningRate", learning_rate.to_string())
            .with("epoch", epoch.to_string()),
    }
}

fn cache(error: CacheError, message: String) -> ApiError {
    match error {
        CacheError::NotFound { name } => not_found(&name),
        CacheError::RegistryUnread { name } => ApiError::new(Reason::ModelNotReady, message).with("model", name),
        CacheError::NotDeployed { name } => ApiError::new(Reason::ModelNotDeployed, message).with("model", name),
        CacheError::NotReady { name, version, .. } => ApiError::new(Reason::ModelNotReady, message)
            .with("model", name)
            .with("version", version.to_string())
            .retry_after(CacheError::RETRY_AFTER),
    }
}

fn tensor(error: TensorError, message: String) -> ApiError {
    let made = |reason, name: String| ApiError::new(reason, message.clone()).with("tensor", name);
    match error {
        TensorError::UnknownInput { name, .. } | TensorError::UnknownOutput { name, .. } => {
            made(Reason::TensorUnknown, name)
        }
        TensorError::Missing { name, .. } => made(Reason::TensorMissing, name),
        TensorError::Twice { name } => ApiError::field("inputs", format!("{name:?} is given twice")),
        TensorError::Type { name, expected, given } => made(Reason::TensorType, name)
            .with("expected", expected.as_str())
            .with("given", given),
        TensorError::NotNumeric { name, .. } => made(Reason::TensorType, name),
        TensorError::Shape {
            name, expected, given, ..
        } => made(Reason::TensorShape, name)
            .with("expected", format!("{expected:?}"))
            .with("given", given),
        TensorError::SharedDimension(error) => made(Reason::TensorShape, error.name)
            .with("expected", error.expected.to_string())
            .with("given", error.given.to_string()),
        TensorError::Data { name, .. } => made(Reason::TensorData, name),
        TensorError::Memory { limit, .. } => {
            ApiError::new(Reason::TensorShape, message).with("limit", limit.to_string())
        }
        TensorError::Unusable(_) => ApiError::new(Reason::TensorData, message),
    }
}

fn infer(error: InferError, message: String) -> ApiError {
    match error {
        InferError::TooManyTensors { .. } => ApiError::field("inputs", message),
        InferError::RawEntries { .. } => ApiError::new(Reason::TensorData, message),
        InferError::OutputTwice { .. } => ApiError::field("outputs", message),
        InferError::Unsupported { tensor, .. } => ApiError::new(Reason::NotBuilt, message).with("tensor", tensor),
    }
}

fn input(error: InputError, message: String) -> ApiError {
    match error {
        InputError::NotJson(_) => ApiError::new(Reason::InvalidJson, message),
        InputError::Field { field, problem } => ApiError::field(field, problem),
        InputError::UnknownField { name } => ApiError::new(Reason::UnknownField, message).with("field", name),
        InputError::NoRows(_) => ApiError::new(Reason::NoRows, message),
        InputError::Row { row, column, problem } => invalid_row(row, column.as_deref(), &problem),
        InputError::RowJson { row, source } => ApiError::from(source).with("row", row.to_string()),
        InputError::NotExact { row, shown_column, .. } => ApiError::new(Reason::NumberNotExact, message)
            .with("row", row.to_string())
            .with("column", shown_column),
        InputError::Consistency => ApiError::new(Reason::ConsistencyUnsupported, message),
    }
}

fn kind(error: KindError, message: String) -> ApiError {
    match error {
        KindError::ModelNotFound { name } => not_found(&name),
        KindError::VersionNotFound { name, version } => version_not_found(&name, version),
        KindError::BlobStoreClosed => ApiError::new(Reason::BlobUnavailable, message),
        KindError::NoCompleteRow => ApiError::new(Reason::NoRows, message),
        KindError::Output(_) | KindError::ExportDiffers { .. } => broken(message),
    }
}

fn load(error: LoadError, message: String) -> ApiError {
    match error {
        LoadError::Unreadable(_) | LoadError::Unsupported(_) => ApiError::new(Reason::ModelInvalid, message),
        LoadError::Operators(operators) => ApiError::new(Reason::ModelInvalid, message).with("operators", operators),
        LoadError::Stopped => ApiError::new(Reason::Cancelled, message),
    }
}

fn predict(error: PredictError, message: String) -> ApiError {
    let api_error = ApiError::new(Reason::ModelMismatch, message);
    match error.column() {
        Some(column) => api_error.with("column", column),
        None => api_error,
    }
}

fn validation(error: ValidationError, message: String) -> ApiError {
    match error {
        ValidationError::Refused(_) | ValidationError::Unsupported(_) => ApiError::new(Reason::ModelInvalid, message),
        ValidationError::Busy => ApiError::new(Reason::Overloaded, message).retry_after(ValidationError::RETRY_AFTER),
        ValidationError::Draining => ApiError::new(Reason::InstanceDraining, message),
        ValidationError::BlobStoreClosed => ApiError::new(Reason::BlobUnavailable, message),
        ValidationError::Process(error) if is_exhausted(&error) => {
            ApiError::new(Reason::Overloaded, message).retry_after(ValidationError::RETRY_AFTER)
        }
        ValidationError::Process(_) | ValidationError::NoVerdict { .. } => broken(message),
    }
}

/// Returns whether the system lacks memory, processes or file descriptors, of which there may be more in a moment.
fn is_exhausted(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| matches!(errno, Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE))
}
