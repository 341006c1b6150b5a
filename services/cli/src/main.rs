//! The program `lepton`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lepton::main(std::env::args_os())
}
