//! Reasons of errors, each with its gRPC code.
//!
//! Promises: one code per reason, in one table; names never change once released. Leaves the wire form of an error to
//! `lepton-proto` and `lepton-core`.

use std::fmt;
use std::str::FromStr;

pub use api_error::{ApiError, FieldViolation, QuotaViolation};
pub use code::Code;

pub mod api_error;
pub mod code;
#[cfg(test)]
mod tests;

/// Text that names no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a known reason")]
pub struct UnknownReason(pub String);

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $code:ident;)*) => {
        /// Reason of an error; the `reason` of [`google.rpc.ErrorInfo`](https://google.aip.dev/193).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[$doc])* $variant,)*
        }

        impl Reason {
            /// All reasons, in the order of the table.
            pub const ALL: &[Reason] = &[$(Reason::$variant,)*];

            /// Name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Reason::$variant => $name,)*
                }
            }

            /// gRPC code, always the same for a reason.
            pub const fn code(self) -> Code {
                match self {
                    $(Reason::$variant => Code::$code,)*
                }
            }
        }

        impl FromStr for Reason {
            type Err = UnknownReason;

            fn from_str(text: &str) -> Result<Self, UnknownReason> {
                match text {
                    $($name => Ok(Reason::$variant),)*
                    _ => Err(UnknownReason(text.to_owned())),
                }
            }
        }
    };
}

