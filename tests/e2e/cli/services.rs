//! The command lines of the four services: what they refuse, and how.

use std::process::Command;

use lepton_core::net::Net;
use lepton_tests::process::binary;

use super::{CommandOutput, run};

const SERVICES: [&str; 4] = ["lepton-gateway", "lepton-scheduler", "lepton-worker", "lepton-monitor"];

async fn call(service: &str, arguments: &[&str]) -> CommandOutput {
    let mut command = Command::new(binary(service));
    command.args(arguments);
    run(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_has_a_reason_and_exit_code_2() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("wrong.toml");
    std::fs::write(&file, "[common]\nlistne = \"127.0.0.1:0\"\n").expect("written");
    let file = file.display().to_string();
    let lines: [&[&str]; 6] = [
        &["--nothing"],
        &["--listen"],
        &["--etcd", ""],
        &["--etcd", "https://127.0.0.1:2379"],
        &["--cluster", "a/b"],
        &["--config", &file],
    ];
    for service in SERVICES {
        for line in lines {
            let refused = call(service, line).await.exits(2);
            assert!(
                refused.stderr.starts_with("error: CONFIG_INVALID: "),
                "{service} {line:?}: {refused:?}"
            );
            assert!(refused.stderr.lines().count() > 1, "it says what to do: {refused:?}");
        }
        let misspelt = call(service, &["--config", &file]).await;
        assert!(misspelt.stderr.contains("wrong.toml:2:1: "), "{misspelt:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn help_and_version_are_no_failure() {
    let command = call("lepton", &["--version"]).await.exits(0);
    let release = command.stdout.strip_prefix("lepton ").expect("name and release");
    for service in SERVICES {
        let help = call(service, &["--help"]).await.exits(0);
        assert!(help.stdout.contains("--etcd"), "{help:?}");
        let version = call(service, &["--version"]).await.exits(0);
        assert_eq!(version.stdout, format!("{service} {release}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_a_failure_with_a_reason() {
    let taken = Net::Os.bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().to_string();
    for service in SERVICES {
        let data = tempfile::tempdir().expect("a temporary directory");
        let data = data.path().display().to_string();
        let refused = call(service, &["--listen", &address, "--data-dir", &data])
            .await
            .exits(1);
        assert!(
            refused.stderr.contains("error: ADDRESS_IN_USE: "),
            "{service}: {refused:?}"
        );
    }
}
