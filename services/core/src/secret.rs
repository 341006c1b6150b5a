//! Secrets: bits that nobody can predict, drawn from the operating system.
//!
//! Promises: no two draws are related. Nothing that a service decides may depend on the bits themselves, so a simulated
//! mesh stays repeatable. Leaves ids, jitter and tie-breaks to [`random`](crate::random).

use std::fs::File;
use std::io::{self, Read};

/// Bytes of a secret.
pub const SECRET_BYTES: usize = 32;

/// Draws a secret, see [urandom(4)](https://man7.org/linux/man-pages/man4/urandom.4.html).
pub fn secret() -> io::Result<[u8; SECRET_BYTES]> {
    let mut secret = [0; SECRET_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut secret)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_drawn_twice() {
        let (one, two) = (secret().unwrap(), secret().unwrap());
        assert_ne!(one, two);
        assert_ne!(one, [0; SECRET_BYTES]);
    }
}
