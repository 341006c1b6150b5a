//! Randomness that no seed reaches: libraries draw from the system, tokio for the order of ready branches, the standard
//! library for the order of hash maps.
//!
//! Promises: in this program the system's randomness is always the same, and each simulation runs in a fresh process,
//! since libraries also count what they have drawn. Leaves what is seeded to the cluster.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

/// Names the file that a process writes its history to, and so marks it as one that simulates.
const HISTORY: &str = "LEPTON_TEST_HISTORY";
/// Real time for a scripted simulation; one that takes longer hangs, or waits for the real clock.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The system's randomness, as every library of this program gets it.
#[expect(
    unsafe_code,
    reason = "the name is the system's: this definition takes the place of its own"
)]
#[unsafe(no_mangle)]
extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    // SAFETY: the caller gives a buffer of this length, as the system's function demands.
    unsafe { std::ptr::write_bytes(buffer, 7, length) };
    isize::try_from(length).unwrap_or(isize::MAX)
}

/// Simulates and writes the history, if this process was started by [`run`] or [`twice`]; otherwise does nothing and
/// returns false.
pub fn simulated(simulate: impl FnOnce() -> Vec<String>) -> bool {
    let Some(file) = std::env::var_os(HISTORY) else {
        return false;
    };
    std::fs::write(file, simulate().join("\n")).expect("the history can be written");
    true
}

/// Runs a simulation in two processes at once and returns its history. Panics when the two differ or one takes too
/// long. `test` is the path of the calling test, which these processes run with [`simulated`] returning true.
pub fn twice(test: &str, simulate: impl FnOnce() -> Vec<String>) -> Option<Vec<String>> {
    if simulated(simulate) {
        return None;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (one, other) = runtime
        .expect("a runtime")
        .block_on(async { tokio::join!(run(test, PATIENCE, &[]), run(test, PATIENCE, &[])) });
    let [one, other] = [one, other].map(|history| history.unwrap_or_else(|output| panic!("{output}")));
    assert_eq!(one, other, "the same seed, the same history");
    Some(one)
}

/// Runs one test of this program in a process of its own and returns its history, or what it printed when it failed.
pub async fn run(test: &str, patience: Duration, variables: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("history");
    let mut command = Command::new(std::env::current_exe().expect("a test knows its program"));
    command
        .args(["--exact", test, "--test-threads", "1"])
        .env(HISTORY, &file)
        .envs(variables.iter().copied())
        .kill_on_drop(true);
    let Ok(output) = tokio::time::timeout(patience, command.output()).await else {
        return Err(format!("no end within {patience:?}"));
    };
    let output = output.expect("a test can be started again");
    if !output.status.success() {
        let printed = [output.stdout, output.stderr].concat();
        return Err(String::from_utf8_lossy(&printed).into_owned());
    }
    Ok(lines(&file))
}

fn lines(file: &Path) -> Vec<String> {
    let history = std::fs::read_to_string(file).expect("a history was written");
    history.lines().map(str::to_owned).collect()
}
