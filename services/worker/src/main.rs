//! The binary `lepton-worker`.

use std::process::ExitCode;

use lepton_worker::Worker;

fn main() -> ExitCode {
    lepton_mesh::entry::main::<Worker>(std::env::args_os())
}
