//! Answers on stdout: tables for people, the REST body for programs.
//!
//! Promises: colours only on a terminal, and never with `NO_COLOR` or `TERM=dumb`; a reader that goes away ends the program quietly.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use lepton_domain::reason::{ApiError, Reason};

use crate::advice::{EXIT_FAILED, fail};

pub(crate) mod cells;
pub(crate) mod progress;
pub(crate) mod table;

/// Prints a line. A closed pipe ends the program quietly; any other error of stdout is a failure.
pub(crate) fn line(text: &str) {
    last(text, 0);
}

/// Prints the last text of a program and returns its [`ExitCode`], with which it also ends when the reader has gone.
pub(crate) fn last(text: &str, code: u8) -> ExitCode {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => ExitCode::from(code),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(code.into()),
        Err(error) => {
            // No reason stands for a full disk behind stdout; scripts know it by this one.
            fail(&ApiError::new(
                Reason::Internal,
                format!("stdout cannot be written: {error}"),
            ));
            std::process::exit(EXIT_FAILED.into());
        }
    }
}

/// A body as it came, without the end of the line, for [`line`].
pub(crate) fn body(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}

/// Returns true where stdout may be coloured: on a terminal that is not dumb, without `NO_COLOR`.
pub(crate) fn coloured() -> bool {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !is_dumb() && !plain
}

/// Returns true for a terminal that has neither colours nor a cursor to move, as that of an editor.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|name| name == "dumb")
}
