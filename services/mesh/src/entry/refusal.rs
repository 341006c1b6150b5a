//! Refusals of a program on stderr: `error: REASON: message`, then what to do.
//!
//! Promises: the same form for a wrong command line, a wrong configuration and a failure; exit code 2 for the first
//! two.

use std::process::ExitCode;

use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::text::redacted;

/// Exit code of a refusal or a failure.
pub const EXIT_FAILED: u8 = 1;
/// Exit code of a wrong command line or configuration.
pub const EXIT_USAGE: u8 = 2;

/// Shows what the parser of a command line has to say: help and version on stdout, which are no failure, or what is
/// wrong, as CONFIG_INVALID.
pub fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Nothing is left to do when not even the help can be shown.
        let _unshown = error.print();
        return ExitCode::SUCCESS;
    }
    // Help that was not asked for has no such beginning.
    let text = error.to_string();
    match text.strip_prefix("error: ") {
        Some(rest) => eprint!("error: {}: {}", Reason::ConfigInvalid, redacted(rest)),
        None => eprint!("{}", redacted(&text)),
    }
    ExitCode::from(EXIT_USAGE)
}

/// Says why a service ends. A configuration may also turn out to be wrong only where it is used.
pub(super) fn fail(api_error: &ApiError) -> ExitCode {
    eprintln!("error: {}: {}", api_error.reason, redacted(&api_error.message));
    if let Some(advice) = advice(api_error.reason) {
        eprintln!("{advice}");
    }
    ExitCode::from(match api_error.reason {
        Reason::ConfigInvalid => EXIT_USAGE,
        _ => EXIT_FAILED,
    })
}

/// Advice, where the message has none itself.
fn advice(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::ConfigInvalid => "`--help` lists the flags; deploy/config has every option with its unit and default.",
        Reason::AddressInUse => "Give another --listen or --admin; port 0 takes a free one.",
        Reason::BlobStoreMismatch => "Give every service of a cluster the same --blob.",
        _ => return None,
    })
}
