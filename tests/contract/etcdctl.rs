//! etcd's own command line against the embedded server.

use super::subject::{Embedded, soon};
use std::{
    io::Write,
    process::{Command, Output, Stdio},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    task::spawn_blocking,
};

/// Runs `etcdctl` with these words, and with `input` if it reads any; returns what it prints, without the last line end.
async fn etcdctl(authority: &str, words: &[&str], input: &str) -> String {
    let output = run(command(authority, words), input.to_owned()).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "etcdctl {words:?} failed: {errors}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn command(authority: &str, words: &[&str]) -> Command {
    let mut command = Command::new("etcdctl");
    command
        .env("ETCDCTL_API", "3")
        .arg(format!("--endpoints={authority}"))
        .args(words);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

async fn run(mut command: Command, input: String) -> Output {
    let work = spawn_blocking(move || {
        let mut child = command.spawn().expect("`etcdctl` starts: install Debian's etcd-client");
        let mut stdin = child.stdin.take().expect("it was asked for");
        stdin.write_all(input.as_bytes()).expect("etcdctl reads its input");
        drop(stdin);
        child.wait_with_output().expect("etcdctl ends")
    });
    soon("etcdctl", work).await.expect("it does not panic")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_and_writes() {
    let server = Embedded::start().await;
    let at = server.authority();
    assert_eq!(etcdctl(at, &["put", "/a/1", "one"], "").await, "OK");
    assert_eq!(etcdctl(at, &["put", "/a/2", "two"], "").await, "OK");
    assert_eq!(etcdctl(at, &["put", "/b", "three"], "").await, "OK");
    assert_eq!(
        etcdctl(at, &["get", "--prefix", "/a/"], "").await,
        "/a/1\none\n/a/2\ntwo"
    );
    assert_eq!(
        etcdctl(at, &["get", "--prefix", "--keys-only", "--limit=1", "/a/"], "").await,
        "/a/1"
    );
    assert_eq!(etcdctl(at, &["get", "--rev=2", "--prefix", "/"], "").await, "/a/1\none");
    assert_eq!(etcdctl(at, &["del", "--prev-kv", "/b"], "").await, "1\n/b\nthree");
    let txn = "value(\"/a/1\") = \"one\"\n\nput /a/1 eins\nget /a/2\n\nget /a/1\n\n";
    assert_eq!(etcdctl(at, &["txn"], txn).await, "SUCCESS\n\nOK\n\n/a/2\ntwo");
    assert_eq!(etcdctl(at, &["txn"], txn).await, "FAILURE\n\n/a/1\neins");
    assert_eq!(etcdctl(at, &["compact", "5"], "").await, "compacted revision 5");
    let refused = run(command(at, &["get", "--rev=2", "/a/1"]), String::new()).await;
    assert!(!refused.status.success());
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("required revision has been compacted"), "{message}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_leases() {
    let server = Embedded::start().await;
    let at = server.authority();
    let granted = etcdctl(at, &["lease", "grant", "60"], "").await;
    let id = granted
        .split(' ')
        .nth(1)
        .expect("`lease ID granted with TTL(60s)`")
        .to_owned();
    assert_eq!(granted, format!("lease {id} granted with TTL(60s)"));
    etcdctl(at, &["put", "--lease", &id, "/key", "value"], "").await;
    let alive = etcdctl(at, &["lease", "keep-alive", "--once", &id], "").await;
    assert_eq!(alive, format!("lease {id} keepalived with TTL(60)"));
    let left = etcdctl(at, &["lease", "timetolive", "--keys", &id], "").await;
    assert!(
        left.contains("granted with TTL(60s)") && left.ends_with("attached keys([/key])"),
        "{left}"
    );
    assert!(etcdctl(at, &["lease", "list"], "").await.contains(&id));
    assert_eq!(
        etcdctl(at, &["lease", "revoke", &id], "").await,
        format!("lease {id} revoked")
    );
    assert_eq!(etcdctl(at, &["get", "/key"], "").await, "");
    let gone = etcdctl(at, &["lease", "timetolive", &id], "").await;
    assert_eq!(gone, format!("lease {id} already expired"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches() {
    let server = Embedded::start().await;
    let at = server.authority();
    etcdctl(at, &["put", "/w/1", "past"], "").await;
    let mut command = tokio::process::Command::from(command(at, &["watch", "--prefix", "--rev=1", "--prev-kv", "/w/"]));
    let mut watch = command
        .kill_on_drop(true)
        .spawn()
        .expect("`etcdctl` starts: install Debian's etcd-client");
    let mut lines = BufReader::new(watch.stdout.take().expect("it was asked for")).lines();
    let mut heard = async |count: usize| {
        let mut found = Vec::new();
        while found.len() < count {
            found.push(
                lines
                    .next_line()
                    .await
                    .expect("its output can be read")
                    .expect("it goes on"),
            );
        }
        found
    };
    assert_eq!(soon("the past", heard(3)).await, ["PUT", "/w/1", "past"]);
    etcdctl(at, &["put", "/w/1", "now"], "").await;
    assert_eq!(soon("a put", heard(5)).await, ["PUT", "/w/1", "past", "/w/1", "now"]);
    etcdctl(at, &["del", "/w/1"], "").await;
    assert_eq!(soon("a deletion", heard(4)).await, ["DELETE", "/w/1", "now", "/w/1"]);
    watch.kill().await.expect("it runs");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asks_about_the_server() {
    let server = Embedded::start().await;
    let at = server.authority();
    etcdctl(at, &["put", "/a", "b"], "").await;
    let status = etcdctl(at, &["endpoint", "status", "--write-out=json"], "").await;
    for part in [
        "\"version\":\"3.4.",
        "\"leader\":10276657743932975437",
        "\"revision\":2",
        at,
    ] {
        assert!(status.contains(part), "{part} in {status}");
    }
    assert!(
        etcdctl(at, &["endpoint", "health"], "").await.is_empty(),
        "health goes to the error output"
    );
    let members = etcdctl(at, &["member", "list"], "").await;
    assert!(members.starts_with("8e9e05c52164694d, started, default"), "{members}");
    assert_eq!(etcdctl(at, &["alarm", "list"], "").await, "");
    assert!(etcdctl(at, &["defrag"], "").await.starts_with("Finished defragmenting"));
    let refused = run(command(at, &["auth", "enable"]), String::new()).await;
    assert!(!refused.status.success());
    server.stop().await;
}
