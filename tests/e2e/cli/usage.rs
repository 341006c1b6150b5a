//! Help, version, colours, and the address of the mesh.

use std::process::Command;

use lepton_tests::process::binary;

use super::{run, words};
use crate::shared_mesh::shared;

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

#[tokio::test(flavor = "multi_thread")]
async fn every_command_has_help() {
    let commands = [
        "",
        "up ",
        "analyze ",
        "task ",
        "task submit ",
        "task get ",
        "task list ",
        "task watch ",
        "task wait ",
        "task cancel ",
        "task retry ",
        "task attempts ",
        "task delete ",
        "nodes ",
        "incidents ",
        "journal ",
        "journal status ",
        "journal verify ",
        "journal dump ",
        "bench ",
        "bench tasks ",
        "bench analyze ",
        "completions ",
    ];
    for command in commands {
        let help = words(NOWHERE, &format!("{command}--help")).await.body();
        let usage = format!("Usage: lepton {command}");
        assert!(help.contains(usage.trim_end()), "{command}: {help}");
        assert!(!help.starts_with("Usage"), "it says what it is for: {help}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_usage_exits_2() {
    for line in [
        "nothing",
        "task",
        "task get",
        "task submit",
        "task list --limit 0",
        "task list --limit 1001",
        "task submit echo 1 --priority 6",
        "nodes --output yaml",
        "journal verify --colour",
        "up --workers many",
        "up --workers 0",
        "up --etcd-listen nowhere --data-dir /proc/none",
        "task submit echo --unknown",
        "up --etcd ftp://127.0.0.1:1",
        "up --listen nowhere --data-dir /proc/none",
        "analyze",
    ] {
        words(NOWHERE, line).await.refused(2, "CONFIG_INVALID");
    }
    let bare = run(Command::new(binary("lepton"))).await.exits(2);
    assert!(bare.stderr.contains("Usage: lepton"), "{bare:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_names_the_release_and_the_commit() {
    let version = words(NOWHERE, "--version").await.body();
    let release = format!("lepton {}", env!("CARGO_PKG_VERSION"));
    assert!(
        version.starts_with(&format!("{release} (")) && version.ends_with(')'),
        "{version}"
    );
    assert_eq!(version.matches(env!("CARGO_PKG_VERSION")).count(), 1, "{version}");
    // The same build made the program and this test.
    if let Some(told) = option_env!("LEPTON_VERSION") {
        assert!(version.contains(told), "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flag_goes_before_the_environment() {
    let up = shared().await;
    words(&up.gateway, "nodes").await.exits(0);
    let bare = up.gateway.trim_start_matches("http://");
    for address in [&up.gateway, bare, &format!("{bare}/")] {
        words(NOWHERE, &format!("--address {address} nodes")).await.exits(0);
        words(NOWHERE, &format!("nodes --address {address}")).await.exits(0);
    }
    for line in [
        "nodes",
        "incidents",
        "task list",
        "journal status",
        "bench tasks --count 1",
    ] {
        let output = words(&up.gateway, &format!("{line} --address {NOWHERE}")).await;
        output.refused(3, "GATEWAY_UNREACHABLE").advises("`lepton up`");
    }
    for wrong in [
        "ftp://127.0.0.1:1",
        "https://127.0.0.1:1",
        "127.0.0.1:99999",
        "http://",
        "http://a/b",
    ] {
        words(wrong, "nodes").await.refused(2, "CONFIG_INVALID");
        words(&up.gateway, &format!("nodes --address {wrong}"))
            .await
            .refused(2, "CONFIG_INVALID");
    }
}

/// The output at a terminal of this kind.
async fn on_a_terminal(gateway: &str, line: &str, term: &str, no_color: Option<&str>) -> String {
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command"]);
    command.arg(format!("{} {line}", binary("lepton").display()));
    command
        .arg("/dev/null")
        .env("LEPTON_ADDRESS", gateway)
        // Some libraries colour whatever the terminal where this is set.
        .env("CI", "true")
        .env("TERM", term);
    match no_color {
        Some(value) => command.env("NO_COLOR", value),
        None => command.env_remove("NO_COLOR"),
    };
    run(command).await.exits(0).stdout
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_are_for_terminals() {
    let up = shared().await;
    let coloured = |text: &str| text.contains('\u{1b}');
    let nodes = |term, no_color| on_a_terminal(&up.gateway, "nodes", term, no_color);
    assert!(coloured(&nodes("xterm-256color", None).await));
    assert!(
        coloured(&nodes("xterm-256color", Some("")).await),
        "an empty NO_COLOR counts as absent"
    );
    assert!(!coloured(&nodes("xterm-256color", Some("1")).await));
    assert!(!coloured(&nodes("dumb", None).await));
    // Neither the help nor a progress bar.
    for line in ["--help", "bench analyze --count 50"] {
        assert!(
            !coloured(&on_a_terminal(&up.gateway, line, "dumb", None).await),
            "{line}"
        );
    }
    assert!(coloured(
        &on_a_terminal(&up.gateway, "bench analyze --count 500", "xterm", None).await
    ));
    for line in ["nodes", "task list", "journal status", "incidents"] {
        assert!(!coloured(&words(&up.gateway, line).await.body()), "{line}");
    }
    assert!(!coloured(&words(&up.gateway, "task get x").await.exits(1).stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_cannot_be_written_is_a_failure() {
    let up = shared().await;
    let shell = |line: &str| {
        let mut command = Command::new("sh");
        let line = line.replace("lepton", &binary("lepton").display().to_string());
        command.args(["-c", &line]).env("LEPTON_ADDRESS", &up.gateway);
        run(command)
    };
    shell("lepton nodes > /dev/full").await.refused(1, "INTERNAL");
    // Who stops reading has what they wanted.
    let piped = shell("lepton nodes | head -n 1").await.body();
    assert!(piped.starts_with("SERVICE"), "{piped}");
}
