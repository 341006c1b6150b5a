//! The commands that are clients of a mesh.

use std::process::ExitCode;

use lepton_core::context::Context;
use lepton_domain::reason::{Fault, Reason};
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
mod task;
mod trace;
mod train;

/// What every command needs.
pub(crate) struct Session {
    /// Net, clock and randomness.
    pub context: Context,
    /// The gateway.
    pub client: Client,
    /// How to print.
    pub format: Format,
}

impl Session {
    /// Prints the body for programs, or shows it to people.
    pub fn print(&self, body: &[u8], show: impl FnOnce(&Value)) -> Result<(), Fault> {
        match self.format {
            Format::Json => line(&output::body(body)),
            Format::Table => show(&read_json(body)?),
        }
        Ok(())
    }

    /// Prints the same of an answer that decides how the program exits: with this code, whoever stops reading.
    pub fn conclude(&self, body: &[u8], code: u8, render: impl FnOnce(&Value) -> String) -> Result<ExitCode, Fault> {
        let text = match self.format {
            Format::Json => output::body(body),
            Format::Table => render(&read_json(body)?),
        };
        Ok(output::last(&text, code))
    }
}

/// Runs a command to its end.
pub(crate) fn run(parsed: Parsed) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return fail(&Fault::new(
                Reason::Internal,
                format!("the system refuses threads: {error}"),
            ));
        }
    };
    runtime.block_on(carry_out(parsed)).unwrap_or_else(|fault| fail(&fault))
}

async fn carry_out(parsed: Parsed) -> Result<ExitCode, Fault> {
    let context = Context::system();
    let client = Client::new(context.net, &parsed.address)?;
    let session = Session {
        context,
        client,
        format: parsed.output,
    };
    match parsed.command {
        Command::Up(_) => unreachable!("`up` is no client"),
        Command::Analyze(wish) => analyze::run(&session, &wish).await.map(|()| EXIT_DONE),
        Command::Task(wish) => task::run(&session, wish).await,
        Command::Train(wish) => train::run(&session, &wish).await,
        Command::Model(wish) => model::run(&session, wish).await,
        Command::Infer(wish) => infer::run(&session, &wish).await.map(|()| EXIT_DONE),
        Command::Nodes(page) => nodes::run(&session, &page).await.map(|()| EXIT_DONE),
        Command::Trace(wish) => trace::run(&session, &wish).await.map(|()| EXIT_DONE),
        Command::Incidents(page) => incidents::run(&session, &page).await.map(|()| EXIT_DONE),
        Command::Journal(wish) => journal::run(&session, &wish).await,
        Command::Bench(Bench::Tasks(wish)) => bench::tasks::run(&session, &wish).await,
        Command::Bench(Bench::Analyze(wish)) => bench::analyze::run(&session, &wish).await,
        Command::Bench(Bench::Infer(wish)) => bench::infer::run(&session, &wish).await,
    }
}
