//! The binary `lepton-gateway`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lepton_mesh::entry::main::<lepton_gateway::Gateway>(std::env::args_os())
}
