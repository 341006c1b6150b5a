//! How answers are printed: tables for people, the REST body for programs.
//!
//! Promises: colours only on a terminal, and never with `NO_COLOR`; a reader that goes away ends the program quietly.

use std::io::{self, IsTerminal, Write};

use lepton_domain::reason::{Fault, Reason};

use crate::advice::{EXIT_FAILED, fail};

pub(crate) mod progress;
pub(crate) mod table;

/// Prints a line. A closed pipe is the reader's wish to stop; where nothing can be written, nothing was done.
pub(crate) fn line(text: &str) {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            fail(&Fault::new(
                Reason::Internal,
                format!("stdout cannot be written: {error}"),
            ));
            std::process::exit(EXIT_FAILED.into());
        }
    }
}

/// Prints a body as it came, with a line's end.
pub(crate) fn body(bytes: &[u8]) {
    line(String::from_utf8_lossy(bytes).trim_end());
}

/// Whether text on stdout may be coloured.
pub(crate) fn coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
