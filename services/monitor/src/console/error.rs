//! Errors of the console.
//!
//! Promises: one reason for each error, decided here.

use std::time::Duration;

use lepton_domain::reason::{ApiError, Reason};

/// Error of a page or of the form, converted to an [`ApiError`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConsoleError {
    /// Unusable query parameter.
    #[error("{name}={value:?} in the address; it takes {expected}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// Beginning of its value.
        value: String,
        /// Values that it takes.
        expected: String,
    },
    /// Path segment that is no task id.
    #[error("{0:?} is not the id of a task, a UUID")]
    TaskId(String),
    /// Path segment that is no trace id.
    #[error("{0:?} is not the id of a trace, 32 hexadecimal digits")]
    TraceId(String),
    /// Task without a trace.
    #[error("it has no trace")]
    NoTrace,
    /// Trace that is not in the store.
    #[error(
        "trace {0} is not kept: it was not sampled, it made room for newer ones, or its spans are on their way, which \
         takes some seconds"
    )]
    TraceNotStored(String),
    /// Path without a page.
    #[error("{0} is no page here; the console is at /")]
    UnknownPath(String),
    /// HTTP method that a page does not take.
    #[error("{path} does not take {method}; pages are read with GET")]
    Method {
        /// Path of the page.
        path: String,
        /// HTTP method.
        method: String,
    },
    /// Form from another site.
    #[error("this form was not sent by a page of this console; open the task here and cancel it there")]
    ForeignForm,
    /// Form with a token of another process.
    #[error("the page is older than this monitor; load the task anew and try again")]
    StaleForm,
    /// Form beyond its limit.
    #[error("the form is larger than this console makes any")]
    FormTooLarge,
    /// No response from a gateway in time.
    #[error("a gateway did not answer within {0:?}")]
    GatewayTimeout(Duration),
    /// No gateway among the instances.
    #[error("no gateway is known to this monitor")]
    NoGateway,
    /// Response that breaks the contract.
    #[error("the gateway answered without a {0}")]
    IncompleteResponse(&'static str),
    /// Cancellation that a gateway may have passed on.
    #[error("{cause}; whether task {task} was cancelled is not known: reload its page")]
    CancelOutcomeUnknown {
        /// Failure of the call.
        cause: String,
        /// Task id.
        task: String,
    },
}

impl ConsoleError {
    fn reason(&self) -> Reason {
        match self {
            Self::Parameter { .. } => Reason::FieldInvalid,
            Self::TaskId(_) => Reason::TaskNotFound,
            Self::TraceId(_) | Self::NoTrace | Self::TraceNotStored(_) => Reason::TraceNotFound,
            Self::UnknownPath(_) => Reason::RouteNotFound,
            Self::Method { .. } => Reason::MethodNotAllowed,
            Self::ForeignForm | Self::StaleForm => Reason::OriginRefused,
            Self::FormTooLarge => Reason::RequestTooLarge,
            Self::GatewayTimeout(_) | Self::NoGateway => Reason::GatewayUnreachable,
            // Gateways are of the mesh: what they send keeps the contract.
            Self::IncompleteResponse(_) => Reason::Internal,
            Self::CancelOutcomeUnknown { .. } => Reason::OutcomeUnknown,
        }
    }
}

impl From<ConsoleError> for ApiError {
    fn from(error: ConsoleError) -> Self {
        let api_error = Self::new(error.reason(), error.to_string());
        match error {
            ConsoleError::Parameter { name, expected, .. } => api_error.violation(name, format!("takes {expected}")),
            _ => api_error,
        }
    }
}
