//! Lower-case hexadecimal for digests of 32 bytes.
//!
//! Promises: `decode(encode(x)) == x`; upper case is accepted on input. Leaves the digits to
//! `blake3`, whose [`Hash`] is as long, and the meaning of the bytes to the caller.

use std::fmt;

use blake3::Hash;

/// Text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits")]
pub struct NotHex;

/// Writes 64 lower-case hexadecimal digits.
pub(crate) fn write(bytes: &[u8; 32], out: &mut fmt::Formatter<'_>) -> fmt::Result {
    out.write_str(&Hash::from_bytes(*bytes).to_hex())
}

/// Parses 64 hexadecimal digits.
pub(crate) fn read(text: &str) -> Result<[u8; 32], NotHex> {
    Hash::from_hex(text).map(Hash::into).map_err(|_| NotHex)
}
