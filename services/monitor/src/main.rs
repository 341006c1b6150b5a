//! The program `lepton-monitor`.

use std::process::ExitCode;

use lepton_mesh::entry;
use lepton_monitor::Monitor;

fn main() -> ExitCode {
    entry::main::<Monitor>(std::env::args_os())
}
