//! The process that validates a file: this program, called with an argument that no help mentions.
//!
//! Promises: it limits itself before it reads anything, reads the file on stdin, prints one [`Verdict`] of bounded length
//! on stdout and ends; it also ends soon after the process that started it.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::verdict::Verdict;
use super::{PRINTED_BYTES_MAX, SandboxLimits};
use crate::model::{Backend, Tract};
use crate::parent_watchdog::exit_with_parent;

/// The argument; bytes of memory, bytes of a run, seconds of the processor and the parent's process id follow it.
const ARGUMENT: &str = "--validate-model";

/// Arguments of a process with these limits that ends with `parent`.
pub(super) fn arguments(limits: SandboxLimits, parent: u32) -> [String; 5] {
    let SandboxLimits {
        memory_bytes_max,
        run_memory_bytes_max,
        timeout,
    } = limits;
    let seconds = timeout.as_secs().max(1);
    let [memory, run, seconds, parent] =
        [memory_bytes_max, run_memory_bytes_max, seconds, parent.into()].map(|number| number.to_string());
    [ARGUMENT.to_owned(), memory, run, seconds, parent]
}

/// Validates the file on stdin, if the arguments of the process request that. To be called before anything else starts.
pub(crate) fn run_if_requested(arguments: &[OsString]) -> Option<ExitCode> {
    let [_, argument, memory, run, seconds, parent] = arguments else {
        return None;
    };
    if argument != ARGUMENT {
        return None;
    }
    let number = |text: &OsString| text.to_str()?.parse().ok();
    let limits = || {
        let limits = SandboxLimits {
            memory_bytes_max: number(memory)?,
            run_memory_bytes_max: number(run)?,
            timeout: Duration::from_secs(number(seconds)?),
        };
        Some((limits, u32::try_from(number(parent)?).ok()?))
    };
    let validated = limits().map(|(limits, parent)| validate(limits, parent));
    Some(validated.map_or(ExitCode::FAILURE, |validated| {
        validated.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
    }))
}

fn validate(limits: SandboxLimits, parent: u32) -> std::io::Result<()> {
    exit_with_parent(parent)?;
    limit(Resource::As, limits.memory_bytes_max)?;
    limit(Resource::Cpu, limits.timeout.as_secs())?;
    // Nothing of a file may be written: not by the model, and not as a core.
    limit(Resource::Fsize, 0)?;
    limit(Resource::Core, 0)?;
    // Panics become verdicts.
    std::panic::set_hook(Box::new(|_| {}));
    let mut file = Vec::new();
    std::io::stdin().lock().read_to_end(&mut file)?;
    let verdict = match Tract::new(limits.run_memory_bytes_max).load(&file, &|| false) {
        Ok(model) => Verdict::from(model.signature()),
        Err(error) => Verdict::Refused(error.to_string()),
    };
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&print(&verdict)?)?;
    stdout.flush()
}

/// Prints the verdict, or another one where it is too long.
fn print(verdict: &Verdict) -> std::io::Result<Vec<u8>> {
    let text = serde_json::to_vec(verdict)?;
    if text.len() as u64 <= PRINTED_BYTES_MAX {
        return Ok(text);
    }
    let reason = format!(
        "the file cannot be served: its inputs and outputs take {} bytes to name; {PRINTED_BYTES_MAX} are read",
        text.len()
    );
    Ok(serde_json::to_vec(&Verdict::Refused(reason))?)
}

fn limit(resource: Resource, most: u64) -> std::io::Result<()> {
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    Ok(setrlimit(resource, limit)?)
}

#[cfg(test)]
mod tests {
    use lepton_domain::model::{DataType, Signature, Tensor};

    use super::*;

    #[test]
    fn a_verdict_too_long_to_be_read_is_replaced() {
        let output = |number: usize| Tensor {
            name: format!("{number:0>1000}"),
            datatype: DataType::Fp32,
            shape: vec![1],
        };
        let signature = |outputs| Signature {
            inputs: Vec::new(),
            outputs: (0..outputs).map(output).collect(),
        };
        let read = |outputs| Verdict::parse(&print(&Verdict::from(&signature(outputs))).unwrap()).unwrap();
        assert_eq!(read(100).signature(), Ok(signature(100)));
        let reason = read(5_000).signature().unwrap_err();
        assert!(reason.contains("bytes to name"), "{reason}");
    }

    #[test]
    fn a_process_that_is_called_otherwise_is_an_ordinary_one() {
        let arguments = |texts: &[&str]| texts.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(run_if_requested(&arguments(&["lepton-worker"])), None);
        let flags = ["lepton-worker", "--slots", "1", "--parent", "7", "--json"];
        assert_eq!(run_if_requested(&arguments(&flags)), None);
        let malformed = ["lepton-worker", ARGUMENT, "1", "x", "1", "1"];
        assert_eq!(run_if_requested(&arguments(&malformed)), Some(ExitCode::FAILURE));
    }
}
