//! The commands that are clients of a mesh.

use std::process::ExitCode;

use lepton_core::context::Context;
use lepton_domain::reason::ApiError;
use lepton_mesh::entry;
use serde_json::Value;

use crate::advice::{EXIT_DONE, fail};
use crate::args::{Bench, Command, Format, Parsed};
use crate::client::{Client, read_json};
use crate::output::{self, line};

mod analyze;
mod bench;
mod incidents;
mod infer;
mod journal;
mod model;
mod nodes;
mod restore;
mod task;
mod trace;
mod train;

/// The clients and options that every command needs.
pub(crate) struct Session {
    /// [`Context`] of the process: net, clock and randomness.
    pub context: Context,
    /// The gateway.
    pub client: Client,
    /// The [`Format`] of answers.
    pub format: Format,
}

impl Session {
    /// Prints the body for programs, or shows it to people.
    pub fn print(&self, body: &[u8], show: impl FnOnce(&Value)) -> Result<(), ApiError> {
        match self.format {
            Format::Json => line(&output::body(body)),
            Format::Table => show(&read_json(body)?),
        }
        Ok(())
    }

    /// Prints the body like [`Session::print`] and exits with `code`, also when the reader has gone.
    pub fn conclude(&self, body: &[u8], code: u8, render: impl FnOnce(&Value) -> String) -> Result<ExitCode, ApiError> {
        let text = match self.format {
            Format::Json => output::body(body),
            Format::Table => render(&read_json(body)?),
        };
        Ok(output::last(&text, code))
    }
}

/// Runs a command to its end.
pub(crate) fn run(parsed: Parsed) -> ExitCode {
    let ended = entry::runtime().and_then(|runtime| runtime.block_on(dispatch(parsed)));
    ended.unwrap_or_else(|api_error| fail(&api_error))
}

async fn dispatch(parsed: Parsed) -> Result<ExitCode, ApiError> {
    let context = Context::system();
    let client = Client::new(context.net, &parsed.address)?;
    let session = Session {
        context,
        client,
        format: parsed.output,
    };
    match parsed.command {
        Command::Up(_) | Command::Completions { .. } => unreachable!("they are no clients"),
        Command::Analyze(args) => analyze::run(&session, &args).await.map(|()| EXIT_DONE),
        Command::Task(args) => task::run(&session, args).await,
        Command::Train(args) => train::run(&session, &args).await,
        Command::Model(args) => model::run(&session, args).await,
        Command::Infer(args) => infer::run(&session, &args).await.map(|()| EXIT_DONE),
        Command::Nodes(page) => nodes::run(&session, &page).await.map(|()| EXIT_DONE),
        Command::Trace(args) => trace::run(&session, &args).await.map(|()| EXIT_DONE),
        Command::Incidents(page) => incidents::run(&session, &page).await.map(|()| EXIT_DONE),
        Command::Journal(args) => journal::run(&session, &args).await,
        Command::Restore(args) => restore::run(&session, &args).await,
        Command::Bench(Bench::Tasks(args)) => bench::tasks::run(&session, &args).await,
        Command::Bench(Bench::Analyze(args)) => bench::analyze::run(&session, &args).await,
        Command::Bench(Bench::Infer(args)) => bench::infer::run(&session, &args).await,
    }
}
