//! How the ends of a process are told. What real files do to it is tested with the program itself.

use super::*;

const LIMITS: Limits = Limits {
    memory_bytes_max: 512 << 20,
    run_memory_bytes_max: 256 << 20,
    timeout: Duration::from_secs(5),
};

fn judged(status: ExitStatus, stdout: &str, stderr: &str) -> Fault {
    let left = Left {
        status,
        stdout: stdout.into(),
        stderr: stderr.into(),
    };
    let inspector = Inspector::new(LIMITS);
    inspector.judge(&left).unwrap_err()
}

/// A status as `wait` gives it: the signal in the low bits, else the code above them.
fn signal(signal: i32) -> ExitStatus {
    ExitStatus::from_raw(signal)
}

#[test]
fn every_end_has_its_words() {
    for (status, stdout, stderr, words) in [
        (
            signal(libc::SIGABRT),
            "",
            "memory allocation of 4294967296 bytes failed",
            "than the 512 MiB",
        ),
        (
            signal(libc::SIGABRT),
            "",
            "thread 'main' has overflowed its stack",
            "nests too deep",
        ),
        (signal(libc::SIGSEGV), "", "", "crashed (signal 11)"),
        (signal(libc::SIGXCPU), "", "", "longer than 5 s of the processor"),
        (
            signal(0),
            r#"{"refused":"failed to allocate Layout"}"#,
            "",
            "than the 512 MiB",
        ),
        (signal(0), r#"{"refused":"it is empty"}"#, "", "it is empty"),
        (
            signal(0),
            r#"{"model":{"inputs":[{"name":"x","datatype":"Q4","shape":[]}],"outputs":[]}}"#,
            "",
            "Q4",
        ),
    ] {
        let fault = judged(status, stdout, stderr);
        assert_eq!(fault.reason, Reason::ModelInvalid);
        assert!(fault.message.contains(words), "{fault}");
    }
}

#[test]
fn a_program_that_does_not_look_is_no_fault_of_the_file() {
    assert_eq!(judged(signal(0), "usage: ...", "").reason, Reason::Internal);
    assert_eq!(
        judged(ExitStatus::from_raw(2 << 8), "", "what?").reason,
        Reason::Internal
    );
}

#[tokio::test]
async fn a_process_that_does_not_end_is_ended() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("sleeps");
    std::fs::write(&program, "#!/bin/sh\nexec sleep 600\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&program, mode).unwrap();
    let limits = Limits {
        timeout: Duration::from_millis(200),
        ..LIMITS
    };
    let fault = Inspector::with_program(program, limits)
        .inspect(Bytes::new())
        .await
        .unwrap_err();
    assert_eq!(fault.reason, Reason::ModelInvalid);
    assert!(fault.message.contains("took longer"), "{fault}");
}
