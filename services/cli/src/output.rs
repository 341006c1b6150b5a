//! How answers are printed: tables for people, the REST body for programs.
//!
//! Promises: colours only on a terminal, and never with `NO_COLOR`; a reader that goes away ends the program quietly.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use lepton_domain::reason::{Fault, Reason};

use crate::advice::{EXIT_FAILED, fail};

pub(crate) mod progress;
pub(crate) mod table;

/// Prints a line. A closed pipe is the reader's wish to stop; where nothing can be written, nothing was done.
pub(crate) fn line(text: &str) {
    last(text, 0);
}

/// Prints what a program that exits with `code` has to say: with that code, also when the reader goes away.
pub(crate) fn last(text: &str, code: u8) -> ExitCode {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => ExitCode::from(code),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(code.into()),
        Err(error) => {
            fail(&Fault::new(
                Reason::Internal,
                format!("stdout cannot be written: {error}"),
            ));
            std::process::exit(EXIT_FAILED.into());
        }
    }
}

/// A body as it came, without a line's end.
pub(crate) fn body(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

/// Whether text on stdout may be coloured.
pub(crate) fn coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
