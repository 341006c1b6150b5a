//! Errors of requests. Codes and messages are those of etcd 3.4 (`api/v3rpc/rpctypes/error.go`), because clients compare them.

use tonic::{Code, Status};

/// The error of a refused request; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RpcError {
    #[error("etcdserver: key is not provided")]
    EmptyKey,
    #[error("etcdserver: key not found")]
    KeyNotFound,
    #[error("etcdserver: value is provided")]
    ValueProvided,
    #[error("etcdserver: lease is provided")]
    LeaseProvided,
    #[error("etcdserver: too many operations in txn request")]
    TooManyOperations,
    #[error("etcdserver: duplicate key given in txn request")]
    DuplicateKey,
    #[error("etcdserver: request is too large")]
    TooLarge,
    #[error("etcdserver: invalid sort option")]
    InvalidSort,
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted,
    #[error("etcdserver: mvcc: required revision is a future revision")]
    FutureRevision,
    #[error("etcdserver: requested lease not found")]
    LeaseNotFound,
    #[error("etcdserver: lease already exists")]
    LeaseExists,
    #[error("etcdserver: too large lease TTL")]
    LeaseTtlTooLarge,
    #[error("etcdserver: authentication is not enabled")]
    AuthDisabled,
    /// The server ends, or its disk failed: the outcome of the request is unknown.
    #[error("etcdserver: server stopped")]
    Stopped,
    /// Part of the API that one embedded node leaves out on purpose.
    #[error("embedded etcd: {0}")]
    Unsupported(&'static str),
}

impl RpcError {
    fn code(self) -> Code {
        match self {
            Self::EmptyKey
            | Self::KeyNotFound
            | Self::ValueProvided
            | Self::LeaseProvided
            | Self::TooManyOperations
            | Self::DuplicateKey
            | Self::TooLarge
            | Self::InvalidSort => Code::InvalidArgument,
            Self::Compacted | Self::FutureRevision | Self::LeaseTtlTooLarge => Code::OutOfRange,
            Self::LeaseNotFound => Code::NotFound,
            Self::LeaseExists | Self::AuthDisabled => Code::FailedPrecondition,
            Self::Stopped => Code::Unavailable,
            Self::Unsupported(_) => Code::Unimplemented,
        }
    }
}

impl From<RpcError> for Status {
    fn from(error: RpcError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
