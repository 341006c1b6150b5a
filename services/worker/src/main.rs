//! The binary `lepton-worker`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lepton_worker::main(std::env::args_os().collect())
}
