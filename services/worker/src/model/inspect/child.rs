//! The process that looks at a file: this program, called with an argument that no help mentions.
//!
//! Promises: it limits itself before it reads anything, reads the file on stdin, prints one verdict on stdout and ends.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::ExitCode;

use super::verdict::Verdict;
use crate::model::{Backend, Tract};

/// The argument; bytes of memory and seconds of the processor follow it.
pub const ARGUMENT: &str = "--look-at-model";

/// Does what the arguments of a process ask for, if it is this. Call it before anything else starts.
pub fn asked(arguments: &[OsString]) -> Option<ExitCode> {
    let [_, argument, memory, seconds] = arguments else {
        return None;
    };
    if argument != ARGUMENT {
        return None;
    }
    let number = |text: &OsString| text.to_str().and_then(|text| text.parse().ok());
    let (Some(memory), Some(seconds)) = (number(memory), number(seconds)) else {
        return Some(ExitCode::FAILURE);
    };
    Some(look(memory, seconds).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS))
}

fn look(memory_bytes_max: u64, seconds_max: u64) -> std::io::Result<()> {
    limit(libc::RLIMIT_AS, memory_bytes_max)?;
    limit(libc::RLIMIT_CPU, seconds_max)?;
    // Nothing of a file may be written: not by the model, and not as a core.
    limit(libc::RLIMIT_FSIZE, 0)?;
    limit(libc::RLIMIT_CORE, 0)?;
    // Panics are told as verdicts.
    std::panic::set_hook(Box::new(|_| {}));
    let mut file = Vec::new();
    std::io::stdin().lock().read_to_end(&mut file)?;
    let verdict = match Tract.load(&file) {
        Ok(model) => Verdict::of(model.signature()),
        Err(fault) => Verdict::Refused(fault.message),
    };
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer(&mut stdout, &verdict)?;
    stdout.flush()
}

#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = libc::c_int;

fn limit(resource: Resource, most: u64) -> std::io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    // SAFETY: `setrlimit` reads the structure and keeps no pointer to it.
    #[allow(unsafe_code, reason = "the limits of a process have no safe interface")]
    let done = unsafe { libc::setrlimit(resource, &raw const limit) };
    match done {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
