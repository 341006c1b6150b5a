//! Errors of the edge, before a request reaches its service.
//!
//! Promises: typed where it arises; one conversion to the [`ApiError`] that callers read. Leaves forms to [`crate::edge`].

use std::time::Duration;

use http::Method;
use lepton_domain::reason::{ApiError, Reason};
use lepton_mesh::memory_budget::Exhausted;
use lepton_proto::proto_json::PrintError;
use lepton_proto::roles::{self, Role};

/// Delay before a retry when the [`MemoryBudget`](lepton_mesh::memory_budget::MemoryBudget) is used up: about as long as a large
/// body takes to be dealt with.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why the edge refuses a request.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// The page of another site made the request.
    #[error("pages of {0:?} may not use this gateway; name the origin in edge.allowed_origins")]
    OriginRefused(String),
    /// The caller may not call this RPC.
    #[error("the role {} may not call {rpc}, which needs {}", roles::name(*role), roles::name(*needed))]
    RoleTooLow {
        /// `package.Service/Method`.
        rpc: String,
        /// The caller's role.
        role: Role,
        /// The RPC's role.
        needed: Role,
    },
    /// The RPC has no role, so nobody may call it.
    #[error("{0} has no row in the table of roles")]
    RoleUnknown(String),
    /// No layer has found the caller.
    #[error("the request came past the layer that finds its caller")]
    NoCaller,
    /// No layer has found the target, or one of another dialect.
    #[error("the request came past the layer that finds its target")]
    NoTarget,
    /// The requests under way hold all memory that there is for them.
    #[error("{0}; try again shortly or elsewhere")]
    MemoryExhausted(#[from] Exhausted),
    /// The encoding of the body is not known.
    #[error("content-encoding {0} is not taken; send gzip, deflate or plain text")]
    EncodingUnknown(String),
    /// The body is not in the encoding that its headers name.
    #[error("content-encoding says {encoding}, and it is not: {source}")]
    EncodingBroken {
        /// The encoding.
        encoding: &'static str,
        /// The decoder's error.
        source: std::io::Error,
    },
    /// The body is too large.
    #[error("the body has more than {limit} bytes; send less at once")]
    BodyTooLarge {
        /// The most bytes, decompressed.
        limit: usize,
    },
    /// The client stopped sending in the middle of the body.
    #[error("no byte of the body came for {} s; {received} had come", waited.as_secs())]
    BodyStalled {
        /// The pause.
        waited: Duration,
        /// The bytes that had come.
        received: usize,
    },
    /// The body breaks the rules of HTTP, or ends before its end.
    #[error("its transfer is broken: {cause}; send whole chunks, or as many bytes as content-length says")]
    BodyMalformed {
        /// The error of hyper.
        cause: String,
    },
    /// The client went away.
    #[error("the body broke off: {cause}")]
    BodyBrokeOff {
        /// The error of the transport.
        cause: String,
    },
    /// The body of a gRPC call is not one message behind its prefix.
    #[error("the body is not one whole message")]
    MessageIncomplete,
    /// The body of a gRPC-Web call in text is not base64.
    #[error("it is not base64: {0}")]
    NotBase64(#[from] base64::DecodeError),
    /// A variant of gRPC-Web that is not spoken here.
    #[error("content-type {0} is not taken; send application/grpc-web+proto or application/grpc-web-text+proto")]
    GrpcWebUnknown(String),
    /// gRPC-Web by another method than POST.
    #[error("gRPC-Web calls are made by POST, not {0}")]
    GrpcWebMethod(Method),
    /// Work on a large body panicked or was cancelled.
    #[error("work on a body broke off: {0}")]
    Offload(#[from] tokio::task::JoinError),
    /// The call that was made for the request failed: an [`UpstreamError`].
    #[error("{0}")]
    Upstream(#[from] UpstreamError),
}

/// Why a gRPC call that the gateway makes has no answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The service refused it or failed.
    #[error("{0}")]
    Refused(ApiError),
    /// It did not even answer as gRPC does.
    #[error("a service answered HTTP {0}")]
    Http(http::StatusCode),
    /// The answer broke off: nobody knows what was done.
    #[error("the answer broke off: {0}")]
    BrokeOff(String),
    /// An OK without a message.
    #[error("a service gave no answer")]
    Empty,
    /// The answer is compressed, although no encoding was offered.
    #[error("the service compressed its answer")]
    Compressed,
    /// The answer is too large.
    #[error("the answer has {0} bytes; ask for less")]
    TooLarge(usize),
    /// The request cannot be made, as its path is none.
    #[error("the call cannot be made: {0}")]
    Path(#[from] http::Error),
    /// The answer has no form in JSON.
    #[error(transparent)]
    Unprintable(#[from] PrintError),
}

impl From<UpstreamError> for ApiError {
    fn from(error: UpstreamError) -> Self {
        let reason = match error {
            UpstreamError::Refused(api_error) => return api_error,
            UpstreamError::BrokeOff(_) => Reason::OutcomeUnknown,
            UpstreamError::TooLarge(_) => Reason::RequestTooLarge,
            // Services of the mesh speak gRPC as it was offered, their answers keep the contract, and so do paths.
            UpstreamError::Http(_)
            | UpstreamError::Empty
            | UpstreamError::Compressed
            | UpstreamError::Path(_)
            | UpstreamError::Unprintable(_) => Reason::Internal,
        };
        Self::new(reason, error.to_string())
    }
}

impl From<EdgeError> for ApiError {
    fn from(error: EdgeError) -> Self {
        use EdgeError as E;
        let message = error.to_string();
        let invalid = |field: &str| Self::field(field, message.clone());
        match error {
            E::OriginRefused(origin) => Self::new(Reason::OriginRefused, message).with("origin", origin),
            E::RoleTooLow { rpc, role, needed } => Self::new(Reason::PermissionDenied, message)
                .with("rpc", rpc)
                .with("role", roles::name(role))
                .with("needed", roles::name(needed)),
            E::MemoryExhausted(_) => Self::new(Reason::Overloaded, message).retry_after(RETRY_AFTER),
            E::EncodingUnknown(_) | E::GrpcWebUnknown(_) => Self::new(Reason::ContentTypeUnsupported, message),
            E::EncodingBroken { .. } | E::BodyMalformed { .. } | E::NotBase64(_) => invalid("body"),
            E::BodyTooLarge { limit } => Self::new(Reason::RequestTooLarge, message).with("limit", limit.to_string()),
            E::BodyStalled { .. } => Self::new(Reason::DeadlineExceeded, message),
            E::BodyBrokeOff { .. } => Self::new(Reason::Cancelled, message),
            E::MessageIncomplete => invalid("request"),
            E::GrpcWebMethod(_) => Self::new(Reason::MethodNotAllowed, message).with("allow", "POST"),
            E::Upstream(error) => error.into(),
            // The build gives every RPC a role, the stack finds caller and target, and the work on bodies does not panic.
            E::RoleUnknown(_) | E::NoCaller | E::NoTarget | E::Offload(_) => Self::new(Reason::Internal, message),
        }
    }
}
