//! Ends of a process and their errors. Real files are tried with the program itself.

use super::*;

const LIMITS: SandboxLimits = SandboxLimits {
    memory_bytes_max: 512 << 20,
    run_memory_bytes_max: 256 << 20,
    timeout: Duration::from_secs(5),
};

fn judged(status: ExitStatus, stdout: &str, stderr: &str) -> ValidationError {
    let output = ChildOutput {
        status,
        stdout: stdout.into(),
        stderr: stderr.into(),
    };
    Sandbox::new(LIMITS).judge(&output).unwrap_err()
}

/// A status as `wait` returns it: the signal in the low bits, else the code above them.
fn signal(signal: Signal) -> ExitStatus {
    ExitStatus::from_raw(signal.as_raw())
}

const ENDED: fn() -> ExitStatus = || ExitStatus::from_raw(0);

#[test]
fn every_end_has_its_words() {
    for (status, stdout, stderr, words) in [
        (
            signal(Signal::ABORT),
            "",
            "memory allocation of 4294967296 bytes failed",
            "than the 512 MiB",
        ),
        (
            signal(Signal::ABORT),
            "",
            "thread 'main' has overflowed its stack",
            "nests too deep",
        ),
        (signal(Signal::SEGV), "", "", "crashed (signal 11)"),
        (signal(Signal::XCPU), "", "", "longer than 5 s of the processor"),
        (
            ENDED(),
            r#"{"refused":"failed to allocate Layout"}"#,
            "",
            "than the 512 MiB",
        ),
        (ENDED(), r#"{"refused":"it is empty"}"#, "", "it is empty"),
        (
            ENDED(),
            r#"{"model":{"inputs":[{"name":"x","datatype":"Q4","shape":[]}],"outputs":[]}}"#,
            "",
            "Q4",
        ),
    ] {
        let error = judged(status, stdout, stderr);
        assert!(
            matches!(error, ValidationError::Refused(_) | ValidationError::Unsupported(_)),
            "{error}"
        );
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_program_without_a_verdict_is_no_fault_of_the_file() {
    for (status, stdout, stderr) in [(ENDED(), "usage: ...", ""), (ExitStatus::from_raw(2 << 8), "", "what?")] {
        let error = judged(status, stdout, stderr);
        assert!(matches!(error, ValidationError::NoVerdict { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_process_that_does_not_end_is_ended() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("sleeps");
    std::fs::write(&program, "#!/bin/sh\nexec sleep 600\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&program, mode).unwrap();
    let limits = SandboxLimits {
        timeout: Duration::from_millis(200),
        ..LIMITS
    };
    let error = Sandbox::with_program(program, limits)
        .validate(Bytes::new())
        .await
        .unwrap_err();
    assert!(matches!(error, ValidationError::Unsupported(_)), "{error}");
    assert!(error.to_string().contains("took longer"), "{error}");
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_no_fault_of_the_file() {
    let sandbox = Sandbox::with_program("/nowhere/lepton-worker".into(), LIMITS);
    let error = sandbox.validate(Bytes::new()).await.unwrap_err();
    assert!(matches!(error, ValidationError::Process(_)), "{error}");
}

#[tokio::test]
async fn validations_beyond_the_queue_are_refused_at_once() {
    let sandbox = Sandbox::new(LIMITS);
    let _waiting = sandbox.queue.try_acquire_many(WAITING_MAX as u32).unwrap();
    let error = sandbox.validate(Bytes::new()).await.unwrap_err();
    assert!(matches!(error, ValidationError::Busy), "{error}");
}
