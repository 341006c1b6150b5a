//! Errors as a person reads them, the error and then the advice; and the exit codes.
//!
//! Promises: `error: REASON: message` on stderr; 1 refused or failed, 2 usage or configuration, 3 unavailable or
//! outcome unknown.

use std::process::ExitCode;

use lepton_domain::reason::{ApiError, Code, Reason};
use lepton_domain::text::redacted;

/// Done.
pub const EXIT_DONE: ExitCode = ExitCode::SUCCESS;
/// The same as a number.
pub const DONE: u8 = 0;
/// Refused or failed.
pub const EXIT_FAILED: u8 = 1;
/// Usage or configuration.
pub const EXIT_USAGE: u8 = 2;
/// Unavailable, or the outcome is unknown.
pub const EXIT_UNAVAILABLE: u8 = 3;

/// The exit code of an [`ApiError`].
pub fn exit_code(error: &ApiError) -> u8 {
    match (error.reason, error.code()) {
        (Reason::ConfigInvalid | Reason::FileUnreadable, _) => EXIT_USAGE,
        (_, Code::Unavailable | Code::DeadlineExceeded) => EXIT_UNAVAILABLE,
        _ => EXIT_FAILED,
    }
}

/// Prints an [`ApiError`] and the advice on it on stderr.
pub(crate) fn fail(api_error: &ApiError) -> ExitCode {
    eprintln!("error: {}: {}", api_error.reason.as_str(), redacted(&api_error.message));
    if let Some(advice) = advice(api_error.reason) {
        eprintln!("{advice}");
    }
    ExitCode::from(exit_code(api_error))
}

/// Advice on a [`Reason`], where the message does not hold it itself.
fn advice(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::LeaderUnavailable => {
            "The mesh is there but cannot take tasks at the moment; try again, or look at `lepton nodes`."
        }
        Reason::JournalUnavailable => "Try again when etcd is back; `lepton analyze` goes on without it.",
        Reason::GatewayUnreachable => {
            "Start a mesh with `lepton up`, or name one with --address URL or LEPTON_ADDRESS."
        }
        Reason::NoWorker => "No worker answers; `lepton nodes` shows which there are.",
        Reason::OutcomeUnknown => {
            "It may have happened: look before you repeat it. `lepton task submit` with the same --request-id is safe to repeat."
        }
        Reason::ConfigInvalid => "`--help` lists the flags; deploy/config has every setting with its unit and default.",
        Reason::DataCorrupt => {
            "Nothing was changed. Restore a copy of the data directory, or begin anew with another --data-dir."
        }
        Reason::LossNotAccepted => {
            "Bring back a newer state of etcd, if there is one; to go on without, add --accept-loss."
        }
        Reason::LeaderPresent => {
            "Nothing was changed. To go back to an older state all the same, stop the schedulers first."
        }
        Reason::FileUnreadable => {
            "Check its name and that you may read it. Files are taken by content: CSV, TSV, JSON or JSON Lines, also gzipped."
        }
        Reason::InvalidJson => "Check it with a JSON tool; texts and names stand in double quotes, NaN is null.",
        Reason::TaskNotFound => "`lepton task list` shows the tasks; ended ones are kept for an hour.",
        Reason::KindUnknown => "Kinds: echo, analyze, train, evaluate.",
        Reason::ModelNotFound => "`lepton model list` shows the models.",
        Reason::ModelNotDeployed => "`lepton model deploy NAME` serves it.",
        Reason::ModelInUse => "`lepton model undeploy NAME` stops serving it, or deploy another version.",
        Reason::TrainingDiverged => "Take a smaller --learning-rate, or --method closed-form.",
        _ => return None,
    })
}
