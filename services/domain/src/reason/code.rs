//! Canonical gRPC codes.
//!
//! Promises: numbers, names and HTTP statuses are those of `google.rpc.Code`. Leaves choosing one to the [table of
//! reasons](super::Reason).

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $http:literal;)*) => {
        /// Canonical [gRPC status code](https://grpc.io/docs/guides/status-codes/).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant = $number,)*
        }

        impl Code {
            /// All codes, by number.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            /// Number on the wire.
            pub const fn number(self) -> i32 {
                self as i32
            }

            /// Code with this number.
            pub fn from_number(number: i32) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.number() == number)
            }

            /// Upper-case name, such as `NOT_FOUND`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Code::$variant => $name,)*
                }
            }

            /// Code with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.name() == name)
            }

            /// HTTP status that Google's APIs [map it to](https://cloud.google.com/apis/design/errors).
            pub const fn http_status(self) -> u16 {
                match self {
                    $(Code::$variant => $http,)*
                }
            }
        }
    };
}

codes! {
    /// Success.
    Ok = 0, "OK", 200;
    /// Cancelled, typically by the caller.
    Cancelled = 1, "CANCELLED", 499;
    /// An error without a known code.
    Unknown = 2, "UNKNOWN", 500;
    /// The request is wrong whatever the state.
    InvalidArgument = 3, "INVALID_ARGUMENT", 400;
    /// The deadline passed.
    DeadlineExceeded = 4, "DEADLINE_EXCEEDED", 504;
    /// Something requested does not exist.
    NotFound = 5, "NOT_FOUND", 404;
    /// Something to be created exists already.
    AlreadyExists = 6, "ALREADY_EXISTS", 409;
    /// The caller lacks the permission.
    PermissionDenied = 7, "PERMISSION_DENIED", 403;
    /// A limit or quota is reached.
    ResourceExhausted = 8, "RESOURCE_EXHAUSTED", 429;
    /// The state of the system forbids it: do not retry.
    FailedPrecondition = 9, "FAILED_PRECONDITION", 400;
    /// Conflict: retry at a higher level.
    Aborted = 10, "ABORTED", 409;
    /// Beyond the valid range.
    OutOfRange = 11, "OUT_OF_RANGE", 400;
    /// Not implemented in this version.
    Unimplemented = 12, "UNIMPLEMENTED", 501;
    /// Broken invariant.
    Internal = 13, "INTERNAL", 500;
    /// Unavailable at present: retry the call.
    Unavailable = 14, "UNAVAILABLE", 503;
    /// Data is lost or damaged.
    DataLoss = 15, "DATA_LOSS", 500;
    /// No valid credentials.
    Unauthenticated = 16, "UNAUTHENTICATED", 401;
}
