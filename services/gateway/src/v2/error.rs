//! Errors of the Open Inference Protocol that arise in the gateway: of requests, and of workers' answers.
//!
//! Promises: one conversion each to the [`ApiError`] that callers read. Leaves what models refuse to the workers.

use lepton_domain::model::{DataType, NotDataType};
use lepton_domain::reason::{ApiError, Reason};
use lepton_proto::convert::value::JsonError;

/// An error of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A path without a target.
    #[error("there is no {0}")]
    NoRoute(String),
    /// The body is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// A field, a parameter or a header breaks a rule.
    #[error("{field}: {problem}")]
    Field {
        /// Its name.
        field: String,
        /// The rule, and the value that breaks it.
        problem: String,
    },
    /// A field that is not there.
    #[error("{what} has no field {field:?}; it has {known}")]
    UnknownField {
        /// The object.
        what: String,
        /// The field.
        field: String,
        /// The fields that there are.
        known: &'static str,
    },
    /// A body without JSON for a model with another number of inputs than one.
    #[error("a body without JSON is for models with one input, and this one has {0}")]
    InputCount(usize),
    /// Bytes behind the last input.
    #[error("{0} bytes of the body belong to no input")]
    Leftover(usize),
    /// A parameter that the protocol has and this server does not.
    #[error("tensor {tensor:?}: {why}")]
    NotBuilt {
        /// The tensor.
        tensor: String,
        /// The parameter, and the remedy.
        why: &'static str,
    },
    /// A type that the protocol does not have.
    #[error("input {tensor:?}: {problem}")]
    Type {
        /// The tensor.
        tensor: String,
        /// The type.
        problem: NotDataType,
    },
    /// A shape that no tensor has.
    #[error("{problem}")]
    Shape {
        /// The tensor.
        tensor: String,
        /// The tensor and its problem.
        problem: String,
    },
    /// A content that does not fit type and shape.
    #[error("{problem}")]
    Data {
        /// The tensor.
        tensor: String,
        /// The tensor and its problem.
        problem: String,
        /// Line and column of the problem, where it lies in the JSON.
        place: Option<(usize, usize)>,
    },
    /// Elements that are more bytes than a body may have.
    #[error("the tensors together have more bytes than a body may have; send less at once")]
    TooLarge {
        /// The tensor that went beyond.
        tensor: String,
    },
    /// A type in a model's record that this version does not know.
    #[error("{0}")]
    RecordedType(NotDataType),
}

impl RequestError {
    /// Error about one field.
    pub fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Field {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// Error about the content of one input.
    pub fn data(tensor: &str, problem: String) -> Self {
        Self::Data {
            tensor: tensor.to_owned(),
            problem,
            place: None,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Self::NoRoute(_) => Reason::RouteNotFound,
            Self::Json(error) => error.reason,
            Self::Field { .. } => Reason::FieldInvalid,
            Self::UnknownField { .. } => Reason::UnknownField,
            Self::InputCount(_) => Reason::TensorMissing,
            Self::NotBuilt { .. } => Reason::NotBuilt,
            Self::Type { .. } => Reason::TensorType,
            Self::Shape { .. } => Reason::TensorShape,
            Self::Leftover(_) | Self::Data { .. } => Reason::TensorData,
            Self::TooLarge { .. } => Reason::RequestTooLarge,
            Self::RecordedType(_) => Reason::FormatUnsupported,
        }
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        use RequestError as E;
        let api_error = Self::new(error.reason(), error.to_string());
        match error {
            E::Json(error) => error.into(),
            E::Field { field, problem } => Self::field(field, problem),
            E::NoRoute(path) => api_error.with("path", path),
            E::UnknownField { field, .. } => api_error.with("field", field),
            E::Data {
                tensor,
                place: Some((line, column)),
                ..
            } => api_error
                .with("tensor", tensor)
                .with("line", line.to_string())
                .with("column", column.to_string()),
            E::NotBuilt { tensor, .. }
            | E::Type { tensor, .. }
            | E::Shape { tensor, .. }
            | E::Data { tensor, .. }
            | E::TooLarge { tensor } => api_error.with("tensor", tensor),
            E::InputCount(_) | E::Leftover(_) | E::RecordedType(_) => api_error,
        }
    }
}

/// An error of a worker's answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is no message.
    #[error("a worker's answer: {0}")]
    Undecodable(#[from] prost::DecodeError),
    /// An output breaks the protocol.
    #[error("the worker's output {tensor:?}: {problem}")]
    Unreadable {
        /// The output.
        tensor: String,
        /// Its problem.
        problem: String,
    },
    /// A content that does not fit type and shape.
    #[error("output {tensor:?}: the worker's content does not fit its shape")]
    Misfit {
        /// The output.
        tensor: String,
    },
    /// A content that is too large as JSON.
    #[error("output {tensor:?} has {bytes} bytes; ask for it as binary data")]
    TooLarge {
        /// The output.
        tensor: String,
        /// Its size.
        bytes: usize,
    },
    /// A type without a form in JSON.
    #[error("output {tensor:?}: {datatype} cannot be told in JSON; ask for it with `binary_data`")]
    BinaryType {
        /// The output.
        tensor: String,
        /// Its type.
        datatype: DataType,
    },
    /// A text without a form in JSON.
    #[error("output {tensor:?}: element {index} is not UTF-8; ask for it with `binary_data`")]
    NotUtf8 {
        /// The output.
        tensor: String,
        /// The element.
        index: usize,
    },
}

impl From<AnswerError> for ApiError {
    fn from(error: AnswerError) -> Self {
        use AnswerError as E;
        let reason = match error {
            // Workers are of the mesh: what they send keeps the protocol.
            E::Undecodable(_) | E::Unreadable { .. } | E::Misfit { .. } => Reason::Internal,
            E::TooLarge { .. } => Reason::RequestTooLarge,
            E::BinaryType { .. } => Reason::TensorType,
            E::NotUtf8 { .. } => Reason::TensorData,
        };
        let api_error = Self::new(reason, error.to_string());
        match error {
            E::Undecodable(_) | E::Unreadable { .. } => api_error,
            E::Misfit { tensor }
            | E::TooLarge { tensor, .. }
            | E::BinaryType { tensor, .. }
            | E::NotUtf8 { tensor, .. } => api_error.with("tensor", tensor),
        }
    }
}
