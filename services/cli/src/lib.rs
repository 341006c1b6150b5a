//! The user's command: `lepton up` runs the whole mesh, everything else is a client of one.
//!
//! The same program is also every service: called by the name `lepton-worker`, as `up` starts its workers, or
//! `lepton-gateway` it is nothing else. An image of all services then holds one program under five names.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use lepton_mesh::entry;

mod advice;
mod args;
mod client;
mod command;
mod input;
mod output;
mod up;

pub use advice::exit_code;

/// The program: `arguments` are those of the process, its name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let called = arguments.first().map(Path::new).and_then(Path::file_name);
    if let Some(service) = called.and_then(OsStr::to_str).and_then(service) {
        return service(args::VERSION, arguments);
    }
    match args::parse(arguments) {
        Ok(args::Parsed {
            command: args::Command::Up(options),
            ..
        }) => up::run(*options),
        Ok(args::Parsed {
            command: args::Command::Completions { shell },
            ..
        }) => output::last(&args::completions(shell), advice::DONE),
        Ok(parsed) => command::run(parsed),
        Err(code) => code,
    }
}

/// The `main` of the service that has this name.
fn service(called: &str) -> Option<fn(&'static str, Vec<OsString>) -> ExitCode> {
    match called {
        "lepton-gateway" => Some(entry::main::<lepton_gateway::Gateway>),
        "lepton-scheduler" => Some(entry::main::<lepton_scheduler::Scheduler>),
        "lepton-monitor" => Some(entry::main::<lepton_monitor::Monitor>),
        up::WORKER => Some(worker),
        _ => None,
    }
}

/// The worker, under its own name also where processes are listed.
fn worker(version: &'static str, arguments: Vec<OsString>) -> ExitCode {
    // A system without /proc shows the program's name instead, which harms nobody.
    let _no_proc = std::fs::write("/proc/self/comm", up::WORKER);
    lepton_worker::main(version, arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_services_are_services() {
        let names = ["lepton-gateway", "lepton-scheduler", "lepton-worker", "lepton-monitor"];
        assert!(names.iter().all(|name| service(name).is_some()));
        assert!(
            ["lepton", "lepton-", "worker"]
                .iter()
                .all(|name| service(name).is_none())
        );
    }
}
