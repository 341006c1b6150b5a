//! What was answered is on the disk: seen from outside, by tracing the process and by killing it.

use super::subject::{connect, soon};
use etcd_client::{Client, GetOptions, PutOptions};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};
use tokio::task::JoinSet;

/// The embedded server as a process; it ends with its standard input.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    authority: String,
}

impl Process {
    /// Starts `command`, which has the server's program and arguments at its end.
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let output = child.stdout.take().expect("it was asked for");
        let mut line = String::new();
        BufReader::new(output)
            .read_line(&mut line)
            .expect("the output can be read");
        let authority = line
            .trim()
            .strip_prefix("ready ")
            .expect("the server says where it listens")
            .to_owned();
        let input = child.stdin.take();
        Self {
            child,
            input,
            authority,
        }
    }

    fn plain(data: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_embedded_etcd"));
        command.arg(data);
        Self::start(command)
    }

    fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is ours");
    }

    fn end(mut self) {
        self.input = None;
        assert!(self.child.wait().expect("it is ours").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Closing the input also reaches a server behind `strace`, which a kill would only orphan.
        self.input = None;
        self.child.wait().ok();
    }
}

#[tokio::test]
async fn a_sync_stands_between_a_request_and_its_answer() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let trace = data.path().join("trace");
    let mut command = Command::new("strace");
    let calls = "trace=fdatasync,fsync,read,recvfrom,readv,recvmsg,write,writev,sendto,sendmsg";
    command.args(["-f", "-s", "65536", "-e", calls, "-o"]).arg(&trace);
    command
        .arg(env!("CARGO_BIN_EXE_embedded_etcd"))
        .arg(data.path().join("data"));
    let server = Process::start(command);
    let mut client = connect(&server.authority).await;
    client.put("key", "the-previous-value", None).await.expect("a put");
    let options = PutOptions::new().with_prev_key();
    client
        .put("key", "the-requested-value", Some(options))
        .await
        .expect("a put");
    drop(client);
    server.end();

    let trace = fs::read_to_string(trace).expect("a trace");
    let lines: Vec<&str> = trace.lines().collect();
    // The request is the only input with the new value, the answer the only output with the old one after it.
    let reads = |line: &str| {
        ["recvfrom", "readv", "recvmsg", "read("]
            .iter()
            .any(|call| line.contains(call))
    };
    let sends = |line: &str| {
        ["writev(", "sendto(", "sendmsg("]
            .iter()
            .any(|call| line.contains(call))
    };
    let request = lines
        .iter()
        .position(|line| reads(line) && line.contains("the-requested-value"));
    let request = request.expect("the request arrives");
    let answer = lines
        .iter()
        .skip(request)
        .position(|line| sends(line) && line.contains("the-previous-value"));
    let answer = request + answer.expect("the answer leaves");
    let syncs = |line: &str| line.contains("sync") && line.ends_with("= 0");
    let between = lines[request..answer].iter().filter(|line| syncs(line)).count();
    assert!(
        between >= 1,
        "no sync between request and answer:\n{}",
        lines[request..=answer].join("\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_nothing_that_was_answered() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let mut answered = BTreeMap::new();
    for round in 0..3 {
        let server = Process::plain(data.path());
        let client = connect(&server.authority).await;
        assert_eq!(contents(&client, &answered).await, answered, "after {round} kills");
        let mut writers: JoinSet<_> = (0..8)
            .map(|writer| write_until_refused(client.clone(), round, writer))
            .collect();
        let progress = async {
            let mut probe = client.clone();
            let prefix = GetOptions::new().with_prefix().with_count_only();
            while probe
                .get(format!("{round}/"), Some(prefix.clone()))
                .await
                .expect("a read")
                .count()
                < 300
            {}
        };
        soon("some hundred puts", progress).await;
        server.kill();
        while let Some(written) = writers.join_next().await {
            answered.extend(written.expect("a writer does not panic"));
        }
    }
}

/// Puts until the server is gone; returns what was answered.
async fn write_until_refused(mut client: Client, round: usize, writer: usize) -> Vec<(String, i64)> {
    let mut answered = Vec::new();
    for n in 0.. {
        let key = format!("{round}/{writer}/{n:06}");
        match client.put(key.clone(), "v", None).await {
            Ok(response) => answered.push((key, response.header().expect("every answer has a header").revision())),
            Err(_) => break,
        }
    }
    answered
}

/// The keys of `expected` that are there, with their revisions.
async fn contents(client: &Client, expected: &BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    let mut client = client.clone();
    let all = GetOptions::new().with_all_keys().with_keys_only();
    let response = client.get("", Some(all)).await.expect("a read");
    let found = response
        .kvs()
        .iter()
        .map(|kv| (String::from_utf8_lossy(kv.key()).into_owned(), kv.mod_revision()));
    found.filter(|(key, _)| expected.contains_key(key)).collect()
}
