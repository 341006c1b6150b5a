//! The process that looks at a file: this program, called with an argument that no help mentions.
//!
//! Promises: it limits itself before it reads anything, reads the file on stdin, prints one verdict of bounded length on
//! stdout and ends; it also ends soon after the process that started it.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use super::verdict::Verdict;
use super::{Limits, PRINTED_BYTES_MAX};
use crate::model::{Backend, Tract};

/// The argument; bytes of memory, bytes of a run, seconds of the processor and the parent's process id follow it.
pub const ARGUMENT: &str = "--look-at-model";

/// How often it looks whether its parent lives.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// What the thread that does so needs of a stack.
const STACK_BYTES: usize = 64 << 10;

/// The arguments for a process with these limits that ends with `parent`.
pub(super) fn arguments(limits: Limits, parent: u32) -> [String; 5] {
    let Limits {
        memory_bytes_max,
        run_memory_bytes_max,
        timeout,
    } = limits;
    let seconds = timeout.as_secs().max(1);
    let [memory, run, seconds, parent] =
        [memory_bytes_max, run_memory_bytes_max, seconds, parent.into()].map(|number| number.to_string());
    [ARGUMENT.to_owned(), memory, run, seconds, parent]
}

/// Does what the arguments of a process ask for, if it is this. Call it before anything else starts.
pub fn asked(arguments: &[OsString]) -> Option<ExitCode> {
    let [_, argument, memory, run, seconds, parent] = arguments else {
        return None;
    };
    if argument != ARGUMENT {
        return None;
    }
    let number = |text: &OsString| text.to_str()?.parse().ok();
    let limits = || {
        let limits = Limits {
            memory_bytes_max: number(memory)?,
            run_memory_bytes_max: number(run)?,
            timeout: Duration::from_secs(number(seconds)?),
        };
        Some((limits, u32::try_from(number(parent)?).ok()?))
    };
    let looked = limits().map(|(limits, parent)| look(limits, parent));
    Some(looked.map_or(ExitCode::FAILURE, |looked| {
        looked.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
    }))
}

fn look(limits: Limits, parent: u32) -> std::io::Result<()> {
    end_with(parent)?;
    limit(libc::RLIMIT_AS, limits.memory_bytes_max)?;
    limit(libc::RLIMIT_CPU, limits.timeout.as_secs())?;
    // Nothing of a file may be written: not by the model, and not as a core.
    limit(libc::RLIMIT_FSIZE, 0)?;
    limit(libc::RLIMIT_CORE, 0)?;
    // Panics are told as verdicts.
    std::panic::set_hook(Box::new(|_| {}));
    let mut file = Vec::new();
    std::io::stdin().lock().read_to_end(&mut file)?;
    let verdict = match Tract::new(limits.run_memory_bytes_max).load(&file, &|| false) {
        Ok(model) => Verdict::of(model.signature()),
        Err(fault) => Verdict::Refused(fault.message),
    };
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&printed(&verdict)?)?;
    stdout.flush()
}

/// The verdict as it is printed, or that it is too long.
fn printed(verdict: &Verdict) -> std::io::Result<Vec<u8>> {
    let text = serde_json::to_vec(verdict)?;
    if text.len() as u64 <= PRINTED_BYTES_MAX {
        return Ok(text);
    }
    let why = format!(
        "the file cannot be served: its inputs and outputs take {} bytes to name; {PRINTED_BYTES_MAX} are read",
        text.len()
    );
    Ok(serde_json::to_vec(&Verdict::Refused(why))?)
}

/// Ends this process soon after its parent. The kernel's own signal comes when the parent's *thread* ends; see
/// [`crate::parent`].
fn end_with(parent: u32) -> std::io::Result<()> {
    let watch = move || {
        while std::os::unix::process::parent_id() == parent {
            std::thread::sleep(LOOK_EVERY);
        }
        std::process::exit(1);
    };
    std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(watch)
        .map(drop)
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

#[cfg(test)]
mod tests {
    use lepton_domain::model::{DataType, Signature, Tensor};

    use super::*;

    #[test]
    fn a_verdict_that_nobody_would_read_says_so() {
        let output = |number: usize| Tensor {
            name: format!("{number:0>1000}"),
            datatype: DataType::Fp32,
            shape: vec![1],
        };
        let signature = |outputs| Signature {
            inputs: Vec::new(),
            outputs: (0..outputs).map(output).collect(),
        };
        let told = |outputs| Verdict::parse(&printed(&Verdict::of(&signature(outputs))).unwrap()).unwrap();
        assert_eq!(told(100).signature(), Ok(signature(100)));
        let why = told(5_000).signature().unwrap_err();
        assert!(why.contains("bytes to name"), "{why}");
    }
}
