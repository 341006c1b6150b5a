//! The program `lepton-scheduler`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lepton_mesh::entry::main::<lepton_scheduler::Scheduler>(std::env::args_os())
}
