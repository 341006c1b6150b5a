//! The canonical gRPC codes.
//!
//! Promises: numbers, names and HTTP statuses are those of `google.rpc.Code`. Leaves choosing one to the table of
//! reasons.

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $http:literal;)*) => {
        /// A canonical gRPC status code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant = $number,)*
        }

        impl Code {
            /// Every code, by number.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];

            /// The number on the wire.
            pub const fn number(self) -> i32 {
                self as i32
            }

            /// The code of this number, if there is one.
            pub fn from_number(number: i32) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.number() == number)
            }

            /// The upper-case name, such as `NOT_FOUND`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Code::$variant => $name,)*
                }
            }

            /// The code of this name, if there is one.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.name() == name)
            }

            /// The HTTP status that Google's APIs map it to.
            pub const fn http_status(self) -> u16 {
                match self {
                    $(Code::$variant => $http,)*
                }
            }
        }
    };
}

codes! {
    /// Done.
    Ok = 0, "OK", 200;
    /// The caller gave up.
    Cancelled = 1, "CANCELLED", 499;
    /// An error without a known code.
    Unknown = 2, "UNKNOWN", 500;
    /// The request is wrong whatever the state.
    InvalidArgument = 3, "INVALID_ARGUMENT", 400;
    /// Time ran out.
    DeadlineExceeded = 4, "DEADLINE_EXCEEDED", 504;
    /// It is not there.
    NotFound = 5, "NOT_FOUND", 404;
    /// It is there already.
    AlreadyExists = 6, "ALREADY_EXISTS", 409;
    /// The caller may not.
    PermissionDenied = 7, "PERMISSION_DENIED", 403;
    /// A limit or quota is reached.
    ResourceExhausted = 8, "RESOURCE_EXHAUSTED", 429;
    /// The state forbids it: do not retry.
    FailedPrecondition = 9, "FAILED_PRECONDITION", 400;
    /// A conflict: retry higher up.
    Aborted = 10, "ABORTED", 409;
    /// Past the valid range.
    OutOfRange = 11, "OUT_OF_RANGE", 400;
    /// Not there in this version.
    Unimplemented = 12, "UNIMPLEMENTED", 501;
    /// A defect.
    Internal = 13, "INTERNAL", 500;
    /// Not now: retry the call.
    Unavailable = 14, "UNAVAILABLE", 503;
    /// Data is lost or damaged.
    DataLoss = 15, "DATA_LOSS", 500;
    /// Nobody known asked.
    Unauthenticated = 16, "UNAUTHENTICATED", 401;
}
