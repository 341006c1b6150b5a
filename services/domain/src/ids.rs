//! Identifiers of tasks, incidents, instances, tenants, requests, kinds, epochs and events.
//!
//! Promises: every id is ordered, so that maps over ids iterate alike on every machine, and prints as it parses. Leaves
//! making ids to the edge: a UUIDv7 is built here from a given time and random number.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

use crate::hex;
pub use crate::hex::NotHex;
use crate::text::excerpt;

#[cfg(test)]
mod tests;

/// Longest name of a tenant or a kind, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Text that is not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a UUID")]
pub struct NotUuid(pub String);

/// Lays out a UUIDv7: 48 bits of time, version, 74 random bits and the variant.
fn uuid_v7(unix_millis: u64, random: u128) -> u128 {
    let time = u128::from(unix_millis & 0xffff_ffff_ffff) << 80;
    let random_a = (random >> 64 & 0xfff) << 64;
    let random_b = random & 0x3fff_ffff_ffff_ffff;
    time | 7 << 76 | random_a | 2 << 62 | random_b
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// Least id, where a walk over all ids starts.
            pub const MIN: Self = Self(0);

            /// UUIDv7 ([RFC 9562](https://www.rfc-editor.org/rfc/rfc9562)) of this time (milliseconds since the Unix
            /// epoch) and these random bits (74 are used).
            pub fn v7(unix_millis: u64, random: u128) -> Self {
                Self(uuid_v7(unix_millis, random))
            }

            /// Id with this number.
            pub const fn from_u128(value: u128) -> Self {
                Self(value)
            }

            /// The id as a number.
            pub const fn as_u128(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                Uuid::from_u128(self.0).hyphenated().fmt(out)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }

        impl FromStr for $name {
            type Err = NotUuid;

            fn from_str(text: &str) -> Result<Self, NotUuid> {
                // One spelling only: an id is also a path segment and a key.
                let parsed = if text.len() == 36 { Uuid::parse_str(text).ok() } else { None };
                parsed.map(|uuid| Self(uuid.as_u128())).ok_or_else(|| NotUuid(text.to_owned()))
            }
        }
    };
}

uuid_id! {
    /// Task; also the idempotency key that user code gets.
    TaskId
}

uuid_id! {
    /// Incident opened by the monitor.
    IncidentId
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a text. Limits are checked where it enters the mesh.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, out)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }
    };
}

name! {
    /// Process of the mesh. A supervisor gives a replacement the same id.
    InstanceId
}

name! {
    /// Owner of tasks; quotas and fairness are per tenant.
    Tenant
}

name! {
    /// Idempotency key of a submit, unique within its [`Tenant`].
    RequestId
}

name! {
    /// Kind of task, such as `echo` or `analyze`, which selects its handler.
    Kind
}

/// Text that cannot be a [`Tenant`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{:?} is not 1 to 64 letters, digits, '_', '.' and '-'", excerpt(.0))]
pub struct NotTenant(String);

impl FromStr for Tenant {
    type Err = NotTenant;

    fn from_str(text: &str) -> Result<Self, NotTenant> {
        let name = is_name(&text.to_ascii_lowercase()).then(|| Self::new(text));
        name.ok_or_else(|| NotTenant(text.to_owned()))
    }
}

/// Grammar of kinds, and but for capitals of tenants, for errors.
pub(crate) const NAME_RULE: &str = "1 to 64 of a-z, 0-9, '_', '.' and '-'";

/// True for a text that fits [`NAME_RULE`].
pub(crate) fn is_name(text: &str) -> bool {
    let good = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(good)
}

/// Create revision of the leader key: a leadership's number, which only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

/// Number of an event in the journal, from 1; 0 for none yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

impl Seq {
    /// Next number.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Point in the history of the mesh, ordered by [`Epoch`], then by [`Seq`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version {
    /// Epoch that wrote the event.
    pub epoch: Epoch,
    /// Number of the event.
    pub seq: Seq,
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.epoch.0, self.seq.0)
    }
}

/// Text that is not `epoch-seq`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a version such as 12-345")]
pub struct NotVersion(pub String);

impl FromStr for Version {
    type Err = NotVersion;

    fn from_str(text: &str) -> Result<Self, NotVersion> {
        let parse = || {
            let (epoch, seq) = text.split_once('-')?;
            Some(Self {
                epoch: Epoch(epoch.parse().ok()?),
                seq: Seq(seq.parse().ok()?),
            })
        };
        parse().ok_or_else(|| NotVersion(text.to_owned()))
    }
}

/// Attempt at a task. The number only grows per task, so it is a fencing token against older attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// Task attempted.
    pub task: TaskId,
    /// Number of the attempt, from 1.
    pub number: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.task, self.number)
    }
}

/// SHA-256 of some content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentDigest(pub [u8; 32]);

impl fmt::Display for ContentDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, out)
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for ContentDigest {
    type Err = NotHex;

    fn from_str(text: &str) -> Result<Self, NotHex> {
        hex::read(text).map(Self)
    }
}
