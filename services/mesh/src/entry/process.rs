//! The process of a program: its threads and its signals.
//!
//! Promises: a system that has none left is OVERLOADED, as it may have some in a moment.

use std::io;

use lepton_core::shutdown::Shutdown;
use lepton_domain::reason::{ApiError, Reason};
use tokio::runtime::{Builder, Runtime};

/// Refusal of the system at the start of a program.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("the system refuses threads: {0}")]
    Threads(io::Error),
    #[error("the system refuses signal handlers: {0}")]
    Signals(io::Error),
}

impl From<StartError> for ApiError {
    fn from(error: StartError) -> Self {
        Self::new(Reason::Overloaded, error.to_string())
    }
}

/// Starts the runtime of a program. Fails with OVERLOADED.
pub fn runtime() -> Result<Runtime, ApiError> {
    let runtime = Builder::new_multi_thread().enable_all().build();
    Ok(runtime.map_err(StartError::Threads)?)
}

/// A [`Shutdown::on_signals`]. Fails with OVERLOADED.
pub fn shutdown_on_signals() -> Result<Shutdown, ApiError> {
    Ok(Shutdown::on_signals().map_err(StartError::Signals)?)
}
