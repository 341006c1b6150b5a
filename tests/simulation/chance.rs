//! Chance that no seed reaches: libraries draw from the system, tokio for the order of ready branches, the standard
//! library for the order of hash maps.
//!
//! Promises: in this program the system's randomness is always the same, and a story that is told twice is told by two
//! fresh processes, since libraries also count what they have drawn. Leaves what is seeded to the town.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

/// Names the file that a process writes its story to, and so makes it one that tells.
const STORY: &str = "LEPTON_TEST_STORY";
/// A story that takes longer hangs, or waits for the real clock.
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

/// Tells a story in two processes at once and gives it. Panics when they differ or one takes too long. `test` is the path
/// of the calling test; in these processes it tells, and gives nothing.
pub fn twice(test: &str, tell: impl FnOnce() -> Vec<String>) -> Option<Vec<String>> {
    if let Some(file) = std::env::var_os(STORY) {
        std::fs::write(file, tell().join("\n")).expect("the story can be written");
        return None;
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .expect("a runtime")
        .block_on(async { tokio::join!(told(test, &one), told(test, &other)) });
    let [one, other] = [one, other].map(|file| {
        let story = std::fs::read_to_string(file).expect("a story was told");
        story.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    assert_eq!(one, other, "the same seed, the same story");
    Some(one)
}

async fn told(test: &str, file: &Path) {
    let mut command = Command::new(std::env::current_exe().expect("a test knows its program"));
    command
        .args(["--exact", test, "--test-threads", "1"])
        .env(STORY, file)
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.expect("a story ends").expect("a test can be started again");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}
