//! Children that end with the test, also when `kill -9` ends it and nothing of it can clean up any more.
//!
//! Promises: the kernel itself kills them. It does so when the *thread* that started a child ends, so one thread that
//! never ends starts them all. Leaves the end of tests that can clean up to those who hold the children.

use std::ffi::OsStr;
use std::io;
use std::process::{Child, Command};
use std::sync::{OnceLock, mpsc};

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// A command whose process ends with the test if [`spawn`] starts it. `setpriv` of util-linux, which every Debian has,
/// becomes the program itself, under the same process id.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// Starts a command on the thread that lasts as long as the test.
pub fn spawn(command: Command) -> io::Result<Child> {
    static STARTER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (starter, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in orders {
                // Whoever asked waits for it.
                let _ = answer.send(command.spawn());
            }
        });
        starter
    });
    let (answer, started) = mpsc::channel();
    starter.send((command, answer)).expect("the thread never ends");
    started.recv().expect("every order is answered")
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;
    use std::time::Duration;

    use super::*;
    use crate::process::is_alive;
    use crate::wait::eventually;

    /// Names the file into which the process that is to be killed writes its child's id.
    const FILE: &str = "LEPTON_TEST_TETHERED";
    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn children_end_with_a_test_that_is_killed() {
        if let Some(file) = std::env::var_os(FILE) {
            let mut sleep = command("sleep");
            sleep.arg("600");
            // Started by a thread that ends: that must not matter.
            let child = std::thread::spawn(|| spawn(sleep)).join().expect("no panic");
            let pid = child.expect("setpriv and sleep are there").id();
            std::fs::write(file, format!("{pid}\n")).expect("it can be written");
            return std::future::pending().await;
        }
        let folder = tempfile::tempdir().expect("a temporary directory");
        let file = folder.path().join("pid");
        let mut test = Command::new(std::env::current_exe().expect("a test has a file"));
        test.args(["--exact", "child_guard::tests::children_end_with_a_test_that_is_killed"]);
        test.env(FILE, &file).stdout(Stdio::null());
        let mut test = test.spawn().expect("a test can be started again");
        let child = eventually(PATIENCE, || async {
            let text = std::fs::read_to_string(&file).ok()?;
            text.strip_suffix('\n')?.parse::<u32>().ok()
        });
        let child = child.await;
        assert!(is_alive(child), "it outlives the thread that asked for it");
        test.kill().expect("it runs");
        test.wait().expect("a child of ours can be waited for");
        eventually(PATIENCE, || async { !is_alive(child) }).await;
    }
}
