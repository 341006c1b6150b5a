//! Errors of etcd, by what the caller may conclude.
//!
//! Promises: an error that is not `is_unknown()` was decided by etcd and the request changed nothing. Whatever is
//! not recognised counts as unknown, because a wrong "refused" loses data and a wrong "unknown" costs a repetition.

use std::time::Duration;

use lepton_domain::reason::{ApiError, Reason};
use tonic::{Code, Status};

/// Retry delay of a call that etcd did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Prefix of etcd's own errors; other texts of the same code come from the client library.
const FROM_ETCD: &str = "etcdserver:";

/// Why a call to etcd failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EtcdError {
    /// No answer, or one that leaves it open whether the request has been applied.
    #[error("etcd does not answer ({0}); the outcome is unknown")]
    Unavailable(String),
    /// etcd answered and did nothing.
    #[error("etcd refused the request ({0:?}): {1}")]
    Refused(Code, String),
    /// etcd's space quota is used up. Reads and deletes still pass.
    #[error("etcd has no space left: trim the journal, compact, defragment, then disarm the alarm")]
    Space,
    /// The revision asked for is compacted away: list again.
    #[error("etcd has compacted the revisions up to {revision}")]
    Compacted {
        /// The oldest revision that is left; 0 where etcd does not say.
        revision: i64,
    },
    /// The lease is gone, by expiry or by revocation.
    #[error("the lease has expired")]
    LeaseGone,
    /// A key holds something that the mesh did not write.
    #[error("the key {0} holds no valid value; another program writes below the mesh's prefix")]
    Malformed(String),
}

impl EtcdError {
    /// Returns whether the request may have been applied.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Converts to the error that the mesh's caller receives.
    pub fn api_error(&self) -> ApiError {
        let reason = if matches!(self, Self::Space) {
            Reason::JournalFull
        } else {
            Reason::JournalUnavailable
        };
        ApiError::new(reason, self.to_string()).retry_after(RETRY_AFTER)
    }
}

impl From<etcd_client::Error> for EtcdError {
    fn from(error: etcd_client::Error) -> Self {
        match error {
            etcd_client::Error::GRpcStatus(status) => from_status(&status),
            etcd_client::Error::InvalidArgs(text) => Self::Refused(Code::InvalidArgument, text),
            // The client answers so only when the first keep-alive says that the lease has no time left.
            etcd_client::Error::LeaseKeepAliveError(text) if text == "lease not found" => Self::LeaseGone,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

fn from_status(status: &Status) -> EtcdError {
    let (code, message) = (status.code(), status.message());
    let decided = match code {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::Unimplemented => true,
        // The library uses these two codes for answers that it cannot take, which is no decision of etcd's.
        Code::OutOfRange | Code::ResourceExhausted => message.starts_with(FROM_ETCD),
        _ => false,
    };
    if !decided {
        return EtcdError::Unavailable(format!("{code:?}: {message}"));
    }
    if message.contains("required revision has been compacted") {
        EtcdError::Compacted { revision: 0 }
    } else if message.contains("database space exceeded") {
        EtcdError::Space
    } else if message.contains("requested lease not found") {
        EtcdError::LeaseGone
    } else {
        EtcdError::Refused(code, message.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_etcd_decided_is_known() {
        let of = |code, text: &str| from_status(&Status::new(code, text));
        assert_eq!(
            of(
                Code::OutOfRange,
                "etcdserver: mvcc: required revision has been compacted"
            ),
            EtcdError::Compacted { revision: 0 }
        );
        assert_eq!(
            of(Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded"),
            EtcdError::Space
        );
        assert_eq!(
            of(Code::NotFound, "etcdserver: requested lease not found"),
            EtcdError::LeaseGone
        );
        assert!(!of(Code::InvalidArgument, "etcdserver: request is too large").is_unknown());
        for (code, text) in [
            (Code::OutOfRange, "decoded message length too large"),
            (Code::Unavailable, "etcdserver: request timed out"),
            (Code::Unknown, "transport error"),
            (Code::Internal, "h2 protocol error"),
            (Code::Cancelled, ""),
            (Code::DeadlineExceeded, "context deadline exceeded"),
        ] {
            assert!(of(code, text).is_unknown(), "{code:?} {text}");
        }
    }
}
