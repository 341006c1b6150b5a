//! The command `lepton` as people and scripts call it: what it prints, where, and how it exits.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};

use lepton_tests::process::binary;
use serde_json::Value;

mod analyze;
mod completions;
mod examples;
mod follow;
mod formats;
mod journal;
mod models;
mod reads;
mod services;
mod tasks;
mod up;
mod usage;

/// The exit code and the output of a command.
#[derive(Debug)]
struct CommandOutput {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl CommandOutput {
    /// Asserts that it ended like this.
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Asserts that it is done and had nothing to complain of; gives what it printed without the line's end.
    #[track_caller]
    fn body(self) -> String {
        let done = self.exits(0);
        assert_eq!(done.stderr, "", "{}", done.stdout);
        done.stdout.trim_end().to_owned()
    }

    /// What it printed as JSON.
    #[track_caller]
    fn json(self) -> Value {
        let body = self.body();
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    /// Asserts that it was refused like this, with nothing on stdout.
    #[track_caller]
    fn refused(self, code: i32, reason: &str) -> Self {
        let refused = self.exits(code);
        let begin = format!("error: {reason}: ");
        assert!(refused.stderr.starts_with(&begin), "{refused:#?}");
        assert_eq!(refused.stdout, "", "{}", refused.stderr);
        refused
    }

    /// Asserts that it says what to do after what was wrong.
    #[track_caller]
    fn advises(&self, advice: &str) {
        let what_to_do = self.stderr.split_once('\n').map_or("", |(_, rest)| rest);
        assert!(what_to_do.contains(advice), "{self:#?}");
    }
}

/// Calls `lepton` with this gateway in LEPTON_ADDRESS.
async fn lepton<A: AsRef<OsStr>>(gateway: &str, arguments: &[A]) -> CommandOutput {
    let mut command = Command::new(binary("lepton"));
    command.args(arguments).env("LEPTON_ADDRESS", gateway);
    run(command).await
}

/// Calls `lepton` with the words of this line.
async fn words(gateway: &str, line: &str) -> CommandOutput {
    lepton(gateway, &line.split(' ').collect::<Vec<_>>()).await
}

/// Calls `lepton` with these bytes on its stdin.
async fn fed<A: AsRef<OsStr>>(gateway: &str, arguments: &[A], stdin: &[u8]) -> CommandOutput {
    let mut command = Command::new(binary("lepton"));
    command.args(arguments).env("LEPTON_ADDRESS", gateway);
    ended(command, stdin.to_vec()).await
}

/// Runs a command to its end, with nothing on its stdin.
async fn run(command: Command) -> CommandOutput {
    ended(command, Vec::new()).await
}

async fn ended(mut command: Command, stdin: Vec<u8>) -> CommandOutput {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let run = move || {
        let mut child = command.spawn()?;
        if let Some(mut pipe) = child.stdin.take() {
            // A program that does not read its stdin may have ended before.
            let _unread = pipe.write_all(&stdin);
        }
        child.wait_with_output()
    };
    let output = tokio::task::spawn_blocking(run).await;
    let output = output.expect("nobody cancels it").expect("the program can be started");
    CommandOutput {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}
