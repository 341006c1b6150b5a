//! The script that drives the browser: asks for things line by line, and is answered when they are done.
//!
//! Promises: the script and its browser are gone when the handle is; one that hangs fails the test.

use std::process::Stdio;
use std::time::Duration;

use lepton_tests::process;
use lepton_tests::venv::venv;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long the script may be silent: longer than each of its own waits.
const LINE_MAX: Duration = Duration::from_secs(240);

/// The running script.
#[derive(Debug)]
pub struct Drive {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Drive {
    /// Starts a script with these arguments, and the folder for its screenshots as the last.
    pub fn start(script: &str, arguments: &[&str]) -> Self {
        let target = process::binary("lepton");
        let target = target.ancestors().nth(2).expect("programs lie in the target directory");
        let mut command = Command::from(venv().script(script));
        command.args(arguments).arg(target.join("screenshots"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the script can be started");
        let stdin = child.stdin.take().expect("stdin is a pipe");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let lines = BufReader::new(stdout).lines();
        Self { child, stdin, lines }
    }

    /// The next line; `None` when the script has ended.
    pub async fn line(&mut self) -> Option<String> {
        let line = timeout(LINE_MAX, self.lines.next_line()).await;
        line.expect("the script says nothing any more")
            .expect("its lines are text")
    }

    /// Tells the script that what it asked for is done.
    pub async fn answer(&mut self) {
        self.stdin.write_all(b"done\n").await.expect("the script reads");
    }

    /// Waits for the end. Panics unless the script is content; it has said on stderr what it missed.
    pub async fn end(mut self) {
        let status = timeout(LINE_MAX, self.child.wait()).await.expect("the script hangs");
        let status = status.expect("a child of ours can be waited for");
        assert!(status.success(), "the script fails: {status}; why is above");
    }
}