reasons! {
    // The request itself is wrong: sending it again will not help.
    /// The body is not JSON.
    InvalidJson = "INVALID_JSON", InvalidArgument;
    /// A JSON field that the message does not have.
    UnknownField = "UNKNOWN_FIELD", InvalidArgument;
    /// A field breaks a rule; the violations name it.
    FieldInvalid = "FIELD_INVALID", InvalidArgument;
    /// Analyze without rows.
    NoRows = "NO_ROWS", InvalidArgument;
    /// A row that is not a flat object.
    InvalidRow = "INVALID_ROW", InvalidArgument;
    /// An integer beyond 2^53.
    NumberNotExact = "NUMBER_NOT_EXACT", InvalidArgument;
    /// The target names no column.
    TargetNotFound = "TARGET_NOT_FOUND", InvalidArgument;
    /// The target column is not numeric.
    TargetNotNumeric = "TARGET_NOT_NUMERIC", InvalidArgument;
    /// No worker build knows this task kind.
    KindUnknown = "KIND_UNKNOWN", InvalidArgument;
    /// The pushed file is not a usable model.
    ModelInvalid = "MODEL_INVALID", InvalidArgument;
    /// The model does not take the rows' columns.
    ModelMismatch = "MODEL_MISMATCH", InvalidArgument;
    /// A tensor that the model does not have.
    TensorUnknown = "TENSOR_UNKNOWN", InvalidArgument;
    /// An input of the model was not given.
    TensorMissing = "TENSOR_MISSING", InvalidArgument;
    /// A tensor of another data type than the model's.
    TensorType = "TENSOR_TYPE", InvalidArgument;
    /// A tensor of another shape than the model's.
    TensorShape = "TENSOR_SHAPE", InvalidArgument;
    /// A tensor whose content does not fit its shape or type.
    TensorData = "TENSOR_DATA", InvalidArgument;
    /// The training did not converge: its loss grew without bound.
    TrainingDiverged = "TRAINING_DIVERGED", InvalidArgument;
    /// The table cannot be learnt from: too few complete rows, or no feature.
    TrainingDataInsufficient = "TRAINING_DATA_INSUFFICIENT", InvalidArgument;
    /// The request id was used before with other content.
    RequestIdReused = "REQUEST_ID_REUSED", InvalidArgument;
    /// The page token was not made by this listing.
    PageTokenInvalid = "PAGE_TOKEN_INVALID", InvalidArgument;
    /// A file cannot be read, or has another format than its name implies.
    FileUnreadable = "FILE_UNREADABLE", InvalidArgument;
    /// A configuration value is wrong.
    ConfigInvalid = "CONFIG_INVALID", InvalidArgument;
    /// The body is in an encoding or type that is not taken.
    ContentTypeUnsupported = "CONTENT_TYPE_UNSUPPORTED", InvalidArgument;

    // What was asked for is not there.
    /// No task with this id, or its record has been purged.
    TaskNotFound = "TASK_NOT_FOUND", NotFound;
    /// No model, or no such version of it.
    ModelNotFound = "MODEL_NOT_FOUND", NotFound;
    /// No incident with this id.
    IncidentNotFound = "INCIDENT_NOT_FOUND", NotFound;
    /// No trace with this id, or it is no longer kept.
    TraceNotFound = "TRACE_NOT_FOUND", NotFound;
    /// No live instance with this id.
    InstanceNotFound = "INSTANCE_NOT_FOUND", NotFound;
    /// No blob with this digest.
    BlobNotFound = "BLOB_NOT_FOUND", NotFound;
    /// No such path.
    RouteNotFound = "ROUTE_NOT_FOUND", NotFound;
    /// The path exists, the method does not.
    MethodNotAllowed = "METHOD_NOT_ALLOWED", Unimplemented;

    // The state of things forbids it: do not retry as it is.
    /// Cancel of a task that ended otherwise.
    TaskEnded = "TASK_ENDED", FailedPrecondition;
    /// A task that has not ended cannot be deleted or run again.
    TaskNotEnded = "TASK_NOT_ENDED", FailedPrecondition;
    /// A record that must be kept a while longer, because its request id counts on it.
    TaskRetained = "TASK_RETAINED", FailedPrecondition;
    /// A report from an attempt that is not the current one.
    AttemptStale = "ATTEMPT_STALE", FailedPrecondition;
    /// A success that came after the task had ended.
    AttemptSuperseded = "ATTEMPT_SUPERSEDED", AlreadyExists;
    /// The same submit came before; the metadata names the task.
    TaskExists = "TASK_EXISTS", AlreadyExists;
    /// The version is deployed.
    ModelInUse = "MODEL_IN_USE", FailedPrecondition;
    /// The model, or this version of it, is kept but not deployed.
    ModelNotDeployed = "MODEL_NOT_DEPLOYED", FailedPrecondition;
    /// No version was deployed before this one.
    NoPreviousVersion = "NO_PREVIOUS_VERSION", FailedPrecondition;
    /// No worker could load the version.
    ModelLoadFailed = "MODEL_LOAD_FAILED", FailedPrecondition;
    /// The port is taken.
    AddressInUse = "ADDRESS_IN_USE", FailedPrecondition;
    /// The data directory cannot be written.
    DataDirNotWritable = "DATA_DIR_NOT_WRITABLE", FailedPrecondition;
    /// Another process holds the data directory.
    DataDirInUse = "DATA_DIR_IN_USE", FailedPrecondition;
    /// Data in a format that this version does not know.
    FormatUnsupported = "FORMAT_UNSUPPORTED", FailedPrecondition;
    /// The blob store is not the one of this cluster.
    BlobStoreMismatch = "BLOB_STORE_MISMATCH", FailedPrecondition;
    /// A restore that gives up what came after the present state, without a word that this is wanted.
    LossNotAccepted = "LOSS_NOT_ACCEPTED", FailedPrecondition;
    /// A restore of a mesh whose scheduler leads, so that there is nothing to restore.
    LeaderPresent = "LEADER_PRESENT", FailedPrecondition;
    /// Quorum execution is not there yet.
    ConsistencyUnsupported = "CONSISTENCY_UNSUPPORTED", Unimplemented;
    /// The contract names it, this version does not do it.
    NotBuilt = "NOT_BUILT", Unimplemented;
    /// No valid credential.
    Unauthenticated = "UNAUTHENTICATED", Unauthenticated;
    /// The credential does not allow this.
    PermissionDenied = "PERMISSION_DENIED", PermissionDenied;
    /// A browser page of another site made the request.
    OriginRefused = "ORIGIN_REFUSED", PermissionDenied;

    // Too much.
    /// The body is over the limit.
    RequestTooLarge = "REQUEST_TOO_LARGE", ResourceExhausted;
    /// The tenant's quota is used up.
    QuotaExceeded = "QUOTA_EXCEEDED", ResourceExhausted;
    /// A bounded queue is full.
    Overloaded = "OVERLOADED", ResourceExhausted;
    /// etcd's space is nearly used up; what is left is kept for completions.
    JournalFull = "JOURNAL_FULL", ResourceExhausted;

    // Not now: retry the call.
    /// The deployed version is not in any worker's memory yet.
    ModelNotReady = "MODEL_NOT_READY", Unavailable;
    /// No worker can take it.
    NoWorker = "NO_WORKER", Unavailable;
    /// The journal cannot be written.
    JournalUnavailable = "JOURNAL_UNAVAILABLE", Unavailable;
    /// The blob store cannot be reached.
    BlobUnavailable = "BLOB_UNAVAILABLE", Unavailable;
    /// No gateway answers at the address.
    GatewayUnreachable = "GATEWAY_UNREACHABLE", Unavailable;
    /// This scheduler does not lead; the metadata names who does.
    NotLeader = "NOT_LEADER", Unavailable;
    /// Nobody is known to lead.
    LeaderUnavailable = "LEADER_UNAVAILABLE", Unavailable;
    /// This instance is about to leave.
    InstanceDraining = "INSTANCE_DRAINING", Unavailable;
    /// It may or may not have happened; asking again with the same request id is safe.
    OutcomeUnknown = "OUTCOME_UNKNOWN", Unavailable;
    /// The worker vanished and the task may run once only.
    WorkerLost = "WORKER_LOST", Unavailable;

    // It ended badly.
    /// The epoch is not the newest: another instance leads.
    StaleEpoch = "STALE_EPOCH", Aborted;
    /// Somebody else changed the model at the same time.
    ModelChanged = "MODEL_CHANGED", Aborted;
    /// A reader fell behind what is kept; start again from the current state.
    WatchLagged = "WATCH_LAGGED", Aborted;
    /// The task lost so many workers that it is suspected of killing them.
    Poison = "POISON", Aborted;
    /// The caller's deadline or the task's deadline passed.
    DeadlineExceeded = "DEADLINE_EXCEEDED", DeadlineExceeded;
    /// An attempt ran longer than the task's timeout.
    Timeout = "TIMEOUT", DeadlineExceeded;
    /// The caller or an operator cancelled it.
    Cancelled = "CANCELLED", Cancelled;
    /// The handler of the task failed.
    HandlerFailed = "HANDLER_FAILED", Internal;
    /// Stored data does not match its digest.
    DataCorrupt = "DATA_CORRUPT", DataLoss;
    /// A defect in Lepton.
    Internal = "INTERNAL", Internal;
}

impl Reason {
    /// HTTP status: the code's, except where HTTP has a status of its own.
    pub const fn http_status(self) -> u16 {
        match self {
            Reason::RequestTooLarge => 413,
            Reason::MethodNotAllowed => 405,
            Reason::ContentTypeUnsupported => 415,
            _ => self.code().http_status(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
